"""Key frames of a camera path, and the path through them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from polyfield.errors import InputError
from polyfield.scenes.cameras import Camera
from polyfield.scenes.interpolate import interpolate
from polyfield.scenes.path_formats import (
    CameraPath,
    Source,
    WrittenPath,
    read_camera_path,
    write_camera_path,
)
from polyfield.scenes.path_formats.nerfstudio import NerfstudioPath
from polyfield.scenes.path_formats.source import field_of_view
from polyfield.scenes.path_formats.transforms import TransformsPath
from polyfield.scenes.viewpoints import MAX_FRAMES, moved, with_field_of_view

FORMS: dict[str, WrittenPath] = {"polyfield": TransformsPath(), "nerfstudio": NerfstudioPath()}
"""What a path can be written as."""
MOST_KEYS = 12
"""Key frames that are made of a path that has none of its own."""


def sized(camera: Camera, size: tuple[int, int]) -> Camera:
    """A key frame as a pinhole of an image size, its vertical field of view kept."""
    width, height = size
    fov = field_of_view(moved(camera, camera.pose))
    focal = height / 2 / math.tan(math.radians(fov) / 2)
    return Camera(camera.pose, width, height, focal, focal, width / 2, height / 2)


def flight(keys: Sequence[Camera], frames: int) -> list[Camera]:
    """Smoothly through key frames of one size, their fields of view changing evenly between them.

    Args:
        keys: at least one; one alone stands still.
        frames: at least 1.
    """
    if len(keys) == 1:
        return [keys[0]] * frames
    angles, last = [field_of_view(key) for key in keys], len(keys) - 1
    found = []
    for index, camera in enumerate(interpolate(keys, frames)):
        at = last * index / max(frames - 1, 1)
        first = min(int(at), last - 1)
        angle = angles[first] + (at - first) * (angles[first + 1] - angles[first])
        found.append(with_field_of_view(camera, angle))
    return found


def frames_of(seconds: float, fps: float) -> int:
    """How many frames that is, within what a path can have."""
    return min(max(1, round(seconds * fps)), MAX_FRAMES)


def save_path(
    keys: Sequence[Camera], frames: int, fps: float, form: str, source: Source
) -> tuple[str, ...]:
    """Write a path and its key frames into a file; what the form can't say.

    Args:
        keys: of one size.
        frames: of the path.
        fps: frames per second.
        form: one of FORMS.
        source: the file, and the run's data.

    Raises:
        InputError: no key frames, or no such form.
        WriteError: the system doesn't let it.
    """
    if not keys:
        raise InputError("key frames to save", "none", "add some first")
    if form not in FORMS:
        raise InputError(f"one of {', '.join(FORMS)}", repr(form)[:40], "pick one of them")
    path = CameraPath(flight(keys, frames), fps, keys=tuple(keys))
    return write_camera_path(FORMS[form], path, source)


def load_path(source: Source) -> tuple[list[Camera], CameraPath]:
    """Key frames of a path of any form: its own, else some of its views; and the path itself.

    Raises:
        InputError: no such file, or no path.
    """
    found = read_camera_path(source)
    if found.keys:
        return list(found.keys), found
    count = min(len(found.cameras), MOST_KEYS)
    last = len(found.cameras) - 1
    return [found.cameras[round(last * i / max(count - 1, 1))] for i in range(count)], found


def file_in(folder: Path, name: str) -> Path:
    """A JSON file of that name in a folder: what a browser says never leads out of it.

    Raises:
        InputError: a name with a folder in it, or none.
    """
    stem = name.strip().removesuffix(".json")
    plain = stem.replace("-", "").replace("_", "").replace(" ", "")
    if not plain.isalnum() or len(stem) > 100:
        raise InputError("a name of letters, digits, - and _", repr(name)[:40], "choose another")
    return folder / f"{stem}.json"
