"""Pixels in a file: captures that are larger than the memory to be spent on them.

Pixels are read, not mapped: Linux maps up to 2 MB around each that is looked at, so that a few
thousand fill the memory. The file lies in the user's cache and is named by what the pixels come
from, so that `--resume`, `evaluate` and the next fit find it; one that wasn't used for a month goes
when another is written. Its first page is JSON, then come the pixels of all views, one after the
other.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch
from jaxtyping import Int64, Shaped
from torch import Tensor

from polyfield.errors import InputError, WriteError, shown
from polyfield.files import TEMPORARY, open_file, write_whole
from polyfield.memory import as_size
from polyfield.scenes.formats.pixels import (
    Rows,
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
    arrays: Arrays, first: Int64[Tensor, " edges"], keys: Sequence[str], opaque: bool
) -> StoredPixels:
    """The pixels of views in a file, written where it isn't there yet.

    Args:
        arrays: starts to read the views.
        first: where each view begins, and where the last one ends.
        keys: of each view, what changes when its pixels do.
        opaque: whether no image has an alpha channel, so that three values a pixel are enough.

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
    dtype, has_alpha = header
    return StoredPixels(InFile(path, dtype, (total, channels)), top_of(dtype), has_alpha, path)


class InFile(Rows):
    """Pixels of a whole file, read when they are asked for."""

    def __init__(self, path: Path, dtype: np.dtype, shape: tuple[int, int]) -> None:
        """Keep the file open, so that it can be read even after it was removed."""
        # A bare file: a buffer would read thousands of bytes for each pixel.
        self._file = open(path, "rb", buffering=0)  # noqa: SIM115
        weakref.finalize(self, self._file.close)
        if hasattr(os, "posix_fadvise"):  # what lies beside a pixel isn't wanted
            os.posix_fadvise(self._file.fileno(), 0, 0, os.POSIX_FADV_RANDOM)
        self._dtype, self._shape, self._lock = dtype, shape, threading.Lock()
        self._path, self._size = path, dtype.itemsize * shape[1]

    def __len__(self) -> int:
        return self._shape[0]

    def at(self, index: Int64[Tensor, " n"]) -> Shaped[Tensor, "n c"]:
        """Pixels by their numbers."""
        places = (index * self._size + PAGE).tolist()
        size = self._size
        if hasattr(os, "pread"):
            number, read = self._file.fileno(), os.pread
            parts = [read(number, size, place) for place in places]
        else:
            with self._lock:
                parts = [self._read(size, place) for place in places]
        return self._rows(b"".join(parts), len(places))

    def between(self, first: int, last: int) -> Shaped[Tensor, "n c"]:
        """Pixels from one to before another."""
        with self._lock:
            found = self._read((last - first) * self._size, PAGE + first * self._size)
        return self._rows(found, last - first)

    def to(self, device: torch.device) -> InFile:
        """The same: they stay where they are."""
        return self

    def _read(self, size: int, place: int) -> bytes:
        self._file.seek(place)
        found = self._file.read(size)
        while 0 < len(found) < size and (more := self._file.read(size - len(found))):
            found += more
        return found

    def _rows(self, content: bytes, count: int) -> Shaped[Tensor, "n c"]:
        """As a tensor.

        Raises:
            InputError: the file was cut short since it was opened.
        """
        if len(content) != count * self._size:
            got = f"{shown(self._path)}, which was cut short"
            raise InputError("the file of pixels to stay as it is", got, "give --resume")
        values = np.frombuffer(bytearray(content), self._dtype)
        return as_tensor(values.reshape(-1, self._shape[1]))


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
