"""What exports share: failures of the system while writing, and places that are taken."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from polyfield.errors import InputError, WriteError
from polyfield.files import TEMPORARY, one_line


@contextlib.contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn what the system says about a file being written into one line that names it.

    Raises:
        WriteError: a full disk, a folder that can't be written ...
    """
    try:
        yield
    except WriteError:
        raise
    except OSError as error:
        raise WriteError(path, error) from None


@contextlib.contextmanager
def staged(path: Path) -> Iterator[Path]:
    """A folder beside `path` to write in, gone afterwards: what is whole is moved out of it.

    Beside, because on the same disk moving is one step. The parents of `path` are made.

    Raises:
        WriteError: it can't be made.
    """
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        staging = Path(tempfile.mkdtemp(dir=path.parent, prefix=TEMPORARY))
    try:
        yield staging
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def check_place(path: Path, overwrite: bool) -> None:
    """Raise if something is at the place already, or the system would never take its name.

    Raises:
        InputError: either.
    """
    try:
        os.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return
    except (OSError, ValueError) as error:
        raise InputError(
            "a file or folder name that the system takes for --out",
            f"{str(path)[:60]!r} ({one_line(error)})",
            "choose another",
        ) from None
    if not overwrite and (not path.is_dir() or any(path.iterdir())):
        raise InputError(
            "a new file or folder for --out",
            f"{path}, which is there",
            "add --overwrite or choose another",
        )
