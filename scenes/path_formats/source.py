"""What every form of a camera path takes and gives, and the keys it says it knows."""

from __future__ import annotations

import contextlib
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from polyfield.errors import InputError
from polyfield.files import read_json
from polyfield.scenes.cameras import PINHOLE, Camera
from polyfield.scenes.json_values import number
from polyfield.scenes.viewpoints import MAX_FRAMES, check_frames

FRAMES = 60
"""Frames of a path that has no number of its own."""
FPS = 30.0
"""Frames per second of a path that is written and has none of its own."""
DATA_FILES = ("transforms.json", "transforms_train.json")


@dataclass(frozen=True, eq=False)
class Source:
    """A file of a camera path, and what the run knows that the file may leave open."""

    path: Path
    """The file."""
    lens: Camera
    """Whose image size and focal length stand where the path has none."""
    frames: int | None = None
    """How many views a path of key frames is drawn with; None for its own number, else 60."""
    data: Path | None = None
    """The data of the run, a folder or a JSON file; its shared keys say how other programs place
    it. It needn't be there."""


@dataclass(frozen=True, eq=False)
class CameraPath:
    """Views in the order of their frames, in the frame of the user's data."""

    cameras: list[Camera]
    """At least one."""
    fps: float | None = None
    """Frames per second where the path has them."""
    warnings: tuple[str, ...] = ()
    """One line each, for the user to see."""
    keys: tuple[Camera, ...] = ()
    """Views that an editor has drawn the path through, where it says so."""


@dataclass(frozen=True)
class Keys:
    """The keys of an object that a form knows."""

    read: frozenset[str]
    """What is used."""
    refused: re.Pattern[str] = re.compile(r"(?!)")
    """What changes the image in a way we can't draw: an error unless it is off."""
    passed_over: frozenset[str] = frozenset()
    """What doesn't change the image."""

    def unknown(self, objects: Iterable[Mapping[str, Any]]) -> list[str]:
        """Keys that are none of these, each once."""
        known = self.read | self.passed_over
        names = {key for entry in objects for key in entry}
        return sorted(n for n in names if n not in known and not self.refused.fullmatch(n))


def words(text: str) -> frozenset[str]:
    """A set of keys from words with blanks between."""
    return frozenset(text.split())


def unknown_keys(keys: Keys, objects: Iterable[Mapping[str, Any]], path: Path) -> tuple[str, ...]:
    """A warning that names keys nobody knows, if there are any."""
    names = keys.unknown(objects)
    shown = ", ".join(repr(name)[:30] for name in names[:6]) + (", ..." if names[6:] else "")
    return (f"keys that are not known in {path.name}, passed over: {shown}",) if names else ()


def list_of_objects(
    content: Mapping[str, Any], key: str, path: Path, limit: int = MAX_FRAMES
) -> list[dict[str, Any]]:
    """A list of objects under a key.

    Raises:
        InputError: another thing, or none or too many of them.
    """
    entries = content.get(key)
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise InputError(
            f'a list "{key}" of objects in {path}', repr(entries)[:40], "check the file"
        )
    if not entries:
        raise InputError(f'at least one view in "{key}" of {path}', "none", "export it again")
    check_frames(min(len(entries), limit + 1), f'"{key}" of {path}')
    return entries


def rate(content: Mapping[str, Any], path: Path) -> float | None:
    """Frames per second that a path asks for.

    Raises:
        InputError: not a number.
    """
    return number(content, "fps", str(path))


def field_of_view(camera: Camera) -> float:
    """Of the image's height, in degrees, as a path has it."""
    return 2 * math.degrees(math.atan(camera.height / 2 / camera.fl_y))


def lens_warnings(cameras: Sequence[Camera], path: Path) -> tuple[str, ...]:
    """The warning that a path can't say what the lens of its views is, if it can't.

    A path of other programs has square pixels, an optical axis in the image's middle and no
    distortion.
    """
    plain = all(
        math.isclose(camera.fl_x, camera.fl_y, rel_tol=1e-6)
        and math.isclose(camera.cx, camera.width / 2, abs_tol=1e-3)
        and math.isclose(camera.cy, camera.height / 2, abs_tol=1e-3)
        and camera.lens == PINHOLE
        for camera in cameras
    )
    if plain:
        return ()
    return (
        f"{path.name} can't say where the optical axis of its views is, nor their distortion or"
        " pixels that aren't square: it has the height's field of view alone",
    )


def shared_keys(data: Path | None) -> dict[str, Any] | None:
    """The keys that a capture's JSON has beside its frames; None where there is no such file."""
    if data is None:
        return None
    for place in (data, *(data / name for name in DATA_FILES)):
        with contextlib.suppress(InputError, OSError, ValueError):
            content = read_json(place) if place.is_file() else None
            if isinstance(content, dict):
                return {key: value for key, value in content.items() if key != "frames"}
    return None
