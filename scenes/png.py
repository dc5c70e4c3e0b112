"""PNG <-> arrays through imagecodecs, because Pillow cuts 16-bit colour to 8 bits."""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path
from typing import BinaryIO

import numpy as np

from polyfield.files import open_file, read_bytes
from polyfield.quiet import quiet_stderr
from polyfield.scenes.image_info import (
    AnyPath,
    ImageInfo,
    damaged,
    orientation_of,
    several,
)

MAGIC = b"\x89PNG\r\n\x1a\n"
_CHANNELS = {0: 1, 2: 3, 3: 3, 4: 2, 6: 4}
"""Colour type -> values a pixel, a palette's colours looked up."""
_EXIF_BYTES = 1 << 16


def png_info(path: AnyPath) -> ImageInfo:
    """What the chunks ahead of the pixels say.

    Raises:
        InputError: no PNG header, or an animation.
    """
    with open_file(path, "an image") as file:
        start = file.read(33)
        if len(start) < 33 or start[12:16] != b"IHDR" or start[25] not in _CHANNELS:
            raise damaged(path, "no PNG header")
        chunks = _chunks_before_pixels(file)
    width, height, depth, color_type = struct.unpack(">IIBB", start[16:26])
    frames = int.from_bytes(chunks.get(b"acTL", b"")[:4], "big")
    if frames > 1:
        raise several(path, f"an animation of {frames}")
    # Palettes (3) and plain colours (0, 2) may be made transparent by a chunk ahead of the pixels.
    clear = color_type in (0, 2, 3) and b"tRNS" in chunks
    channels = _CHANNELS[color_type] + clear
    decoded = width * height * channels * (2 if depth == 16 else 1)
    return ImageInfo(
        width,
        height,
        has_alpha=clear or color_type in (4, 6),
        is_float=False,
        channels=channels,
        orientation=_orientation(chunks.get(b"eXIf", b"")),
        decoded=decoded,
    )


def read_png(path: AnyPath) -> np.ndarray:
    """All pixels, uint8 or uint16; palettes become colours, a transparent colour alpha."""
    import imagecodecs

    content = read_bytes(path, "an image")
    with quiet_stderr():
        return imagecodecs.png_decode(content)


def is_sound(path: AnyPath) -> bool:
    """Whether the chunks of a PNG follow each other to its end and their sums are right.

    Reads the file, decodes nothing.
    """
    with open_file(path, "an image") as file:
        file.seek(8)
        while len(head := file.read(8)) == 8:
            content = file.read(int.from_bytes(head[:4], "big"))
            if zlib.crc32(content, zlib.crc32(head[4:])).to_bytes(4, "big") != file.read(4):
                return False
            if head[4:] == b"IEND":
                return True
    return False


def write_png(array: np.ndarray, path: Path) -> None:
    """Write [h, w, 1-4] of uint8 or uint16."""
    import imagecodecs

    path.write_bytes(imagecodecs.png_encode(array if array.shape[2] > 1 else array[:, :, 0]))


def _chunks_before_pixels(file: BinaryIO) -> dict[bytes, bytes]:
    """Names of the chunks from after the header to the pixels; the content of the small ones."""
    found: dict[bytes, bytes] = {}
    while len(head := file.read(8)) == 8 and head[4:] not in (b"IDAT", b"IEND"):
        length, name = int.from_bytes(head[:4], "big"), head[4:]
        kept = name in (b"acTL", b"eXIf") and length <= _EXIF_BYTES
        found[name] = file.read(length) if kept else b""
        file.seek(4 + (0 if kept else length), os.SEEK_CUR)
    return found


def _orientation(exif: bytes) -> int:
    """Orientation in a chunk of EXIF."""
    if not exif:
        return 1
    from PIL import Image

    tags = Image.Exif()
    try:
        tags.load(exif)
        return orientation_of(tags.get(0x0112))
    except Exception:  # damaged notes about an image are no damage to the image
        return 1
