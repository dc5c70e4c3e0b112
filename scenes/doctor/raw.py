"""The JSON of a capture as it stands, whatever is wrong with it: what the doctor can still read.

Only for the formats whose poses are in transforms.json or transforms_SPLIT.json.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from polyfield.errors import InputError
from polyfield.files import read_json
from polyfield.scenes.camera_json import read_camera
from polyfield.scenes.cameras import Cameras
from polyfield.scenes.doctor.rows import Mend, Place, Values
from polyfield.scenes.doctor.shots import Shot, ideal_points
from polyfield.scenes.formats.headers import Header, read_header
from polyfield.scenes.formats.pictures import Pictures
from polyfield.scenes.images import read_image, upright

FILE = "transforms.json"
SPLITS = ("train", "val", "test")
_EYE = np.eye(4).tolist()


@dataclass(frozen=True)
class RawFrame:
    """A frame of a file."""

    place: Place
    split: str
    values: Mapping[str, Any]
    """As it stands."""
    name: str
    """Its file_path; "" where it has none."""
    image: Path | None
    """The image on disk; None where there is none."""
    header: Header | None
    """What the image's file says; None where it is missing or damaged."""
    damage: str = ""
    """What is wrong with the image; "" if nothing is, or it is missing."""
    outside: str = ""
    """That it lies outside the folder; "" if it doesn't."""
    turn: int = 1
    """EXIF's number of how its pixels are to be turned, once that is mended."""

    @property
    def matrix(self) -> Float[np.ndarray, "4 4"] | None:
        """The 4x4 matrix; None where there is none, or one that isn't made of numbers."""
        try:
            found = np.array(self.values.get("transform_matrix"), np.float64)
        except (TypeError, ValueError, OverflowError):
            return None
        if found.size in (12, 16) and found.ndim in (1, 2):
            found = found.reshape(-1, 4)
        if found.shape == (3, 4):
            found = np.vstack([found, [0.0, 0.0, 0.0, 1.0]])
        return found if found.shape == (4, 4) else None


@dataclass(frozen=True)
class Raw:
    """All files of a capture, and their frames."""

    folder: Path
    contents: Mapping[str, Values]
    """By the name of the file."""
    frames: Sequence[RawFrame]

    def values(self, frame: RawFrame) -> Values:
        """What holds for a frame: its own values before the shared ones."""
        shared = {k: v for k, v in self.contents[frame.place.file].items() if k != "frames"}
        return {**shared, **{k: v for k, v in frame.values.items() if v is not None}}

    def mended(self, mends: Sequence[Mend]) -> Raw:
        """The same capture with these changes; dropped frames leave their index unused."""
        contents = {name: dict(content) for name, content in self.contents.items()}
        turns: dict[Place, int] = {}
        for mend in mends:
            turns |= mend.turn
            if mend.shared is not None:
                contents = {name: mend.shared(content) for name, content in contents.items()}
        frames = []
        for frame in self.frames:
            values: Values | None = dict(frame.values)
            for mend in mends:
                if values is not None and mend.frame is not None:
                    values = mend.frame(frame.place, values)
            if values is not None:
                turn = turns.get(frame.place, frame.turn)
                frames.append(replace(frame, values=values, turn=turn))
        return Raw(self.folder, contents, frames)


def read_raw(path: Path, allow_outside: bool) -> Raw | None:
    """Read the JSON of a capture and look at its images.

    Args:
        path: the folder, or the file.
        allow_outside: also look at images that lie elsewhere.

    Returns:
        None where there is no such file.

    Raises:
        InputError: a file can't be read, or has no list of frames.
    """
    if path.is_file():
        if path.suffix.lower() != ".json":
            return None
        folder, files = path.parent, {"all": path}
    elif (path / FILE).is_file() and not (path / "transforms_train.json").is_file():
        folder, files = path, {"all": path / FILE}
    else:
        folder = path
        files = {split: path / f"transforms_{split}.json" for split in SPLITS}
        files = {split: file for split, file in files.items() if file.is_file()}
    contents: dict[str, Values] = {}
    frames = []
    for split, file in files.items():
        content = read_json(file)
        listed = content.get("frames") if isinstance(content, dict) else None
        if not isinstance(listed, list):
            raise InputError(f'a list "frames" in {file}', "none", "check the file")
        contents[file.name] = content
        pictures = Pictures(folder, allow_outside)
        for index, values in enumerate(listed):
            if isinstance(values, dict):
                frames.append(_frame(Place(file.name, index), split, values, pictures))
    return Raw(folder, contents, frames) if files else None


def _frame(place: Place, split: str, values: Values, pictures: Pictures) -> RawFrame:
    name = values.get("file_path")
    name = name.replace("\\", "/") if isinstance(name, str) else ""
    frame = RawFrame(place, split, values, name, None, None)
    try:
        image = pictures.find(name, f"frame {place.index}") if name else None
    except InputError as error:
        return replace(frame, outside=str(error))
    try:
        header = None if image is None else read_header(image)
    except InputError as error:
        return replace(frame, image=image, damage=str(error))
    return replace(frame, image=image, header=header)


def raw_shots(raw: Raw) -> list[Shot]:
    """The frames that have an image, a matrix and a lens."""
    found = []
    lenses: dict[tuple[Any, ...], Cameras | None] = {}
    for frame in raw.frames:
        matrix, header = frame.matrix, frame.header
        if matrix is None or header is None or frame.image is None:
            continue
        values = lens_values(raw, frame)
        key = tuple(str(values.get(key)) for key in (*_LENS, "w", "h"))
        if key not in lenses:
            lenses[key] = _lens(values)
        cameras = lenses[key]
        if cameras is None or not np.isfinite(matrix).all():
            continue
        found.append(
            Shot(
                frame.name,
                frame.split,
                matrix,
                (values["w"], values["h"]),
                (float(cameras.focal[0, 0]), float(cameras.focal[0, 1])),
                (float(cameras.center[0, 0]), float(cameras.center[0, 1])),
                ideal_points(cameras, 0),
                _reader(frame.image, frame.turn),
            )
        )
    return found


_LENS = (
    "fl_x", "fl_y", "camera_angle_x", "camera_angle_y", "x_fov", "y_fov", "cx", "cy",
    "k1", "k2", "k3", "k4", "p1", "p2", "camera_model", "is_fisheye",
)  # fmt: skip


def lens_values(raw: Raw, frame: RawFrame) -> Values:
    """A camera at the origin with the lens of a frame, for the size that its image has."""
    assert frame.header is not None, "only frames with an image"
    info, values = frame.header.info, raw.values(frame)
    width, height = (info.height, info.width) if frame.turn >= 5 else (info.width, info.height)
    lens = {key: values[key] for key in _LENS if values.get(key) is not None}
    return {**lens, "w": width, "h": height, "transform_matrix": _EYE}


def _lens(values: Values) -> Cameras | None:
    """The lens of a camera at the origin; None where it is impossible."""
    try:
        return Cameras.stack([read_camera(values, {}, "a frame")])
    except InputError:
        return None


def _reader(path: Path, turn: int) -> Callable[[], np.ndarray]:
    return lambda: upright(read_image(path), turn)


def number(values: Mapping[str, Any], key: str) -> float | None:
    """A finite number of a JSON object; None where it is none."""
    value = values.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        found = float(value)
    except OverflowError:
        return None
    return found if math.isfinite(found) else None


def relative(raw: Raw, path: Path) -> str:
    """Where an image is below the capture, with forward slashes; only its name if it isn't."""
    root, real = os.path.realpath(raw.folder), os.path.realpath(path)
    inside = os.path.commonpath([root, real]) == root
    return Path(os.path.relpath(real, root)).as_posix() if inside else path.name
