"""The one exception for a user's mistake: one line, and exit code 2 on the command line."""

import os


class InputError(ValueError):
    """Something a user gave can't be used.

    The message says what was expected, what came and how to mend it.
    """

    def __init__(self, expected: str, got: str, mend: str) -> None:
        super().__init__(f"expected {expected}; got {got}; {mend}")


class MissingBackend(InputError):
    """What was asked for needs an optional package or a device that isn't there."""


class WriteError(OSError):
    """The system didn't let a file be written: a full disk, a folder that is read-only or gone.

    The message is one line that names the file; nothing of it is left under its name.
    """

    def __init__(self, path: str | os.PathLike[str], error: OSError) -> None:
        """Say which file, and why.

        Args:
            path: What was to be written.
            error: What the system said.
        """
        reason = error.strerror or str(error)
        super().__init__(error.errno, reason)
        mend = "free some space there, or choose another place"
        self._line = f"expected to write {os.fspath(path)}; got {reason.lower()}; {mend}"

    def __str__(self) -> str:
        return self._line
