"""Image files <-> arrays, in the type they are stored in.

PNG goes through imagecodecs, EXR through OpenEXR, TIFF of 16 bits or floats through libtiff, HEIC
through pillow-heif, the rest through a few of Pillow's readers, 8 bits. What can't be read without
losing bits, channels or images is refused, or named in `ImageInfo.notes`. `read_image` applies no
EXIF orientation: poses of a capture belong to the pixels as they are stored; `read_upright` does.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from polyfield.errors import InputError, shown
from polyfield.files import one_line, read_start, write_whole
from polyfield.memory import as_size, check_memory
from polyfield.scenes import exr, heic, pillow, png, tiff
from polyfield.scenes.color import from_float, linear_from_srgb, srgb_from_linear, to_float
from polyfield.scenes.image_info import MEND_FILE, AnyPath, ImageInfo, damaged, upright

__all__ = [
    "EXTENSIONS",
    "ImageInfo",
    "check_decoded",
    "from_float",
    "linear_from_srgb",
    "read_image",
    "read_info",
    "read_upright",
    "srgb_from_linear",
    "to_float",
    "upright",
    "write_image",
]

EXTENSIONS = (".png", ".jpg", ".jpeg", ".exr", ".PNG", ".JPG", ".JPEG", ".EXR")
"""Endings tried, in this order, for an image named without one."""
BOMB, RATIO = 1 << 28, 1500
"""An image that unpacks to more bytes than BOMB and RATIO times its file is refused: deflate makes
a thousand of one."""


def read_info(path: AnyPath) -> ImageInfo:
    """Size and kind of an image, without decoding it.

    Raises:
        InputError: no such file, not an image, several, or one that would lose bits.
    """
    with _reading(path) as start:
        if start.startswith(png.MAGIC):
            return png.png_info(path)
        if start.startswith(exr.MAGIC):
            return exr.exr_info(path)
        if start.startswith(tiff.MAGICS):
            layout = tiff.tiff_layout(path)
            return pillow.pillow_info(path) if layout.for_pillow else layout.info()
        if heic.is_heic(start):
            return heic.heic_info(path)
        return pillow.pillow_info(path)


def read_image(path: AnyPath) -> np.ndarray:
    """Read an image in its stored type, its rows as they are stored.

    Args:
        path: PNG (8, 16 bits; palettes become RGB or RGBA), EXR (half, float), TIFF (8, 16 bits,
            half, float), HEIC (8, 10, 12 bits), JPEG, WebP, BMP, GIF, PPM, AVIF, TGA (8 bits).

    Returns:
        [height, width, channels]: uint8, uint16, float16 or float32; 1 grey, 2 grey and alpha,
        3 RGB, 4 RGBA. Whole numbers with alpha are straight, floats multiplied by it.

    Raises:
        InputError: as `read_info`, or one cut short, or larger than the memory.
    """
    info = read_info(path)
    check_decoded(path, info)
    with _reading(path) as start:
        if start.startswith(png.MAGIC):
            array = png.read_png(path)
        elif start.startswith(exr.MAGIC):
            array = exr.read_exr(path)
        elif start.startswith(tiff.MAGICS) and not (layout := tiff.tiff_layout(path)).for_pillow:
            array = tiff.read_tiff(path, layout)
        elif heic.is_heic(start):
            array = heic.read_heic(path)
        else:
            array = pillow.read_pillow(path)
    array = array if array.ndim == 3 else array[:, :, None]
    if array.shape != (info.height, info.width, info.channels):
        raise damaged(path, "its size and its header differ")
    return array


def check_decoded(path: AnyPath, info: ImageInfo) -> None:
    """Raise where an image unpacks to more than the memory, or than an honest file would.

    Raises:
        InputError: more than is free; or more than `BOMB` bytes and `RATIO` times the file.
    """
    stored = max(os.path.getsize(path), 1)
    most, hint = max(BOMB, RATIO * stored), "shrink it with another program"
    size = f"{info.width}x{info.height} pixels"
    if info.decoded > most:
        allowed = f"at most {as_size(most)} of memory for the {as_size(stored)} of {shown(path)}"
        raise InputError(allowed, f"{size}, {as_size(info.decoded)}", hint)
    check_memory(f"{size} of {shown(path)}", info.decoded, hint)


def read_upright(path: AnyPath) -> tuple[np.ndarray, ImageInfo]:
    """Read an image as viewers show it, turned by its EXIF orientation; and what its header says.

    Raises:
        InputError: as `read_image`.
    """
    info = read_info(path)
    return upright(read_image(path), info.orientation), info


def can_hold(suffix: str, dtype: np.dtype[Any], channels: int) -> bool:
    """Whether `write_image` writes such values into files of an ending, in small letters."""
    if suffix in (".jpg", ".jpeg"):
        return dtype == np.uint8 and channels in (1, 3)
    types = {".png": (np.uint8, np.uint16), ".exr": (np.float16, np.float32)}
    return dtype in types.get(suffix, ())


def write_image(path: str | os.PathLike[str], array: np.ndarray) -> None:
    """Write an image so that no half of it can ever be seen under its name.

    Args:
        path: .png (uint8, uint16), .jpg (uint8, 1 or 3 channels) or .exr (float16, float32).
        array: [height, width] or [height, width, 1-4].

    Raises:
        InputError: the ending and the type of the values don't go together.
        WriteError: the system doesn't let it.
    """
    path = Path(path)
    array = array[:, :, None] if array.ndim == 2 else array
    assert array.ndim == 3 and 1 <= array.shape[2] <= 4, array.shape
    array = np.ascontiguousarray(array)
    suffix = path.suffix.lower()
    if not can_hold(suffix, array.dtype, array.shape[2]):
        raise InputError(
            ".png for 8 or 16 bits, .jpg for 8 bits without alpha, .exr for floats",
            f"{path.name} for {array.shape[2]} channels of {array.dtype.name}",
            "choose another ending",
        )
    encode: Callable[[np.ndarray, Path], None]
    if suffix == ".png":
        encode = png.write_png
    else:
        encode = exr.write_exr if suffix == ".exr" else pillow.write_jpeg
    write_whole(path, lambda temporary: encode(array, temporary))


@contextlib.contextmanager
def _reading(path: AnyPath) -> Iterator[bytes]:
    """The first bytes of a file; what a decoder raises becomes one InputError naming it."""
    start = read_start(path, 64, "an image")
    if not start:
        raise InputError(f"an image at {shown(path)}", "an empty file", MEND_FILE)
    try:
        yield start
    except InputError:
        raise
    except MemoryError:
        hint = "shrink it with another program"
        raise InputError(f"an image at {shown(path)}", "more than the memory holds", hint) from None
    except Exception as error:  # decoders raise whatever they like on damaged files
        text = one_line(error)
        if "cannot identify" in text:
            got = "a file that isn't an image"
            raise InputError(f"an image at {shown(path)}", got, _mend(start)) from None
        raise damaged(path, text) from None


def _mend(start: bytes) -> str:
    """What helps with a file of a kind that is not read."""
    known = start.startswith((b"%!PS", b"%PDF", b"8BPS", b"\0\0\0\x0cjP")) or start[4:8] == b"ftyp"
    return "save it as PNG, JPEG or EXR" if known else MEND_FILE
