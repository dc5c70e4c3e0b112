"""Where compiled kernels are kept, and who of several processes compiles one."""

from __future__ import annotations

import hashlib
import os
import stat
import sys
import tempfile
import time
from functools import cache
from pathlib import Path

from polyfield.file_locks import FileLock, Taken, hold

PATIENCE = 120.0
"""Seconds to wait for a kernel that another process compiles; then it is compiled here too."""
LOOK = 0.02
"""Seconds between two looks at whether it is there."""


BLOCKS = ("simd.py", "sine.py", "gemm.py", "exponential.py")
"""What kernels are built of. numba looks at a kernel's own file only, so these name the folder."""


def place() -> Path | None:
    """Where kernels are kept: NUMBA_CACHE_DIR, else the user's folder, else a temporary one."""
    given = os.environ.get("NUMBA_CACHE_DIR")
    base = Path(given) if given else user_folder() or temporary_folder()
    return None if base is None else base / blocks()


@cache
def blocks() -> str:
    """A name that changes with what kernels are built of."""
    files = [Path(__file__).with_name(name) for name in BLOCKS]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()[:16]


@cache
def user_folder() -> Path | None:
    """The user's folder of compiled kernels; None where it can't be written to."""
    home = os.path.expanduser("~")
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or os.path.join(home, "AppData", "Local")
    elif sys.platform == "darwin":
        base = os.path.join(home, "Library", "Caches")
    else:
        base = os.environ.get("XDG_CACHE_HOME") or os.path.join(home, ".cache")
    # A home that isn't known stays a tilde.
    return _writable(Path(base) / "polyfield" / "kernels") if os.path.isabs(base) else None


@cache
def temporary_folder() -> Path | None:
    """A folder among temporary files that no other user can write to; None if there is none.

    What is kept in it is loaded as code, so it must be this user's own.
    """
    user = os.getuid() if hasattr(os, "getuid") else 0
    folder = _writable(Path(tempfile.gettempdir()) / f"polyfield-kernels-{user}")
    if folder is None or not hasattr(os, "getuid"):
        return folder
    found = folder.lstat()
    own = stat.S_ISDIR(found.st_mode) and found.st_uid == user and not found.st_mode & 0o077
    return folder if own else None


def _writable(folder: Path) -> Path | None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError:
        return None
    return folder if os.access(folder, os.W_OK | os.X_OK) else None


def claim(folder: Path, what: str) -> FileLock | None:
    """Say that this process compiles a kernel, when no other one does.

    Args:
        folder: Of the kernel's files.
        what: The kernel and its types.

    Returns:
        What to release when the kernel is kept; None where nothing can be claimed. Another process
        may have kept the kernel by now.
    """
    path = folder / f"{hashlib.sha256(what.encode()).hexdigest()[:24]}.claim"
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            return hold(path, str(os.getpid()))
        except Taken:
            time.sleep(LOOK)
        except OSError:
            break
    return None
