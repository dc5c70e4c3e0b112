"""Intrinsics and poses as JSON has them: shared or per frame, lengths or angles -> cameras."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch

from polyfield.errors import InputError
from polyfield.scenes.cameras import Camera
from polyfield.scenes.checks import check_lens, check_pose
from polyfield.scenes.formats.depth_keys import depth_scale
from polyfield.scenes.formats.frames import PosedImage
from polyfield.scenes.formats.keys import FOCAL, PRINCIPAL, SIZE, TRANSPARENT
from polyfield.scenes.formats.listing import Listed
from polyfield.scenes.json_values import as_number, number
from polyfield.scenes.lens_keys import is_set, merged_lens, panorama_focal, read_lens

ANGLE_TOLERANCE = 0.2
"""Largest relative difference of fl_x from what camera_angle_x says; resizing makes more."""


def posed_images(
    listed: Sequence[Listed], content: Mapping[str, object], path: Path
) -> tuple[list[PosedImage], list[str]]:
    """The frames of a file with their cameras; a frame's own values go before the shared ones.

    Args:
        listed: frames with an image.
        content: the file, parsed.
        path: the file, for messages.

    Returns:
        The frames with their cameras, and one-line warnings.

    Raises:
        InputError: a pose or a lens is impossible, missing, of a kind we don't have, or contradicts
            its image; or all poses are the same.
    """
    _check_one_size([frame for frame in listed if _shares_lens(frame.frame, content)], path)
    disagreeing: list[str] = []
    images = [_posed(frame, content, disagreeing) for frame in listed]
    check_different(images, str(path))
    if not disagreeing:
        return images, []
    return images, [f"{disagreeing[0]}: the focal lengths are used"]


def aabb_scale(content: Mapping[str, object], path: Path) -> float:
    """How many unit cubes of instant-ngp the scene fills; above 1 there is something outside.

    Raises:
        InputError: not a number above zero.
    """
    scale = number(content, "aabb_scale", str(path))
    if scale is not None and not (math.isfinite(scale) and scale > 0):
        raise InputError(f"an aabb_scale above 0 in {path}", f"{scale:g}", "write 1, 2, 4, 8 ...")
    return 1.0 if scale is None else scale


def check_different(images: Sequence[PosedImage], where: str) -> None:
    """Raise if two or more images have one and the same pose.

    Args:
        images: posed.
        where: the data, for the message.

    Raises:
        InputError: they have.
    """
    poses = [image.camera.pose for image in images]
    if len(poses) > 1 and all(torch.equal(pose, poses[0]) for pose in poses):
        raise InputError(
            f"poses that differ in {where}",
            f"the same pose in all {len(poses)} frames, {images[0].name} to {images[-1].name}",
            "pose the capture again",
        )


def _check_one_size(frames: Sequence[Listed], path: Path) -> None:
    """Frames that share intrinsics must share an image size.

    Raises:
        InputError: two sizes; both images are named.
    """
    for other in frames[1:]:
        first = frames[0]
        one, two = first.header.info, other.header.info
        if (one.width, one.height) != (two.width, two.height):
            raise InputError(
                f"one image size under the shared intrinsics of {path}",
                f"{one.width}x{one.height} in {first.name} and {two.width}x{two.height} in"
                f" {other.name}",
                "give each frame its own intrinsics, or make the images one size",
            )


def _shares_lens(frame: Mapping[str, object], content: Mapping[str, object]) -> bool:
    """Whether a frame takes its focal length or its optical axis from the top of the file."""
    if not any(frame.get(key) is not None for key in FOCAL):
        return True
    return any(content.get(key) is not None and frame.get(key) is None for key in PRINCIPAL)


def _merged(content: Mapping[str, object], frame: Mapping[str, object]) -> dict[str, object]:
    """A frame's values before the shared ones.

    Focal lengths are a set: a frame that gives one of them gives all.
    """
    own = {key: value for key, value in frame.items() if value is not None}
    shared = dict(content)
    if any(key in FOCAL for key in own):
        shared = {key: value for key, value in shared.items() if key not in FOCAL}
    return {**shared, **own}


def _posed(listed: Listed, content: Mapping[str, object], disagreeing: list[str]) -> PosedImage:
    """A frame with its camera; angles that disagree with lengths are added to a list."""
    values = _merged(content, listed.frame)
    where, info = listed.where, listed.header.info
    lens = read_lens(merged_lens(listed.frame, content), where, "undistort the images first")
    width, height = info.width, info.height
    _check_size(values, listed)
    fl_x, fl_y = (
        _focal(values, (width, height), where, disagreeing)
        if lens.plane.has_axis
        else panorama_focal(values, width, height, where)
    )
    cx, cy = number(values, "cx", where), number(values, "cy", where)
    cx, cy = width / 2 if cx is None else cx, height / 2 if cy is None else cy
    check_lens((width, height), (fl_x, fl_y), (cx, cy), lens, where)
    if not (0 <= cx <= width and 0 <= cy <= height):
        raise InputError(
            f"cx cy inside the {width}x{height} image in {where}",
            f"{cx:g} {cy:g}",
            "the intrinsics are for another image size: scale them with the image",
        )
    pose = check_pose(_matrix(listed), where)
    camera = Camera(pose, width, height, fl_x, fl_y, cx, cy, lens)
    transparent = tuple(key for key in TRANSPARENT if is_set(values.get(key)))
    return PosedImage(
        listed.name,
        listed.image,
        camera,
        listed.header,
        transparent,
        listed.mask,
        depth=listed.depth,
        depth_scale=depth_scale(values, where),
        time=number(values, "time", where),
    )


def _check_size(values: Mapping[str, object], listed: Listed) -> None:
    """Raise where w and h say another size than the image has."""
    info = listed.header.info
    given = [number(values, key, listed.where) for key in ("w", "h")]
    turned = listed.header.orientation >= 5 and given == [info.height, info.width]
    for key, value, size in zip(("w", "h"), given, (info.width, info.height), strict=True):
        if value is not None and value != size:
            raise InputError(
                f"{key} = {size} in {listed.where}, as in its image",
                f"{value:g}",
                "its EXIF orientation is not applied: store the images turned"
                if turned
                else "scale w h fl_x fl_y cx cy with the image",
            )


def _focal(
    values: Mapping[str, object], size: tuple[int, int], where: str, disagreeing: list[str]
) -> tuple[float, float]:
    """Focal lengths in pixels, from lengths or angles; one of the two axes is enough.

    An angle that disagrees with its length is an error where nothing says that the length is for
    this image size: w and h, or the other axis. BlenderNeRF's angles are those of the sensor.
    """
    lengths: list[float | None] = []
    wrong: list[tuple[str, float, float]] = []
    agree = all(values.get(key) is not None for key in SIZE)
    for axis, pixels in zip("xy", size, strict=True):
        length = number(values, f"fl_{axis}", where)
        angles = {
            key: _from_angle(values, key, pixels, unit, where)
            for key, unit in ((f"camera_angle_{axis}", 1.0), (f"{axis}_fov", math.pi / 180))
        }
        for key, by_angle in angles.items():
            if length is not None and by_angle is not None:
                differs = abs(length / by_angle - 1) > ANGLE_TOLERANCE
                agree = agree or not differs
                wrong += [(key, length, by_angle)] if differs else []
            length = by_angle if length is None else length
        lengths.append(length)
    for key, length, by_angle in wrong:
        against = f"{length:g} pixels, against {by_angle:.5g} by the angle"
        if not agree:
            raise InputError(
                f"focal lengths that agree with the image size and {key} in {where}",
                against,
                "scale the intrinsics with the image, or remove the wrong one",
            )
        disagreeing.append(f"{key} disagrees with the focal length ({against}) in {where}")
    fl_x, fl_y = lengths
    fl_x = fl_x if fl_x is not None else fl_y
    fl_y = fl_y if fl_y is not None else fl_x
    if fl_x is None or fl_y is None:
        raise InputError(
            f"fl_x or camera_angle_x in {where}", "neither", "add it to the frame or the file"
        )
    return fl_x, fl_y


def _from_angle(
    values: Mapping[str, object], key: str, size: int, unit: float, where: str
) -> float | None:
    """Focal length in pixels from a field of view, `unit` radians each."""
    angle = number(values, key, where)
    if angle is None:
        return None
    if not 0 < angle * unit < math.pi:
        raise InputError(
            f"{key} between 0 and {'pi (radians)' if unit == 1 else '180 (degrees)'} in {where}",
            f"{angle:g}",
            "give the field of view",
        )
    return size / 2 / math.tan(angle * unit / 2)


def _matrix(listed: Listed) -> list[list[float]] | list[float]:
    """The transform_matrix of a frame: 4x4, 3x4 or flat; whether it is a pose, `check_pose` says.

    Raises:
        InputError: there is none, or it has another form.
    """
    matrix = listed.frame.get("transform_matrix")
    if matrix is None:
        raise InputError(
            f"a transform_matrix in {listed.where}", "none", "add the 4x4 camera-to-world matrix"
        )
    rows = matrix if isinstance(matrix, list) else []
    entry = f"a number in the transform_matrix of {listed.where}"
    if len(rows) in (12, 16) and not any(isinstance(row, list) for row in rows):
        return [as_number(value, entry) for value in rows]
    lengths = [len(row) if isinstance(row, list) else 0 for row in rows]
    if lengths not in ([4, 4, 4, 4], [4, 4, 4]):
        raise InputError(
            f"a 4x4 transform_matrix in {listed.where}",
            f"rows of length {lengths}"[:60] if rows else "no rows",
            "write four rows of four numbers",
        )
    return [[as_number(value, entry) for value in row] for row in rows]
