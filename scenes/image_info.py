"""What is known of an image file before its pixels are read, and how they are turned."""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np

from polyfield.errors import InputError, shown

MEND_FILE = "copy or export the file again"
AnyPath = str | os.PathLike[str]


@dataclass(frozen=True)
class ImageInfo:
    """What the first bytes of an image say."""

    width: int
    """Columns, as stored."""
    height: int
    """Rows, as stored."""
    has_alpha: bool
    """Whether it is read with an alpha channel."""
    is_float: bool
    """Whether its values are floats: linear light, colours multiplied by alpha."""
    channels: int = 3
    """Values a pixel it is read with."""
    orientation: int = 1
    """EXIF's number of how it is to be turned, 1 to 8; `read_image` doesn't turn it."""
    decoded: int = 0
    """Bytes in memory while it is read."""
    notes: tuple[str, ...] = ()
    """What of the file is not read, one line each, for the user to see."""


def damaged(path: AnyPath, why: str) -> InputError:
    """The error of a file that starts well."""
    return InputError(f"an image at {shown(path)}", f"a damaged file ({why})", MEND_FILE)


def several(path: AnyPath, count: str) -> InputError:
    """The error of a file with more than one image."""
    return InputError(f"one image in {shown(path)}", count, "save the one you mean by itself")


def unsupported(path: AnyPath, what: str) -> InputError:
    """The error of an image of a kind that would lose bits or change its meaning."""
    expected = f"8 or 16 bits a channel, or floats, in {shown(path)}"
    return InputError(expected, what, "save it as PNG or EXR")


def orientation_of(value: object) -> int:
    """EXIF's orientation, 1 where the number means nothing."""
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def upright(array: np.ndarray, orientation: int) -> np.ndarray:
    """Turn stored pixels the way EXIF says.

    Args:
        array: [h, w, c].
        orientation: 1 as it is, 2 mirrored, 3 turned by 180 degrees, 4 upside down, 5 transposed,
            6 to be turned by 90 degrees clockwise, 7 transposed the other way, 8 anticlockwise.

    Returns:
        [h, w, c], or [w, h, c] from 5 on.
    """
    if orientation >= 5:
        array = array.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        array = array[::-1]
    if orientation in (2, 3, 6, 7):
        array = array[:, ::-1]
    return np.ascontiguousarray(array)
