"""Intrinsics and poses as JSON has them: shared or per frame, lengths or angles -> cameras."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

from polyfield.errors import InputError
from polyfield.scenes.cameras import Camera
from polyfield.scenes.checks import check_lens, check_pose
from polyfield.scenes.formats.frames import Listed, PosedImage, as_number, number

MODELS = ("OPENCV", "PINHOLE", "SIMPLE_PINHOLE", "RADIAL", "SIMPLE_RADIAL")
"""Camera models that k1 k2 p1 p2 can express."""
OTHER_LENSES = ("is_fisheye", "ftheta", "latlong", "equirectangular", "orthographic")
"""Switches of instant-ngp for projections we don't have."""
FOCAL_KEYS = ("fl_x", "camera_angle_x")
ANGLE_TOLERANCE = 0.2
"""Largest relative difference of fl_x from what camera_angle_x says; resizing makes more."""


def posed_images(
    listed: Sequence[Listed], content: Mapping[str, object], path: Path
) -> list[PosedImage]:
    """The frames of a file with their cameras; a frame's own values go before the shared ones.

    Args:
        listed: frames with a picture.
        content: the file, parsed.
        path: the file, for messages.

    Raises:
        InputError: a pose or a lens is impossible, missing, of a kind we don't have, or contradicts
            its picture.
    """
    _check_one_size([frame for frame in listed if _shares_lens(frame.frame)], path)
    return [_posed(frame, content) for frame in listed]


def _check_one_size(frames: Sequence[Listed], path: Path) -> None:
    """Frames that share intrinsics must share a picture size.

    Raises:
        InputError: two sizes; both pictures are named.
    """
    for other in frames[1:]:
        first = frames[0]
        size, found = (first.info.width, first.info.height), (other.info.width, other.info.height)
        if size != found:
            raise InputError(
                f"one picture size under the shared intrinsics of {path}",
                f"{size[0]}x{size[1]} in {first.name} and {found[0]}x{found[1]} in {other.name}",
                "give each frame its own intrinsics, or make the pictures one size",
            )


def _shares_lens(frame: Mapping[str, object]) -> bool:
    """Whether a frame takes its focal length from the top of the file."""
    return not any(key in frame for key in FOCAL_KEYS)


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
    pose = check_pose(_matrix(listed), where)
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


def _matrix(listed: Listed) -> list[list[float]]:
    """The transform_matrix of a frame, 4x4; whether it is a pose, `check_pose` says.

    Raises:
        InputError: there is none, or it isn't four rows of four numbers.
    """
    matrix = listed.frame.get("transform_matrix")
    if matrix is None:
        raise InputError(
            f"a transform_matrix in {listed.where}", "none", "add the 4x4 camera-to-world matrix"
        )
    rows = matrix if isinstance(matrix, list) else []
    lengths = [len(row) if isinstance(row, list) else 0 for row in rows]
    if lengths != [4, 4, 4, 4]:
        raise InputError(
            f"a 4x4 transform_matrix in {listed.where}",
            f"rows of length {lengths}" if rows else "no rows",
            "write four rows of four numbers",
        )
    entry = f"a number in the transform_matrix of {listed.where}"
    return [[as_number(value, entry) for value in row] for row in rows]
