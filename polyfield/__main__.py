"""`python -m polyfield`: the same as the command `polyfield`."""

from polyfield.apps.cli import main

if __name__ == "__main__":
    main()
