"""Changes of a capture's JSON: what `--fix` does."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from functools import partial

import numpy as np

from polyfield.scenes.doctor.conventions import Convention
from polyfield.scenes.doctor.rows import Mend, Place, Values

ANGLES = ("camera_angle_x", "camera_angle_y")
_SIDES = {"w": 0, "h": 1, "fl_x": 0, "fl_y": 1, "cx": 0, "cy": 1}
"""Keys in pixels -> the side they belong to."""
_TERMS = ("k1", "k2", "k3", "k4", "p1", "p2")


def drop(places: Iterable[Place], why: str) -> Mend:
    """Leave frames out.

    Args:
        places: which.
        why: for the report: "without an image".
    """
    gone = frozenset(places)
    what = f"drop {len(gone)} frame{'' if len(gone) == 1 else 's'} {why}"
    return Mend(what, frame=lambda place, values: None if place in gone else values)


def reread(convention: Convention) -> Mend:
    """Write poses as camera-to-world in OpenGL axes."""
    return Mend(
        f"read the matrices as {convention.words}", frame=_matrices(lambda m: convention.read(m))
    )


def orthonormal() -> Mend:
    """Replace the upper-left block of each pose by the nearest rotation, or mirror, to it."""

    def nearest(matrices: np.ndarray) -> np.ndarray:
        found = matrices.copy()
        u, _, v = np.linalg.svd(matrices[:, :3, :3])
        found[:, :3, :3] = u @ v
        return found

    return Mend("make the rotations orthonormal", frame=_matrices(nearest))


def scale_focal(scale: float) -> Mend:
    """Multiply focal lengths."""

    def change(values: Values) -> Values:
        found = dict(values)
        for key in ("fl_x", "fl_y"):
            _replace(found, key, lambda length: length * scale)
        for key in ANGLES:
            _replace(found, key, lambda angle: 2 * math.atan(math.tan(angle / 2) / scale))
        for key in ("x_fov", "y_fov"):
            _replace(
                found,
                key,
                lambda angle: math.degrees(
                    2 * math.atan(math.tan(math.radians(angle) / 2) / scale)
                ),
            )
        return found

    return _both(f"multiply the focal lengths by {scale:.4g}", change)


def scale_pixels(x: float, y: float) -> Mend:
    """Scale all intrinsics in pixels to the images' size."""

    def change(values: Values) -> Values:
        found = dict(values)
        for key, side in _SIDES.items():
            factor = (x, y)[side]
            whole = key in ("w", "h")
            _replace(found, key, partial(_scaled, factor=factor, is_whole=whole))
        return found

    return _both(f"scale the intrinsics by {x:.4g}, {y:.4g}", change)


def radians() -> Mend:
    """Write camera angles that are in degrees in radians."""

    def change(values: Values) -> Values:
        found = dict(values)
        for key in ANGLES:
            _replace(found, key, lambda a: math.radians(a) if a > math.pi else a)
        return found

    return _both("write the camera angles in radians", change)


def flip_distortion(factor: float) -> Mend:
    """Multiply the terms of distortion: -1 for the other sign, 0 for none."""

    def change(values: Values) -> Values:
        found = dict(values)
        for key in _TERMS:
            _replace(found, key, lambda term: term * factor)
        return found

    return _both("negate the distortion" if factor else "remove the distortion", change)


def turn(images: Mapping[Place, int]) -> Mend:
    """Store images upright, so that programs that heed EXIF and those that don't see the same."""
    return Mend(f"store {len(images)} images without an EXIF orientation", turn=images)


def _scaled(value: float, factor: float, is_whole: bool) -> float:
    return round(value * factor) if is_whole else value * factor


def _replace(values: Values, key: str, change: Callable[[float], float]) -> None:
    value = values.get(key)
    if isinstance(value, int | float) and not isinstance(value, bool):
        values[key] = change(float(value))


def _both(what: str, change: Callable[[Values], Values]) -> Mend:
    """A change of lens keys wherever they stand."""
    return Mend(what, frame=lambda _, values: change(values), shared=change)


def _matrices(
    change: Callable[[np.ndarray], np.ndarray],
) -> Callable[[Place, Values], Values | None]:
    """A change of a frame's pose; a frame without a matrix stays as it is."""

    def frame(_: Place, values: Values) -> Values:
        try:
            matrix = np.array(values.get("transform_matrix"), np.float64)
        except (TypeError, ValueError, OverflowError):
            return values
        if matrix.size not in (12, 16):
            return values
        matrix = matrix.reshape(-1, 4)
        if len(matrix) == 3:
            matrix = np.vstack([matrix, [0.0, 0.0, 0.0, 1.0]])
        found = change(matrix[None])[0]
        return {**values, "transform_matrix": found.tolist()}

    return frame
