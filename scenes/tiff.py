"""TIFF -> arrays: 8 bits through Pillow; 16 bits and floats, which Pillow cuts, through libtiff."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import BinaryIO

import numpy as np

from polyfield.files import open_file, read_bytes
from polyfield.quiet import quiet_stderr
from polyfield.scenes.color import from_float, straight, to_float
from polyfield.scenes.image_info import (
    AnyPath,
    ImageInfo,
    damaged,
    orientation_of,
    several,
    unsupported,
)

MAGICS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_UINT, _FLOAT = 1, 3
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB = 0, 1, 2
_UNSPECIFIED, _PREMULTIPLIED, _STRAIGHT = 0, 1, 2
_TYPES = {1: "B", 3: "H", 4: "I", 16: "Q"}
"""Whole-number types of tags -> how struct spells them."""
_PAGES = 1000
"""Directories looked at."""


@dataclass(frozen=True)
class Tiff:
    """What the tags say of the only image of a file."""

    width: int
    height: int
    samples: int
    """Values a pixel, alpha included."""
    bits: int
    """Of each value."""
    kind: int
    """1: whole numbers from 0, 2: signed, 3: floats."""
    photometric: int
    """What the values mean: grey from white, grey from black, colours, a palette ..."""
    extra: tuple[int, ...]
    """What each value beside the colour is: 0 not said, 1 premultiplied alpha, 2 straight alpha."""
    planar: bool
    """Whether each channel is stored by itself."""
    orientation: int

    @property
    def for_pillow(self) -> bool:
        """Whether Pillow reads it whole."""
        return self.bits <= 8 and self.kind == _UINT

    def info(self) -> ImageInfo:
        """The image as the rest knows it; of one that is not for Pillow."""
        return ImageInfo(
            self.width,
            self.height,
            has_alpha=bool(self.extra),
            is_float=self.kind == _FLOAT,
            channels=self.samples,
            orientation=self.orientation,
            decoded=2 * self.width * self.height * self.samples * self.bits // 8,
        )


def tiff_layout(path: AnyPath) -> Tiff:
    """The tags of a TIFF.

    Raises:
        InputError: several images, or values that can't be read without a loss.
    """
    with open_file(path, "an image") as file:
        pages = _directories(file, path)
    whole = [tags for tags in pages if not tags.get(254, (0,))[0] & 1]  # no thumbnails
    if len(whole) > 1:
        raise several(path, f"{len(whole)} pages")
    tags = (whole or pages)[0]
    if not all(tags.get(key) for key in (256, 257)):
        raise damaged(path, "no size")
    bits, kinds = set(tags.get(258, (1,))), set(tags.get(339, (_UINT,)))
    samples = tags.get(277, (1,))[0]
    extra = tags.get(338, ())
    found = Tiff(
        tags[256][0],
        tags[257][0],
        samples,
        max(bits, default=1),
        max(kinds, default=_UINT),
        tags.get(262, (_BLACK_IS_ZERO,))[0],
        extra,
        planar=tags.get(284, (1,))[0] == 2,
        orientation=orientation_of(tags.get(274, (1,))[0]),
    )
    _check(found, len(bits) == len(kinds) == 1, path)
    return found


def read_tiff(path: AnyPath, layout: Tiff) -> np.ndarray:
    """A TIFF of 16 bits or floats, [h, w, c]: uint16, float16 or float32.

    Alpha as elsewhere: whole numbers are straight, floats are multiplied by it.
    """
    import imagecodecs

    content = read_bytes(path, "an image")
    with quiet_stderr():
        array = np.asarray(imagecodecs.tiff_decode(content))
    if layout.planar and array.ndim == 3:
        array = np.moveaxis(array, 0, -1)
    array = array if array.ndim == 3 else array[:, :, None]
    if array.shape != (layout.height, layout.width, layout.samples):
        raise damaged(path, "its size and its tags differ")
    if layout.photometric == _WHITE_IS_ZERO:
        array = np.concatenate([~array[..., :1], array[..., 1:]], axis=-1)
    if layout.extra == (_PREMULTIPLIED,) and layout.kind == _UINT:
        array = from_float(straight(to_float(array)), array.dtype)
    elif layout.extra == (_STRAIGHT,) and layout.kind == _FLOAT:
        with np.errstate(invalid="ignore", over="ignore"):  # what is not finite is found later
            array = np.concatenate([array[..., :-1] * array[..., -1:], array[..., -1:]], axis=-1)
    return np.ascontiguousarray(array)


def _check(found: Tiff, alike: bool, path: AnyPath) -> None:
    """Raise where reading it would lose something or make it up."""
    if len(found.extra) > 1 or found.extra == (_UNSPECIFIED,):
        raise unsupported(path, "a channel beside the colour that is not said to be alpha")
    if found.for_pillow:
        return
    if not alike or (found.kind, found.bits) not in {(_UINT, 16), (_FLOAT, 16), (_FLOAT, 32)}:
        kind = {_UINT: "whole numbers", 2: "signed numbers", _FLOAT: "floats"}
        raise unsupported(path, f"{kind.get(found.kind, 'numbers')} of {found.bits} bits")
    greys = (_BLACK_IS_ZERO, _WHITE_IS_ZERO) if found.kind == _UINT else (_BLACK_IS_ZERO,)
    colors = found.samples - len(found.extra)
    if not (found.photometric in greys and colors == 1 or found.photometric == _RGB == colors - 1):
        raise unsupported(path, f"colours of TIFF's kind {found.photometric} in {found.bits} bits")


def _directories(file: BinaryIO, path: AnyPath) -> list[dict[int, tuple[int, ...]]]:
    """The whole-number tags of each image of the file."""
    head = file.read(16)
    order, big = "<" if head[:2] == b"II" else ">", head[2:4] in (b"+\0", b"\0+")
    count, offset, entry = ("Q", "Q", 20) if big else ("H", "I", 12)
    at = 8 if big else 4
    try:
        (place,) = struct.unpack_from(order + offset, head, at)
        found: list[dict[int, tuple[int, ...]]] = []
        seen: set[int] = set()
        while place and place not in seen and len(found) < _PAGES:
            seen.add(place)
            file.seek(place)
            (entries,) = struct.unpack(order + count, file.read(struct.calcsize(count)))
            if entries > 4096:
                raise damaged(path, "a directory of too many tags")
            block = file.read(entries * entry)
            (place,) = struct.unpack(order + offset, file.read(struct.calcsize(offset)))
            found.append(_tags(file, block, order, entry))
    except (struct.error, OSError, OverflowError, ValueError):
        raise damaged(path, "its directory is cut short") from None
    if not found:
        raise damaged(path, "no image in it")
    return found


def _tags(file: BinaryIO, block: bytes, order: str, entry: int) -> dict[int, tuple[int, ...]]:
    """Whole-number tags of one directory that have at most 16 values."""
    length, value = ("Q", 12) if entry == 20 else ("I", 8)
    found: dict[int, tuple[int, ...]] = {}
    for start in range(0, len(block) - entry + 1, entry):
        tag, kind = struct.unpack_from(order + "HH", block, start)
        (count,) = struct.unpack_from(order + length, block, start + 4)
        if kind not in _TYPES or not 1 <= count <= 16:
            continue
        form = f"{order}{count}{_TYPES[kind]}"
        size = struct.calcsize(form)
        if size <= entry - value:
            found[tag] = struct.unpack_from(form, block, start + value)
        else:
            file.seek(struct.unpack_from(order + length, block, start + value)[0])
            found[tag] = struct.unpack(form, file.read(size))
    return found
