"""What the first and last bytes of images say before any is decoded: damage, turns, memory."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from polyfield.errors import InputError
from polyfield.memory import free_memory
from polyfield.scenes.images import ImageInfo, read_image, read_info
from polyfield.scenes.png import is_sound

_PNG = b"\x89PNG"
_PNG_END = b"IEND\xaeB`\x82"
_JPEG = b"\xff\xd8"
_JPEG_END = b"\xff\xd9"
VIEW = 200
"""Bytes per pixel that drawing and measuring a view takes, roughly: rays, colours, scores."""
_TAIL = 1 << 12
"""Bytes at the end of a file in which its end mark has to be."""


@dataclass(frozen=True)
class Header:
    """An image as its file describes it."""

    info: ImageInfo
    orientation: int
    """EXIF's: 1 is upright, 5 to 8 swap width and height."""
    depth: int
    """Bytes per channel of its pixels in memory."""


def read_header(path: Path) -> Header:
    """Look at an image without decoding it.

    A PNG or JPEG without its end mark, or a PNG whose sums are wrong, is decoded after all, so that
    damage is found now and not when the image is measured.

    Raises:
        InputError: no such file, not an image, or one cut short.
    """
    info = read_info(path)
    try:
        with open(path, "rb") as file:
            start = file.read(32)
            file.seek(max(os.fstat(file.fileno()).st_size - _TAIL, 0))
            tail = file.read()
    except OSError as error:
        raise InputError(f"an image at {path}", str(error.strerror), "check the path") from None
    end = _PNG_END if start.startswith(_PNG) else _JPEG_END if start.startswith(_JPEG) else b""
    if end not in tail or (start.startswith(_PNG) and not is_sound(path)):
        read_image(path)
    deep = start.startswith(_PNG) and start[24] == 16
    depth = 4 if info.is_float else 2 if deep else 1
    return Header(info, 1 if info.is_float else info.orientation, depth)


def memory_needed(
    sizes: Sequence[tuple[int, int]], depths: Sequence[int], factor: int
) -> tuple[int, int]:
    """Bytes of a split's pixels as RGBA, and what reading its largest image takes besides.

    Args:
        sizes: width and height of each image on disk.
        depths: bytes per channel of each.
        factor: the downscale.
    """
    if not sizes:
        return 0, 0
    deepest = max(depths)
    kept = sum((w // factor) * (h // factor) for w, h in sizes) * 4 * deepest
    # Decoded, and as float64 while blocks of it are averaged.
    whole = max(w * h * depth for (w, h), depth in zip(sizes, depths, strict=True))
    return kept, whole * (4 if factor == 1 else 4 + 4 * 4)


def check_memory(needed: int, what: str, factor: int) -> None:
    """Refuse to read what doesn't fit.

    Args:
        needed: bytes.
        what: the images, for the message.
        factor: the downscale in force.

    Raises:
        InputError: the machine has less free.
    """
    free = free_memory()
    if needed > free:
        shrink = next((f for f in range(factor + 1, 65) if needed * factor**2 < free * f**2), 64)
        raise InputError(
            f"memory for {what}: {needed / 1e9:.1f} GB",
            f"{free / 1e9:.1f} GB free",
            f"give --downscale {shrink} or more, or --memory 4GB to keep them in a file",
        )
