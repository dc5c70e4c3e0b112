"""Images of 8 bits through Pillow: JPEG, WebP, BMP, GIF, TIFF ... and no other of its readers.

Pillow would hand PostScript to another program, and cut what has more than 8 bits.
"""

from __future__ import annotations

import contextlib
import logging
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from polyfield.errors import shown
from polyfield.files import open_file
from polyfield.quiet import quiet_log, quiet_stderr
from polyfield.scenes.image_info import (
    AnyPath,
    ImageInfo,
    orientation_of,
    several,
    unsupported,
    upright,
)

if TYPE_CHECKING:
    from PIL import Image

FORMATS = ("JPEG", "WEBP", "BMP", "DIB", "GIF", "TIFF", "PPM", "AVIF")
"""Names of Pillow's readers that are used."""
_ORIENTATION = 0x0112
_BACK = {6: 8, 8: 6}
"""Orientations that undo another one; the rest undo themselves."""
_START = 4096
_PPM = re.compile(rb"P[56]\s+(?:#[^\n]*\n\s*)*\d+\s+(?:#[^\n]*\n\s*)*\d+\s+(?:#[^\n]*\n\s*)*(\d+)")


def pillow_info(path: AnyPath) -> ImageInfo:
    """What the header says.

    Raises:
        InputError: several images, or one that would lose bits.
    """
    with _opened(path) as image:
        mode = _mode(image, path)
        notes = []
        if image.format == "MPO":  # a JPEG with its preview, depth or gain map
            notes.append(f"of {shown(path)}, which holds several images, the first is read")
        elif _is_several(image):
            raise several(path, "an animation, or several pages")
        if image.mode == "CMYK":
            notes.append(f"{shown(path)} is CMYK, read as RGB without its colour profile")
        orientation = _orientation(image)
        # Pillow has turned a TIFF already.
        turned = image.format == "TIFF" and orientation >= 5
        width, height = image.size[::-1] if turned else image.size
        held = 4 if len(image.getbands()) > 1 or len(mode) > 1 else 1  # as Pillow stores a pixel
        return ImageInfo(
            width,
            height,
            has_alpha=mode[-1] == "A",
            is_float=False,
            channels=len(mode),
            orientation=orientation,
            decoded=width * height * 2 * (held + len(mode)),
            notes=tuple(notes),
        )


def read_pillow(path: AnyPath) -> np.ndarray:
    """All pixels as they are stored, uint8 [h, w] or [h, w, 2-4]."""
    with _opened(path) as image:
        orientation = _orientation(image)
        array = np.asarray(image.convert(_mode(image, path)))
        if image.format != "TIFF":
            return array
        return upright(array, _BACK.get(orientation, orientation))  # Pillow has turned it


def write_jpeg(array: np.ndarray, path: Path) -> None:
    """Write [h, w, 1 or 3] of uint8."""
    from PIL import Image

    Image.fromarray(array if array.shape[2] == 3 else array[:, :, 0]).save(path, quality=95)


@contextlib.contextmanager
def _opened(path: AnyPath) -> Iterator[Image.Image]:
    """A file in Pillow, without warnings and without its limit: large images are a use of ours.

    Who reads the pixels has asked for the memory before.
    """
    from PIL import Image

    with open_file(path, "an image") as file:
        _check_bits(file.read(_START), path)
        file.seek(0)
        limit = Image.MAX_IMAGE_PIXELS
        Image.MAX_IMAGE_PIXELS = None
        formats = (*FORMATS, "TGA") if Path(path).suffix.lower() == ".tga" else FORMATS
        try:
            # It logs as errors what it raises too.
            with warnings.catch_warnings(), quiet_log("PIL", logging.CRITICAL), quiet_stderr():
                warnings.simplefilter("ignore")
                with Image.open(file, formats=formats) as image:
                    yield image
        finally:
            Image.MAX_IMAGE_PIXELS = limit


def _check_bits(start: bytes, path: AnyPath) -> None:
    """Raise for files of more than 8 bits that Pillow cuts without a word."""
    if start[4:8] == b"ftyp" and (at := start.find(b"av1C")) >= 0:
        if len(start) > at + 6 and start[at + 6] & 0x40:
            raise unsupported(path, "AVIF of more than 8 bits")
    found = _PPM.match(start)
    if found and len(found[1]) > 2 and int(found[1][:9]) > 255:
        raise unsupported(path, f"values up to {found[1][:9].decode()}")


def _mode(image: Image.Image, path: AnyPath) -> str:
    """The 8-bit mode an image is read as; a transparent colour becomes alpha."""
    clear = "transparency" in image.info
    if image.mode in ("L", "1"):
        return "LA" if clear else "L"
    if image.mode in ("LA", "La"):
        return "LA"
    if image.mode in ("P", "RGB"):
        return "RGBA" if clear else "RGB"
    if image.mode in ("RGBA", "RGBa", "PA"):
        return "RGBA"
    if image.mode in ("CMYK", "YCbCr", "RGBX"):
        return "RGB"
    raise unsupported(path, f"Pillow mode {image.mode}")


def _is_several(image: Image.Image) -> bool:
    try:
        image.seek(1)
    except EOFError:
        return False
    return True


def _orientation(image: Image.Image) -> int:
    try:
        return orientation_of(image.getexif().get(_ORIENTATION))
    except Exception:  # damaged notes about an image are no damage to the image
        return 1
