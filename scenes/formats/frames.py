"""What posed-picture formats share: reading JSON, finding pictures, checking frames, splitting."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from polyfield.errors import InputError
from polyfield.files import read_json
from polyfield.scenes.base import ReadOptions
from polyfield.scenes.cameras import Camera, Cameras
from polyfield.scenes.color import block_mean
from polyfield.scenes.formats.posed import Views
from polyfield.scenes.images import EXTENSIONS, ImageInfo, read_image, read_info

NAMED = 20
"""How many missing pictures a warning names before it only counts."""


@dataclass(frozen=True)
class Listed:
    """A frame of a file, with the picture it names."""

    frame: Mapping[str, object]
    """The frame as parsed."""
    where: str
    """What to call it in a message."""
    name: str
    """Its picture as the file names it, with forward slashes."""
    image: Path
    """The picture on disk."""
    info: ImageInfo
    """What the picture's first bytes say."""


@dataclass(frozen=True, eq=False)
class PosedImage:
    """A picture on disk and the camera that took it."""

    name: str
    """Its name in reports."""
    image: Path
    """The picture on disk."""
    camera: Camera
    """At the picture's full size."""


def read_object(path: Path) -> dict[str, object]:
    """A JSON file whose outermost value is an object.

    Raises:
        InputError: it can't be read or isn't such a file; the line is in the message.
    """
    value = read_json(path)
    if not isinstance(value, dict):
        raise InputError(
            f"a JSON object with frames in {path}", "another kind of value", "check the file"
        )
    return value


def number(values: Mapping[str, object], key: str, where: str) -> float | None:
    """A number of a JSON object, or None where the key is absent.

    Raises:
        InputError: the value isn't a number.
    """
    value = values.get(key)
    return None if value is None else as_number(value, f"a number for {key} in {where}")


def as_number(value: object, expected: str) -> float:
    """A JSON value that has to be a number.

    Args:
        value: as parsed.
        expected: what it has to be, for the message.

    Raises:
        InputError: it isn't a number.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InputError(expected, repr(value)[:40], "write it as a plain number")
    try:
        return float(value)
    except OverflowError:  # an integer of hundreds of digits
        return math.inf


def list_frames(
    content: Mapping[str, object], path: Path, options: ReadOptions
) -> tuple[list[Listed], list[str], list[str]]:
    """The frames of a parsed file that have a picture on disk.

    Args:
        content: the file, parsed.
        path: where it lies; picture names are relative to its folder.
        options: `strict` makes a missing picture an error.

    Returns:
        The frames in the file's order, the names of missing pictures, and one-line warnings.

    Raises:
        InputError: no frames, a frame without a picture name, or too many missing pictures.
    """
    frames = content.get("frames")
    if not isinstance(frames, list) or not frames:
        raise InputError(
            f'a list "frames" with at least one view in {path}',
            "zero views" if isinstance(frames, list) or frames is None else "something else",
            "check that the export finished",
        )
    listed: list[Listed] = []
    missing: list[str] = []
    for i, frame in enumerate(frames):
        name = frame.get("file_path") if isinstance(frame, dict) else None
        if not isinstance(name, str) or not name.strip():
            raise InputError(
                f"a file_path in frame {i} of {path}", "none", "add the path of its picture"
            )
        name = name.replace("\\", "/")
        image = find_image(path.parent, name)
        if image is None:
            missing.append(name)
            continue
        where = f"frame {i} ({name}) of {path}"
        listed.append(Listed(frame, where, name, image, read_info(image)))
    return listed, missing, _missing_policy(missing, len(frames), path, options)


def find_image(folder: Path, name: str) -> Path | None:
    """The picture a file names, with or without its ending; None where there is none."""
    given = folder / name
    if given.is_file():
        return given
    if given.suffix.lower() in EXTENSIONS:
        return None
    for ending in EXTENSIONS:
        candidate = given.with_name(given.name + ending)
        if candidate.is_file():
            return candidate
    return None


def _missing_policy(
    missing: Sequence[str], total: int, path: Path, options: ReadOptions
) -> list[str]:
    """Warnings about missing pictures; an error if strict or more than half are missing."""
    if not missing:
        return []
    names = ", ".join(missing[:NAMED])
    more = f" and {len(missing) - NAMED} more" if len(missing) > NAMED else ""
    count = f"{len(missing)} of {total}"
    if options.strict:
        raise InputError(
            f"every picture named in {path}",
            f"{count} missing: {names}{more}",
            "add them, or leave out --strict",
        )
    if 2 * len(missing) > total:
        raise InputError(
            f"at least half of the pictures named in {path}",
            f"{count} missing: {names}{more}",
            "check that file_path is relative to that file and that the pictures were copied",
        )
    return [f"{count} pictures named in {path} are missing and skipped: {names}{more}"]


def every_nth(count: int, every: int) -> tuple[list[int], list[int]]:
    """The split rule of formats without a split: every n-th from the first is for the test.

    Returns:
        Numbers of the training and of the test frames; `every` 0 keeps none for the test.
    """
    test = [i for i in range(count) if every and i % every == 0]
    return [i for i in range(count) if not every or i % every], test


def views_of(images: Sequence[PosedImage], options: ReadOptions) -> Views:
    """Posed pictures as the views of a split, shrunk as the options say.

    Raises:
        InputError: a picture is smaller than the downscale.
    """
    factor = options.downscale
    for image in images:
        if min(image.camera.width, image.camera.height) < factor:
            raise InputError(
                f"pictures of at least {factor}x{factor} pixels for downscale {factor}",
                f"{image.camera.width}x{image.camera.height} in {image.name}",
                "choose a smaller downscale",
            )

    def read(index: int) -> np.ndarray:
        array = read_image(images[index].image)
        return block_mean(array, factor, associated=array.dtype.kind == "f")

    cameras = Cameras.stack([image.camera.reduced(factor) for image in images])
    return Views(cameras, tuple(image.name for image in images), read)
