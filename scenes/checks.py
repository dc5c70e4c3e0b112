"""What makes a camera possible: a rigid pose, a size, a field of view."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import fields

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from polyfield.errors import InputError
from polyfield.scenes.lenses.base import Lens

Pose = Tensor | np.ndarray | Sequence[Sequence[float]] | Sequence[float]
"""A camera-to-world matrix, 4x4 or 3x4, or its 16 or 12 numbers row by row."""

FARTHEST = 1e10
"""Largest coordinate of a camera: ECEF millimetres fit."""

ROTATION_TOLERANCE = 5e-3
"""Largest entry of R^T R - I: files with few digits pass, a scale or a shear doesn't."""


def check_pose(pose: Pose, where: str) -> Float[Tensor, "4 4"]:
    """A pose as a float64 4x4 matrix.

    Args:
        pose: camera-to-world numbers: 4x4, 3x4, or 16 or 12 of them row by row.
        where: what the pose belongs to, for the message.

    Raises:
        InputError: it isn't a rigid motion: shape, not finite, far off, scaled, sheared, mirrored.
    """
    if isinstance(pose, Tensor):
        pose = pose.detach().cpu().numpy()
    try:
        matrix = np.array(pose, dtype=np.float64)
    except (TypeError, ValueError, OverflowError):
        raise InputError(
            f"a 4x4 camera-to-world matrix of numbers in {where}",
            "rows that don't form a matrix of numbers",
            "write four rows of four numbers",
        ) from None
    if matrix.shape in ((12,), (16,)):
        matrix = matrix.reshape(-1, 4)
    if matrix.shape == (3, 4):
        matrix = np.vstack([matrix, [0.0, 0.0, 0.0, 1.0]])
    if matrix.shape != (4, 4):
        raise InputError(
            f"a 4x4 camera-to-world matrix in {where}",
            f"shape {'x'.join(str(n) for n in matrix.shape) or 'of a single number'}",
            "write four rows of four numbers",
        )
    if not np.isfinite(matrix).all():
        raise InputError(
            f"finite numbers in the pose of {where}",
            "NaN or infinity",
            "remove that frame or pose the capture again",
        )
    if np.abs(matrix[3] - [0, 0, 0, 1]).max() > 1e-6:
        raise InputError(
            f"a last row of 0 0 0 1 in the pose of {where}",
            " ".join(f"{value:g}" for value in matrix[3]),
            "write camera-to-world rows, not columns",
        )
    _check_rotation(matrix[:3, :3], where)
    if np.abs(matrix[:3, 3]).max() > FARTHEST:
        raise InputError(
            f"a camera within {FARTHEST:g} units of the origin in {where}",
            " ".join(f"{value:g}" for value in matrix[:3, 3]),
            "remove that frame or pose the capture again",
        )
    return torch.from_numpy(matrix)


def _check_rotation(rotation: np.ndarray, where: str) -> None:
    """Raise unless the 3x3 block is a rotation; a scale and a mirror get their own words."""
    gram = rotation.T @ rotation
    scale = math.sqrt(max(float(np.trace(gram)) / 3, 0.0))
    expected = f"a rotation in the pose of {where}"
    if np.abs(gram - np.eye(3)).max() > ROTATION_TOLERANCE:
        if scale > 0 and np.abs(gram / scale**2 - np.eye(3)).max() < ROTATION_TOLERANCE:
            raise InputError(
                expected,
                f"a rotation scaled by {scale:.4g}",
                "divide the upper-left 3x3 block by that scale",
            )
        raise InputError(
            expected,
            "an upper-left 3x3 block that isn't orthonormal",
            "check that the matrix is camera-to-world, row by row, without shear",
        )
    if np.linalg.det(rotation) < 0:
        raise InputError(
            expected, "a mirrored frame (determinant -1)", "flip the sign of one axis column"
        )


def check_lens(
    size: tuple[int, int],
    focal: tuple[float, float],
    center: tuple[float, float],
    lens: Lens,
    where: str,
) -> None:
    """Check the intrinsics of a camera.

    Args:
        size: width and height in pixels.
        focal: horizontal and vertical focal length in pixels.
        center: column and row of the optical axis in pixels.
        lens: its model and distortion.
        where: what the camera belongs to, for the message.

    Raises:
        InputError: a size or focal length isn't positive, a number isn't finite, or a field of
            view is not one that the lens can have: 0 to 180 degrees for a perspective one.
    """
    if min(size) < 1:
        raise InputError(
            f"an image size of at least 1x1 in {where}",
            f"{size[0]}x{size[1]}",
            "give the size of the image in pixels",
        )
    numbers = (*focal, *center, *lens.coefficients())
    if not all(math.isfinite(value) for value in numbers):
        names = " ".join(field.name for field in fields(lens))
        raise InputError(
            f"finite fl_x fl_y cx cy{' and ' + names if names else ''} in {where}",
            " ".join(f"{value:g}" for value in numbers),
            "correct the intrinsics",
        )
    most = lens.plane.widest
    for name, length, pixels in zip(("horizontal", "vertical"), focal, size, strict=True):
        degrees = lens.plane.field_of_view(pixels / length) if length else math.inf
        if not 0.01 < degrees < most:
            raise InputError(
                f"a {name} field of view between 0 and {most:.0f} degrees in {where}",
                f"{degrees:.4g} degrees (focal length {length:g} for {pixels} pixels)",
                "correct the focal length or the camera angle",
            )
