"""The files of a COLMAP model: where they are, and whether binary ones are whole.

pycolmap reads on for ever where images.bin is cut short, so that each file is walked through first.
Source: COLMAP's documentation, "Output Format".
"""

from __future__ import annotations

import os
import struct
from pathlib import Path

from polyfield.errors import InputError, shown
from polyfield.files import read_bytes, read_start

FILES = ("cameras", "images", "points3D")
"""Of a model, each .bin or .txt."""
LARGEST = 1 << 34
"""Bytes of a file that are read at most."""
_PARAMETERS = (3, 4, 4, 5, 8, 8, 12, 5, 4, 5, 12, 16, 4, 5, 3, 4, 6, 2)
"""How many numbers each camera model has, by its number in COLMAP."""


def ending(folder: Path) -> str | None:
    """Whether a folder holds a model: .bin or .txt; None where it holds none."""
    for suffix in (".bin", ".txt"):
        if all(os.path.isfile(folder / f"{name}{suffix}") for name in FILES[:2]):
            return suffix
    return None


def registered(folder: Path) -> int:
    """How many images a model has, by the first bytes or the lines of its file."""
    if ending(folder) == ".bin":
        start = read_start(folder / "images.bin", 8, "a COLMAP model")
        return int(struct.unpack("<Q", start)[0]) if len(start) == 8 else 0
    lines = read_bytes(folder / "images.txt", "a COLMAP model", LARGEST).splitlines()
    return sum(not line.startswith(b"#") for line in lines) // 2


def check_whole(folder: Path) -> None:
    """Raise where a binary file of a model is cut short, or goes on after its end.

    Raises:
        InputError: one does, or is missing.
    """
    for name, walk in zip(FILES, (_cameras, _images, _points), strict=True):
        file = folder / f"{name}.bin"
        content = read_bytes(file, "a COLMAP model", LARGEST)
        try:
            end = walk(content)
        except (struct.error, IndexError, ValueError):
            end = -1
        if end != len(content):
            raise InputError(
                f"a whole file at {shown(file)}",
                f"{len(content)} bytes, which its counts don't agree with",
                "copy or export the model again",
            )


def _cameras(content: bytes) -> int:
    """Where the cameras end."""
    (count,), at = struct.unpack_from("<Q", content), 8
    for _ in range(count):
        _, model, _, _ = struct.unpack_from("<IiQQ", content, at)
        if model < 0:
            raise ValueError(model)
        at = _within(at + 24 + 8 * _PARAMETERS[model], content)
    return at


def _images(content: bytes) -> int:
    """Where the images end."""
    (count,), at = struct.unpack_from("<Q", content), 8
    for _ in range(count):
        name_end = content.index(b"\0", at + 64)
        (points,) = struct.unpack_from("<Q", content, name_end + 1)
        at = _within(name_end + 9 + 24 * points, content)
    return at


def _points(content: bytes) -> int:
    """Where the points end."""
    (count,), at = struct.unpack_from("<Q", content), 8
    for _ in range(count):
        (track,) = struct.unpack_from("<Q", content, at + 43)
        at = _within(at + 51 + 8 * track, content)
    return at


def _within(at: int, content: bytes) -> int:
    if at > len(content):
        raise ValueError(at)
    return at
