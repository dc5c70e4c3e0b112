"""Intrinsics that a user knows: written out, from a transforms.json, from a COLMAP model."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from polyfield.errors import InputError, shown
from polyfield.files import one_line, read_json
from polyfield.quiet import quiet_stderr
from polyfield.scenes.checks import check_lens
from polyfield.scenes.lenses.opencv import OpenCV
from polyfield.scenes.sfm.library import pycolmap

_FORM = "fx,fy,cx,cy or fx,fy,cx,cy,k1,k2,p1,p2"
_KEYS = ("fl_x", "fl_y", "cx", "cy", "k1", "k2", "p1", "p2")


@dataclass(frozen=True)
class Intrinsics:
    """A pinhole with OpenCV's distortion."""

    fl_x: float
    """Pixels."""
    fl_y: float
    cx: float
    cy: float
    k1: float = 0.0
    k2: float = 0.0
    p1: float = 0.0
    p2: float = 0.0
    size: tuple[int, int] | None = None
    """Of the image they are for; None for whatever size the image has."""

    def scaled(self, x: float, y: float) -> Intrinsics:
        """The same lens over an image scaled by these factors."""
        return Intrinsics(
            self.fl_x * x,
            self.fl_y * y,
            self.cx * x,
            self.cy * y,
            self.k1,
            self.k2,
            self.p1,
            self.p2,
        )

    def distortion(self) -> tuple[float, float, float, float]:
        """k1, k2, p1, p2."""
        return self.k1, self.k2, self.p1, self.p2

    def model(self) -> str:
        """The plainest model of COLMAP that holds it."""
        return "OPENCV" if any(self.distortion()) else "PINHOLE"

    def params(self, model: str) -> tuple[float, ...]:
        """The parameters of a model of COLMAP, in its order."""
        mean = math.sqrt(self.fl_x * self.fl_y)
        center = (self.cx, self.cy)
        return {
            "SIMPLE_PINHOLE": (mean, *center),
            "PINHOLE": (self.fl_x, self.fl_y, *center),
            "SIMPLE_RADIAL": (mean, *center, self.k1),
            "RADIAL": (mean, *center, self.k1, self.k2),
            "OPENCV": (self.fl_x, self.fl_y, *center, *self.distortion()),
            "OPENCV_FISHEYE": (self.fl_x, self.fl_y, *center, 0.0, 0.0, 0.0, 0.0),
        }[model]


@dataclass(frozen=True)
class Known:
    """What a user knows, for all images or image by image."""

    shared: Intrinsics | None
    by_name: Mapping[str, Intrinsics]
    """By the last part of an image's name."""
    source: str
    """For messages."""

    def of(self, name: str, size: tuple[int, int]) -> Intrinsics:
        """The intrinsics of an image, for its size.

        Raises:
            InputError: none are known for it, or they are impossible for an image of that size.
        """
        found = self.by_name.get(name.rpartition("/")[2], self.shared)
        if found is None:
            raise InputError(
                f"intrinsics of {name} in {self.source}", "none", "add them, or leave the image out"
            )
        if found.size is not None:
            x, y = size[0] / found.size[0], size[1] / found.size[1]
            if abs(x / y - 1) > 0.02:
                raise InputError(
                    f"intrinsics for the shape of {name}, {size[0]}x{size[1]}",
                    f"{found.size[0]}x{found.size[1]} in {self.source}",
                    "give those of this image",
                )
            found = found.scaled(x, y)
        where = f"the intrinsics of {name}"
        lens = OpenCV(*found.distortion())
        check_lens(size, (found.fl_x, found.fl_y), (found.cx, found.cy), lens, where)
        if not (0 <= found.cx <= size[0] and 0 <= found.cy <= size[1]):
            raise InputError(
                f"cx cy inside the {size[0]}x{size[1]} image in {where}",
                f"{found.cx:g} {found.cy:g}",
                "give them in pixels of the images",
            )
        return found


def read_intrinsics(text: str) -> Known:
    """What `--intrinsics` says.

    Args:
        text: 4 to 8 numbers with commas, a transforms.json, or a folder with a COLMAP model.

    Raises:
        InputError: none of these, or one that can't be read.
    """
    numbers = _numbers(text)
    if numbers is not None:
        return Known(_intrinsics(numbers[:4], numbers[4:], None), {}, "--intrinsics")
    path = Path(text).expanduser()
    if path.is_dir() and not (path / "transforms.json").is_file():
        return _from_model(path)
    if not path.exists():
        raise InputError(
            f"--intrinsics {_FORM}, a transforms.json or a folder with a COLMAP model",
            repr(text[:60]),
            "check the numbers or the path",
        )
    return _from_json(path / "transforms.json" if path.is_dir() else path)


def _numbers(text: str) -> tuple[float, ...] | None:
    try:
        found = tuple(float(part) for part in text.split(","))
    except ValueError:
        return None
    if not 4 <= len(found) <= 8 or not all(map(math.isfinite, found)):
        raise InputError(f"--intrinsics {_FORM}", repr(text[:60]), "give 4 to 8 numbers in pixels")
    return found


def _from_json(path: Path) -> Known:
    content = read_json(path)
    frames = content.get("frames") if isinstance(content, dict) else None
    by_name = {}
    for frame in frames if isinstance(frames, list) else []:
        name = frame.get("file_path") if isinstance(frame, dict) else None
        if isinstance(name, str) and any(frame.get(key) is not None for key in _KEYS):
            by_name[os.path.basename(name.replace("\\", "/"))] = _of_keys(
                {**content, **frame}, path
            )
    shared = _of_keys(content, path) if isinstance(content, dict) and "fl_x" in content else None
    if shared is None and not by_name:
        raise InputError(f"fl_x fl_y cx cy in {shown(path)}", "none", "add them, in pixels")
    return Known(shared, by_name, str(path))


def _of_keys(values: Mapping[str, Any], path: Path) -> Intrinsics:
    numbers = {key: values.get(key) for key in (*_KEYS, "w", "h")}
    for key, value in numbers.items():
        missing = value is None and key in ("fl_x", "cx", "cy")
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if missing or (value is not None and not is_number):
            raise InputError(
                f"a number for {key} in {shown(path)}", repr(value)[:40], "write the intrinsics"
            )
    lens = [float(numbers[key] or 0.0) for key in _KEYS]
    if numbers["fl_y"] is None:
        lens[1] = lens[0]
    width, height = numbers["w"], numbers["h"]
    size = (int(width), int(height)) if width and height else None
    return _intrinsics(lens[:4], lens[4:], size)


def _intrinsics(
    pinhole: Sequence[float], terms: Sequence[float], size: tuple[int, int] | None
) -> Intrinsics:
    """From fl_x, fl_y, cx, cy and the first few of k1, k2, p1, p2."""
    fl_x, fl_y, cx, cy = pinhole
    k1, k2, p1, p2 = (*terms, *[0.0] * (4 - len(terms)))
    return Intrinsics(fl_x, fl_y, cx, cy, k1, k2, p1, p2, size)


def _from_model(path: Path) -> Known:
    library = pycolmap("intrinsics of a COLMAP model")
    places = [path, path / "0", path / "sparse" / "0"]
    place = next((p for p in places if list(p.glob("cameras.*"))), path)
    try:
        with quiet_stderr():
            model = library.Reconstruction(str(place))
    except Exception as error:  # COLMAP's own, of any class
        raise InputError(
            f"a COLMAP model in {shown(path)}", one_line(error)[-120:], "give its folder, sparse/0"
        ) from None
    by_name = {}
    for image in model.images.values():
        camera = model.cameras[image.camera_id]
        by_name[os.path.basename(image.name)] = of_camera(camera, str(path))
    return Known(None, by_name, str(path))


def of_camera(camera: Any, where: str) -> Intrinsics:
    """The intrinsics of pycolmap's camera.

    Raises:
        InputError: a lens that k1 k2 p1 p2 can't express.
    """
    name = camera.model.name
    rest = [float(camera.params[i]) for i in camera.extra_params_idxs()]
    terms = {"SIMPLE_PINHOLE": 0, "PINHOLE": 0, "SIMPLE_RADIAL": 1, "RADIAL": 2, "OPENCV": 4}
    if name not in terms:
        raise InputError(f"a camera of {', '.join(terms)} in {where}", name, "undistort the images")
    assert len(rest) == terms[name], (name, rest)
    focal = (camera.focal_length_x, camera.focal_length_y)
    center = (camera.principal_point_x, camera.principal_point_y)
    return _intrinsics((*focal, *center), rest, (camera.width, camera.height))
