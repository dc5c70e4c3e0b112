"""transforms.json as instant-ngp and nerfstudio write it: one file, one list of frames."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from polyfield.encodings.errors import InputError
from polyfield.scenes.base import ReadOptions
from polyfield.scenes.bounds import scene_bounds
from polyfield.scenes.cameras import Camera
from polyfield.scenes.checks import check_lens, check_pose
from polyfield.scenes.color import to_float
from polyfield.scenes.frames import (
    Listed,
    PosedImage,
    check_one_size,
    every_nth,
    list_frames,
    matrix_of,
    number,
    read_object,
    views_of,
)
from polyfield.scenes.images import read_image
from polyfield.scenes.posed import PosedCapture

FILE = "transforms.json"
MODELS = ("OPENCV", "PINHOLE", "SIMPLE_PINHOLE", "RADIAL", "SIMPLE_RADIAL")
"""Camera models that k1 k2 p1 p2 can express."""
OTHER_LENSES = ("is_fisheye", "ftheta", "latlong", "equirectangular", "orthographic")
"""Switches of instant-ngp for projections we don't have."""
FOCAL_KEYS = ("fl_x", "camera_angle_x")
ANGLE_TOLERANCE = 0.2
"""Largest relative difference of fl_x from what camera_angle_x says; resizing makes more."""


@dataclass(frozen=True)
class Transforms:
    """A transforms.json, or a folder with one: shared or per-frame pinholes, k1 k2 p1 p2.

    Frames with a picture, sorted by file_path, give every `test_every`-th from the first to the
    test split. Things exist outside the bounds unless the pictures have alpha and aabb_scale is 1
    or absent. The bounds are automatic: instant-ngp's unit cube (user's -1.515 to 1.515) holds a
    quarter of the surfaces of its own fox, the box that the cameras look at nine tenths.
    """

    def build(self, path: str | os.PathLike[str], options: ReadOptions) -> PosedCapture:
        """Parse and check the file; pixels are read later.

        Args:
            path: the file or its folder.
            options: how to read it.

        Raises:
            InputError: the file, a frame, pose, lens or picture is not as it should be.
        """
        file = Path(path)
        file = file / FILE if file.is_dir() else file
        content = read_object(file)
        listed, missing, warnings = list_frames(content, file, options)
        listed = sorted(listed, key=lambda frame: frame.name)
        _check_each_once(listed, file)
        check_one_size([frame for frame in listed if _shares_lens(frame.frame)], file)
        images = [_posed(frame, content) for frame in listed]
        train, test = every_nth(len(images), options.test_every)
        if not train:
            raise InputError(
                f"at least two pictures for {file}, one of them for training",
                f"{len(images)}, kept for the test",
                "add pictures, or set test-every to 0",
            )
        views = {"train": views_of([images[i] for i in train], options)}
        if test:
            views["test"] = views_of([images[i] for i in test], options)
        aabb_scale = number(content, "aabb_scale", str(file)) or 1.0
        return PosedCapture(
            name=file.resolve().parent.name,
            path=str(path),
            bounds=scene_bounds(views["train"].cameras, options),
            unbounded=aabb_scale > 1 or not _has_alpha(listed[0]),
            color_space="linear" if listed[0].info.is_float else "srgb",
            views=views,
            frames_skipped=missing,
            warnings=warnings,
        )


def _check_each_once(listed: list[Listed], file: Path) -> None:
    """A picture listed twice could be trained on and tested on."""
    for before, after in zip(listed, listed[1:], strict=False):
        if before.name == after.name:
            raise InputError(
                f"each picture once in {file}", f"{after.name} twice", "remove one of its frames"
            )


def _shares_lens(frame: Mapping[str, object]) -> bool:
    """Whether a frame takes its focal length from the top of the file."""
    return not any(key in frame for key in FOCAL_KEYS)


def _has_alpha(listed: Listed) -> bool:
    """Whether the picture has pixels that aren't opaque; an alpha channel alone doesn't say so."""
    return listed.info.has_alpha and bool((to_float(read_image(listed.image)[..., -1:]) < 1).any())


def _posed(listed: Listed, content: Mapping[str, object]) -> PosedImage:
    """A frame with its camera; the frame's own values go before the shared ones."""
    values = {**content, **listed.frame}
    where = listed.where
    _check_model(values, where)
    width, height = listed.info.width, listed.info.height
    _check_size(values, listed)
    fl_x, fl_y = _focal(values, width, height, where)
    cx, cy = number(values, "cx", where), number(values, "cy", where)
    cx, cy = width / 2 if cx is None else cx, height / 2 if cy is None else cy
    k1, k2, p1, p2 = (number(values, key, where) or 0.0 for key in ("k1", "k2", "p1", "p2"))
    check_lens((width, height), (fl_x, fl_y), (cx, cy), (k1, k2, p1, p2), where)
    if not (0 <= cx <= width and 0 <= cy <= height):
        raise InputError(
            f"cx cy inside the {width}x{height} picture in {where}",
            f"{cx:g} {cy:g}",
            "the intrinsics are for another picture size: scale them with the picture",
        )
    pose = check_pose(matrix_of(listed), where)
    camera = Camera(pose, width, height, fl_x, fl_y, cx, cy, (k1, k2, p1, p2))
    return PosedImage(listed.name, listed.image, camera)


def _check_model(values: Mapping[str, object], where: str) -> None:
    """Raise for lenses that k1 k2 p1 p2 can't express; zero coefficients are fine."""
    model = values.get("camera_model", "OPENCV")
    others = [key for key in OTHER_LENSES if values.get(key)]
    others += [f"{key} = {values[key]}" for key in ("k3", "k4") if number(values, key, where)]
    if model not in MODELS:
        others.append(f"camera_model {model}")
    if others:
        raise InputError(
            f"a lens with k1 k2 p1 p2 ({', '.join(MODELS)}) in {where}",
            ", ".join(others),
            "undistort the pictures first",
        )


def _check_size(values: Mapping[str, object], listed: Listed) -> None:
    """Raise where w and h say another size than the picture has."""
    for key, size in (("w", listed.info.width), ("h", listed.info.height)):
        given = number(values, key, listed.where)
        if given is not None and given != size:
            raise InputError(
                f"{key} = {size} in {listed.where}, as in its picture",
                f"{given:g}",
                "scale w h fl_x fl_y cx cy with the picture",
            )


def _focal(
    values: Mapping[str, object], width: int, height: int, where: str
) -> tuple[float, float]:
    """Focal lengths in pixels, from lengths or angles; one of the two axes is enough."""
    by_length_x = number(values, "fl_x", where)
    by_length_y = number(values, "fl_y", where)
    by_angle_x = _from_angle(values, "camera_angle_x", width, where)
    by_angle_y = _from_angle(values, "camera_angle_y", height, where)
    for key, length, angle in (
        ("camera_angle_x", by_length_x, by_angle_x),
        ("camera_angle_y", by_length_y, by_angle_y),
    ):
        if length is not None and angle and abs(length / angle - 1) > ANGLE_TOLERANCE:
            raise InputError(
                f"focal lengths that agree with the picture size and {key} in {where}",
                f"{length:g} pixels, against {angle:.5g} by the angle",
                "scale the intrinsics with the picture, or remove the wrong one",
            )
    fl_x = by_length_x if by_length_x is not None else by_angle_x
    fl_y = by_length_y if by_length_y is not None else by_angle_y
    fl_x = fl_x if fl_x is not None else fl_y
    fl_y = fl_y if fl_y is not None else fl_x
    if fl_x is None or fl_y is None:
        raise InputError(
            f"fl_x or camera_angle_x in {where}", "neither", "add it to the frame or the file"
        )
    return fl_x, fl_y


def _from_angle(values: Mapping[str, object], key: str, size: int, where: str) -> float | None:
    """Focal length in pixels from a field of view in radians."""
    angle = number(values, key, where)
    if angle is None:
        return None
    if not 0 < angle < math.pi:
        raise InputError(
            f"{key} between 0 and pi (radians) in {where}",
            f"{angle:g}",
            "give the field of view in radians",
        )
    return size / 2 / math.tan(angle / 2)
