"""Photographs on disk: which files of a folder are images, and what their EXIF says of the lens."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from polyfield.errors import InputError, shown
from polyfield.files import open_file
from polyfield.quiet import quiet_stderr
from polyfield.scenes.formats.headers import read_header
from polyfield.scenes.formats.pictures import ENDINGS

FILM_DIAGONAL = math.hypot(36, 24)
"""Of 35 mm film, mm: what FocalLengthIn35mmFilm refers to."""
_EXIF = 0x8769
_MAKE, _MODEL = 0x010F, 0x0110
_FOCAL, _FOCAL_35 = 0x920A, 0xA405
_PLANE_X, _PLANE_UNIT = 0xA20E, 0xA210
_LENS = 0xA434
_UNITS = {2: 25.4, 3: 10.0, 4: 1.0}
"""Millimetres in EXIF's units of the sensor's resolution; 1 means none."""
_READERS = ("JPEG", "PNG", "TIFF", "WEBP")
"""Formats, in Pillow's words, that may carry EXIF."""
Exif = Mapping[int, Any]


@dataclass(frozen=True)
class Photograph:
    """An image file before it is decoded."""

    name: str
    """Path below its folder, with forward slashes."""
    path: Path
    width: int
    """Pixels, once it is turned upright."""
    height: int
    orientation: int
    """EXIF's: 1 is upright."""
    depth: int
    """Bytes of a value of its pixels."""
    focal: float | None
    """Focal length in pixels by EXIF; None where it says none."""
    device: str
    """Make, model, lens and zoom: images with the same words may share a lens."""


def photographs_in(
    folder: Path, count: Callable[[int, int], None]
) -> tuple[list[Photograph], list[str]]:
    """The images below a folder, in the order of their names, numbers by value.

    Args:
        folder: where to look; links to folders are not followed, hidden files passed over.
        count: called with how many files are looked at, and how many there are.

    Returns:
        The images, and one line on each image file that can't be used.

    Raises:
        InputError: no image in it.
    """
    names = sorted(_image_files(folder), key=_natural)
    found, refused = [], []
    for i, name in enumerate(names):
        count(i, len(names))
        try:
            found.append(_photograph(folder, name))
        except InputError as error:
            refused.append(f"{shown(name)} is left out: {error}")
    if not found:
        got = refused[0].partition(": ")[2] if refused else "none"
        raise InputError(
            f"photographs in {shown(folder)}", got, "give a folder of PNG or JPEG, or a video"
        )
    return found, refused


def _image_files(folder: Path) -> list[str]:
    names = []
    for place, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        below = Path(place).relative_to(folder)
        names += [
            (below / name).as_posix()
            for name in files
            if not name.startswith(".") and name.lower().endswith(ENDINGS)
        ]
    return names


def _natural(name: str) -> list[tuple[int, str]]:
    """What to sort by, so that image 10 comes after image 9."""
    return [
        (int(part[:18]), "") if part.isdigit() and part.isascii() else (-1, part)
        for part in re.split(r"(\d+)", name)
    ]


def _photograph(folder: Path, name: str) -> Photograph:
    path = folder / name
    header = read_header(path)
    info = header.info
    turned = header.orientation >= 5
    width, height = (info.height, info.width) if turned else (info.width, info.height)
    exif = _exif(path)
    focal = focal_of(exif, width, height)
    words = [str(exif.get(tag, "")).strip(" \0") for tag in (_MAKE, _MODEL, _LENS)]
    zoom = _number(exif.get(_FOCAL))
    device = " ".join([*filter(None, words), f"{zoom:.1f} mm" if zoom else ""]).strip()
    return Photograph(name, path, width, height, header.orientation, header.depth, focal, device)


def _exif(path: Path) -> Exif:
    """All of a file's EXIF in one mapping; nothing where there is none, or it is damaged."""
    from PIL import Image

    try:
        with quiet_stderr(), open_file(path) as file, Image.open(file, formats=_READERS) as image:
            exif = image.getexif()
            return {**dict(exif), **dict(exif.get_ifd(_EXIF))}
    except Exception:  # notes about an image are no part of it
        return {}


def focal_of(exif: Exif, width: int, height: int) -> float | None:
    """The focal length in pixels that EXIF tells, of an image of that size.

    From the length for 35 mm film, else from the length in mm and the sensor's resolution.
    """
    on_film = _number(exif.get(_FOCAL_35))
    if on_film:
        return _plausible(on_film / FILM_DIAGONAL * math.hypot(width, height), width, height)
    millimetres, per_unit = _number(exif.get(_FOCAL)), _number(exif.get(_PLANE_X))
    unit = _UNITS.get(exif.get(_PLANE_UNIT, 2))
    if not (millimetres and per_unit and unit):
        return None
    return _plausible(millimetres * per_unit / unit, width, height)


def _plausible(focal: float, width: int, height: int) -> float | None:
    """Only a field of view between some 5 and 150 degrees: shrunk copies keep false notes."""
    return focal if 0.13 < focal / max(width, height) < 12 else None


def _number(value: Any) -> float:
    """A number of EXIF, 0 where it is none."""
    try:
        found = float(value)
    except (TypeError, ValueError, ZeroDivisionError):
        return 0.0
    return found if math.isfinite(found) else 0.0
