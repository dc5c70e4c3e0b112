"""Locks on files that the system lets go of when a process ends, however it ends."""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO

try:
    import fcntl
except ImportError:  # Windows has no such locks: nothing is held there.
    fcntl = None  # type: ignore[assignment]


class FileLock:
    """A file that this process holds; made by `hold`."""

    def __init__(self, path: Path, file: IO[str]) -> None:
        self._path, self.file = path, file

    def release(self) -> None:
        """Remove the file and let go."""
        self._path.unlink(missing_ok=True)
        self.file.close()


class Taken(Exception):
    """Another process holds the file.

    Args:
        owner: What it wrote into it.
    """

    def __init__(self, owner: str) -> None:
        super().__init__(owner)
        self.owner = owner


def hold(path: Path, name: str) -> FileLock | None:
    """Hold a file.

    Args:
        path: Of the file; it need not be there.
        name: What others read in it.

    Returns:
        None where the system has no such locks.

    Raises:
        Taken: another process, or another thread of this one, holds it.
        OSError: the file can't be written.
    """
    if fcntl is None:
        return None
    while True:
        file = path.open("a+")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            with file:
                file.seek(0)
                raise Taken(file.read(32).strip()) from None
        if _is_at(path, file):
            break
        # Whoever held it has let go and removed it: ours is a file without a name.
        file.close()
    file.seek(0)
    file.truncate()
    file.write(name)
    file.flush()
    return FileLock(path, file)


def _is_at(path: Path, file: IO[str]) -> bool:
    """Whether an open file is the one of that name."""
    try:
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    except FileNotFoundError:
        return False
