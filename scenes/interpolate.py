"""A path through cameras in their order."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from polyfield.errors import InputError
from polyfield.scenes.cameras import Camera
from polyfield.scenes.viewpoints import moved


def interpolate(cameras: Sequence[Camera], frames: int) -> list[Camera]:
    """Smoothly through the cameras in their order, from the first to the last.

    Positions follow a Catmull-Rom spline; between two cameras the rotation turns about one axis at
    a constant rate. The lens is that of the middle one.

    Raises:
        InputError: fewer than two cameras.
    """
    if len(cameras) < 2:
        raise InputError("two cameras to move between", str(len(cameras)), "use --path orbit")
    poses = torch.stack([camera.pose for camera in cameras]).double()
    lens = cameras[len(cameras) // 2]
    last = len(cameras) - 1
    found = []
    for index in range(frames):
        at = last * index / max(frames - 1, 1)
        first = min(int(at), last - 1)
        pose = torch.eye(4, dtype=torch.float64)
        pose[:3, :3] = _turned(poses[first, :3, :3], poses[first + 1, :3, :3], at - first)
        pose[:3, 3] = _spline(poses[:, :3, 3], first, at - first)
        found.append(moved(lens, pose))
    return found


def _spline(points: Float[Tensor, "n 3"], first: int, t: float) -> Float[Tensor, " 3"]:
    """Catmull-Rom between `points[first]` and the next, t in [0, 1]; the ends are doubled."""
    last = len(points) - 1
    a, b, c, d = (points[min(max(first + k, 0), last)] for k in (-1, 0, 1, 2))
    return b + t / 2 * (c - a + t * (2 * a - 5 * b + 4 * c - d + t * (3 * (b - c) + d - a)))


def _turned(
    start: Float[Tensor, "3 3"], end: Float[Tensor, "3 3"], t: float
) -> Float[Tensor, "3 3"]:
    """The rotation a share t of the way from `start` to `end`, about one axis."""
    between = start.T @ end
    angle = math.acos(min(max((float(between.trace()) - 1) / 2, -1.0), 1.0))
    if angle < 1e-9:
        return start
    if angle < math.pi - 1e-4:
        skew = (between - between.T) / (2 * math.sin(angle))
    else:
        # At half a turn the skew part vanishes; the axis is the column of R + I that is longest.
        column = between + torch.eye(3, dtype=between.dtype)
        axis = column[:, int(column.norm(dim=0).argmax())]
        x, y, z = (axis / axis.norm()).tolist()
        skew = torch.tensor([[0, -z, y], [z, 0, -x], [-y, x, 0]], dtype=between.dtype)
    return start @ torch.linalg.matrix_exp(t * angle * skew)
