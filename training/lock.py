"""One process a run: a lock on its folder that a dead process does not keep."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from polyfield.errors import InputError
from polyfield.files import one_line

NAME = ".lock"
"""File in a run's folder, there while it is trained."""


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder inside the block.

    The system lets go of it when the process ends, however it ends. Where there are no such locks
    (Windows), nothing is held.

    Raises:
        InputError: another process holds it, or the folder can't be written.
    """
    try:
        import fcntl
    except ImportError:
        yield
        return
    path = folder / NAME
    while True:
        with _opened(path) as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise _taken(folder, file) from None
            if not _is_at(path, file):
                continue  # whoever held it has let go and removed it: ours is a file without a name
            file.seek(0)
            file.truncate()
            file.write(str(os.getpid()))
            file.flush()
            try:
                yield
            finally:
                path.unlink(missing_ok=True)
            return


def _opened(path: Path) -> IO[str]:
    try:
        return path.open("a+")
    except OSError as error:
        raise InputError(
            "a folder to write the run into",
            f"{path.parent}: {one_line(error)}",
            "choose another --out",
        ) from None


def _taken(folder: Path, file: IO[str]) -> InputError:
    file.seek(0)
    owner = file.read(32).strip()
    words = f"process {owner}" if owner.isdecimal() else "another process"
    return InputError(
        "a run that nobody is training", f"{folder}, which {words} is", "wait for it to end"
    )


def _is_at(path: Path, file: IO[str]) -> bool:
    """Whether an open file is the one of that name."""
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False
