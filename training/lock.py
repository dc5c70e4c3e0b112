"""One process a run: a lock on its folder that a dead process does not keep."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from polyfield.errors import InputError, folder_refused
from polyfield.file_locks import Taken, hold

NAME = ".lock"
"""File in a run's folder, there while it is trained."""
WANTED = "a folder to write the run into"
"""What was expected where it can't be written."""


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder inside the block.

    The system lets go of it when the process ends, however it ends. Where there are no such locks
    (Windows), nothing is held.

    Raises:
        InputError: another process holds it, or the folder can't be written.
        WriteError: its disk is full or fails.
    """
    try:
        lock = hold(folder / NAME, str(os.getpid()))
    except Taken as taken:
        words = f"process {taken.owner}" if taken.owner.isdecimal() else "another process"
        raise InputError(
            "a run that nobody is training", f"{folder}, which {words} is", "wait for it to end"
        ) from None
    except OSError as error:
        raise folder_refused(folder, error, WANTED) from None
    try:
        yield
    finally:
        if lock is not None:
            lock.release()
