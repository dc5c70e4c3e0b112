"""A camera as a JSON object, in the form that a frame has in transforms.json."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from jaxtyping import Float
from torch import Tensor

from polyfield.errors import InputError
from polyfield.scenes.cameras import Camera
from polyfield.scenes.checks import FARTHEST, check_lens, check_pose
from polyfield.scenes.json_values import as_number, number
from polyfield.scenes.lens_keys import (
    COEFFICIENTS,
    merged_lens,
    panorama_focal,
    read_lens,
    write_lens,
)
from polyfield.scenes.viewpoints import check_size

SIZE = ("w", "h")
LENGTHS = ("fl_x", "fl_y")
ANGLES = (("camera_angle_x", "x_fov"), ("camera_angle_y", "y_fov"))
"""Of each axis, the field of view in radians and in degrees."""
CENTER = ("cx", "cy")
LENS_KEYS = (
    *SIZE, *LENGTHS, *sum(ANGLES, ()), *CENTER, *sorted(COEFFICIENTS), "camera_model", "is_fisheye",
)  # fmt: skip
"""What of a frame is read beside its pose."""
ANGLE_TOLERANCE = 0.2
"""Largest relative difference of a focal length from what its angle says."""

_GROUPS = (SIZE, (*LENGTHS, *sum(ANGLES, ())), CENTER)


def camera_object(camera: Camera) -> dict[str, Any]:
    """A camera as `read_camera` takes it."""
    return {
        "transform_matrix": camera.pose.tolist(),
        "w": camera.width,
        "h": camera.height,
        **{key: getattr(camera, key) for key in (*LENGTHS, *CENTER)},
        **write_lens(camera.lens),
    }


def read_camera(
    frame: Mapping[str, Any], shared: Mapping[str, Any], where: str, lens: Camera | None = None
) -> Camera:
    """A frame as a camera.

    What a frame says of its size, focal length, centre or distortion replaces what the file says of
    it, as a set: halves of two lenses are never mixed. `lens` stands for what neither says.

    Args:
        frame: With a transform_matrix, camera-to-world in OpenGL axes.
        shared: What all frames of the file have in common.
        where: What to call the frame in a message.
        lens: The size and focal length to take where there are none.

    Raises:
        InputError: a pose or lens that is impossible, missing, of a kind we don't have, or lengths
            in pixels of an image whose size isn't told.
    """
    kind = read_lens(merged_lens(frame, shared), where, "leave them out to see it by another lens")
    values = _merged(frame, shared, where)
    pose = read_pose(frame.get("transform_matrix"), "transform_matrix", where)
    width, height = _size(values, where, lens)
    focal_x, focal_y = (
        _focal(values, width, height, where)
        if kind.plane.has_axis
        else panorama_focal(values, width, height, where)
    )
    if focal_x is None or focal_y is None:
        if lens is None:
            raise InputError(f"fl_x or camera_angle_x in {where}", "neither", "add one")
        scale = min(width / lens.width, height / lens.height)
        focal_x, focal_y = lens.fl_x * scale, lens.fl_y * scale
    cx, cy = number(values, "cx", where), number(values, "cy", where)
    cx, cy = width / 2 if cx is None else cx, height / 2 if cy is None else cy
    check_lens((width, height), (focal_x, focal_y), (cx, cy), kind, where)
    if not (0 <= cx <= width and 0 <= cy <= height):
        raise InputError(
            f"cx cy inside the {width}x{height} image of {where}",
            f"{cx:g} {cy:g}",
            "give w h cx cy and the focal length of one image size",
        )
    return Camera(pose, width, height, focal_x, focal_y, cx, cy, kind)


def read_pose(matrix: Any, key: str, where: str) -> Float[Tensor, "4 4"]:
    """A JSON matrix, 4x4 or 3x4, nested or as one list, as a camera-to-world pose.

    Raises:
        InputError: none, not numbers, not a rigid motion, or farther away than float32 can tell.
    """
    if matrix is None:
        raise InputError(f"a {key} in {where}", "none", "add the 4x4 camera-to-world matrix")
    rows = matrix if isinstance(matrix, list) else []
    if len(rows) in (12, 16) and not any(isinstance(row, list) for row in rows):
        rows = [rows[at : at + 4] for at in range(0, len(rows), 4)]
    lengths = [len(row) if isinstance(row, list) else 0 for row in rows[:5]]
    if lengths not in ([4] * 3, [4] * 4):
        raise InputError(
            f"a 4x4 {key} in {where}",
            f"rows of length {lengths}" if rows else "no rows",
            "write four rows of four numbers",
        )
    expected = f"numbers in the {key} of {where}"
    pose = check_pose([[as_number(value, expected) for value in row] for row in rows], where)
    if float(pose[:3, 3].abs().max()) > FARTHEST:
        raise InputError(
            f"a camera within {FARTHEST:g} units of the origin in {where}",
            " ".join(f"{value:.3g}" for value in pose[:3, 3].tolist()),
            "correct the pose",
        )
    return pose


def _merged(frame: Mapping[str, Any], shared: Mapping[str, Any], where: str) -> dict[str, Any]:
    """The lens of a frame: each set of keys from the frame if it has one of them, else shared.

    Raises:
        InputError: a shared length in pixels beside a size of the frame's own.
    """
    values: dict[str, Any] = {}
    for group in _GROUPS:
        source = frame if any(frame.get(key) is not None for key in group) else shared
        values |= {key: source[key] for key in group if source.get(key) is not None}
    own = {key: frame[key] for key in SIZE if frame.get(key) is not None}
    other = own and any(own[key] != shared.get(key) for key in own)
    for key in (*LENGTHS, *CENTER):
        if other and key in values and frame.get(key) is None:
            raise InputError(
                f"{key} beside w and h in {where}",
                f"the file's {key}, which is for another size",
                f"write {key} into the frame, or leave out its w and h",
            )
    return values


def _size(values: Mapping[str, Any], where: str, lens: Camera | None) -> tuple[int, int]:
    """The image size; that of `lens` where nothing is for a size of the file's own."""
    width, height = number(values, "w", where), number(values, "h", where)
    if width is None and height is None and lens is not None:
        pixels = [key for key in (*LENGTHS, *CENTER) if key in values]
        if pixels:
            raise InputError(
                f"w and h beside {pixels[0]} in {where}",
                "neither",
                "add the image size that it is for; --size may still draw another",
            )
        return lens.width, lens.height
    whole = width is not None and height is not None and width % 1 == 0 and height % 1 == 0
    if width is None or height is None or not whole:
        raise InputError(
            f"whole w and h of at least 1 in {where}",
            f"{_words(width)}, {_words(height)}",
            "give both in pixels",
        )
    check_size(int(width), int(height), where)
    return int(width), int(height)


def _words(value: float | None) -> str:
    return "none" if value is None else f"{value:g}"


def _focal(
    values: Mapping[str, Any], width: int, height: int, where: str
) -> tuple[float | None, float | None]:
    """Focal lengths in pixels; lengths go before angles, one axis does for both.

    Raises:
        InputError: no angle agrees with its length: one is for another image size. One that
            agrees is enough: BlenderNeRF writes the angle of a sensor that isn't the image's.
    """
    found: list[float | None] = []
    wrong: list[str] = []
    agree = False
    for length_key, angle_keys, size in zip(LENGTHS, ANGLES, (width, height), strict=True):
        length = number(values, length_key, where)
        for key, unit in zip(angle_keys, (1.0, math.pi / 180), strict=True):
            angle = number(values, key, where)
            if angle is None:
                continue
            if not 0 < angle * unit < math.pi:
                limit = "pi (radians)" if unit == 1 else "180 (degrees)"
                raise InputError(
                    f"{key} between 0 and {limit} in {where}", f"{angle:g}", "correct it"
                )
            by_angle = size / 2 / math.tan(angle * unit / 2)
            if length is None:
                length = by_angle
            elif abs(length / by_angle - 1) <= ANGLE_TOLERANCE:
                agree = True
            else:
                wrong.append(f"{length:g} pixels, {by_angle:.4g} by the angle")
        found.append(length)
    if wrong and not agree:
        raise InputError(
            f"a focal length that agrees with its angle at {width}x{height} in {where}",
            wrong[0],
            "give w h and the focal length of one image size",
        )
    x, y = found
    return (x if x is not None else y), (y if y is not None else x)
