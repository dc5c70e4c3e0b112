"""Pixels in a memory-mapped file: captures that are larger than the memory to be spent on them.

The file lies in the user's cache and is named by what the pixels come from, so that `--resume`,
`evaluate` and the next fit find it; one that wasn't used for a month goes when another is written.
Its first page is JSON, then come the pixels of all views, one after the other.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import mmap
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
from jaxtyping import Int64
from torch import Tensor

from polyfield.errors import InputError, WriteError, shown
from polyfield.files import TEMPORARY, open_file, write_whole
from polyfield.memory import as_size
from polyfield.scenes.formats.pixels import (
    StoredPixels,
    as_rgba,
    as_tensor,
    is_opaque,
    top_of,
    widened,
)

Arrays = Callable[[], Iterator[tuple[np.ndarray, np.ndarray | None, str]]]
"""Reads, of each view, its pixels [h, w, 1-4], which of them count, and its name."""

VARIABLE = "POLYFIELD_CACHE"
"""The environment variable that names another folder."""
PAGE = 4096
"""Bytes before the pixels."""
FAULT = 1 << 16
"""Bytes that reading one pixel makes resident at most: Linux maps 16 pages around it."""
SHARE = 4
"""What part of the memory to be spent pages of the file may take before they are given back."""
STALE = 30 * 24 * 3600
"""Seconds after which a file that nobody used is removed."""
ABANDONED = 24 * 3600
"""Seconds after which a file that is not whole belongs to nobody any more."""
_FORM = 1
_TYPES = [np.dtype(name) for name in ("uint8", "uint16", "float16", "float32")]


def cache_folder() -> Path:
    """Where files of pixels lie: $POLYFIELD_CACHE, else the system's place for caches."""
    if os.environ.get(VARIABLE):
        return Path(os.environ[VARIABLE]).expanduser()
    if os.name == "nt":
        base = os.environ.get("LOCALAPPDATA") or "~/AppData/Local"
    elif sys.platform == "darwin":
        base = "~/Library/Caches"
    else:
        base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "polyfield"


def in_file(
    arrays: Arrays, first: Int64[Tensor, " edges"], keys: Sequence[str], opaque: bool, memory: int
) -> StoredPixels:
    """The pixels of views in a file, written where it isn't there yet.

    Args:
        arrays: starts to read the views.
        first: where each view begins, and where the last one ends.
        keys: of each view, what changes when its pixels do.
        opaque: whether no image has an alpha channel, so that three values a pixel are enough.
        memory: bytes that may be spent.

    Raises:
        InputError: an image can't be read, or the disk has no room.
        WriteError: the system doesn't let the file be written.
    """
    channels, total = 3 if opaque else 4, int(first[-1])
    text = json.dumps([_FORM, channels, total, list(keys)])
    path = cache_folder() / f"{hashlib.sha256(text.encode()).hexdigest()[:24]}.pixels"
    header = _header(path, channels, total)
    if header is None:
        _tidy(path.parent)
        dtype = _TYPES[0]
        while (wider := _write(path, arrays, dtype, channels, total)) is not None:
            dtype = wider
        header = _header(path, channels, total)
        if header is None:
            raise WriteError(path, OSError("a file that changed at once"))
    with contextlib.suppress(OSError):
        os.utime(path)
    return _mapped(path, *header, (total, channels), memory)


def _mapped(
    path: Path, dtype: np.dtype, has_alpha: bool, shape: tuple[int, int], memory: int
) -> StoredPixels:
    """The file as an array that reads what is asked for."""
    with open_file(path) as file:
        # Private, so that torch may have it; nobody writes.
        pages = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    values = np.frombuffer(pages, dtype, shape[0] * shape[1], PAGE).reshape(shape)
    touched = _Resident(pages, memory // SHARE)
    return StoredPixels(as_tensor(values), top_of(dtype), has_alpha, path, touched.add)


class _Resident:
    """Gives pages of a file back before more than a share of the memory is theirs."""

    def __init__(self, pages: mmap.mmap, most: int) -> None:
        self._pages, self._most, self._count = pages, max(most // FAULT, 1), 0
        if sys.platform != "win32":
            pages.madvise(mmap.MADV_RANDOM)

    def add(self, pixels: int) -> None:
        """So many pixels were looked at, anywhere."""
        self._count += pixels
        if self._count >= self._most and sys.platform != "win32":
            self._count = 0
            self._pages.madvise(mmap.MADV_DONTNEED)


def _header(path: Path, channels: int, total: int) -> tuple[np.dtype, bool] | None:
    """Type and alpha of a whole file; None where it isn't there or isn't whole."""
    try:
        with open_file(path) as file:
            size = os.fstat(file.fileno()).st_size
            found = json.loads(file.read(PAGE))
        dtype = np.dtype(found["dtype"])
        whole = dtype in _TYPES and size == PAGE + total * channels * dtype.itemsize
        return (dtype, bool(found["has_alpha"])) if whole else None
    except (InputError, OSError, ValueError, KeyError, TypeError):
        return None


def _write(
    path: Path, arrays: Arrays, dtype: np.dtype, channels: int, total: int
) -> np.dtype | None:
    """Write the file whole or not at all; None, or the wider type that an image turned out to have.

    Raises:
        InputError: the disk has no room.
        WriteError: the system doesn't let it.
    """
    wider: list[np.dtype] = []

    def fill(temporary: Path) -> None:
        with open(temporary, "wb") as file:
            file.write(bytes(PAGE))
            has_alpha = _fill(file, arrays(), dtype, channels, wider)
            file.seek(0)
            about = {"polyfield": _FORM, "dtype": dtype.name, "has_alpha": has_alpha}
            file.write(json.dumps(about).encode().ljust(PAGE))

    _make_room(path, total * channels * dtype.itemsize)
    try:
        write_whole(path, fill)
    except _WiderError:
        return wider[0]
    return None


class _WiderError(Exception):
    """An image has more bits than those before it."""


def _fill(
    file: BinaryIO,
    arrays: Iterator[tuple[np.ndarray, np.ndarray | None, str]],
    dtype: np.dtype,
    channels: int,
    wider: list[np.dtype],
) -> bool:
    """Write the pixels of all views; whether one that counts is not opaque."""
    has_alpha = False
    for number, (given, kept, name) in enumerate(arrays):
        rgba = as_rgba(given, name)
        first_float = number == 0 and rgba.dtype.kind == "f" != dtype.kind
        if first_float or (rgba.dtype.kind == dtype.kind and rgba.itemsize > dtype.itemsize):
            wider.append(rgba.dtype)
            raise _WiderError
        has_alpha = has_alpha or not is_opaque(rgba, kept)
        file.write(np.ascontiguousarray(widened(rgba, dtype, name)[..., :channels]).data)
    return has_alpha


def _make_room(path: Path, need: int) -> None:
    """Make the folder, and raise before anything is read where its disk has no room.

    Raises:
        InputError: it has none.
        WriteError: the folder can't be made.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(path.parent).free
    except OSError as error:
        raise WriteError(path.parent, error) from None
    if need > free:
        raise InputError(
            f"room for {as_size(need)} of pixels in {shown(path.parent)}",
            f"{as_size(free)}",
            f"set {VARIABLE} to a folder on another disk, or give --downscale",
        )


def _tidy(folder: Path) -> None:
    """Remove files that nobody used for long."""
    now = time.time()
    with contextlib.suppress(OSError):
        for entry in os.scandir(folder):
            partial = entry.name.startswith(TEMPORARY)
            if not (partial or entry.name.endswith(".pixels")):
                continue
            with contextlib.suppress(OSError):
                age = now - entry.stat().st_mtime
                if age > (ABANDONED if partial else STALE):
                    os.unlink(entry.path)
