"""A path through cameras in their order."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from polyfield.errors import InputError
from polyfield.scenes.cameras import Camera
from polyfield.scenes.viewpoints import moved


def interpolate(cameras: Sequence[Camera], frames: int) -> list[Camera]:
    """Smoothly through the cameras in their order, from the first to the last.

    Positions follow a Catmull-Rom spline, rotations the same one on the sphere of rotations: speed
    and turn don't jump at a camera. The lens is that of the middle one.

    Source: Barry and Goldman 1988, the spline as a pyramid of linear steps; between rotations a
    step turns about one axis at a constant rate.

    Raises:
        InputError: fewer than two cameras.
    """
    if len(cameras) < 2:
        raise InputError("two cameras to move between", str(len(cameras)), "use --path orbit")
    poses = torch.stack([camera.pose for camera in cameras]).double()
    places, turns = list(poses[:, :3, 3]), list(poses[:, :3, :3])
    lens = cameras[len(cameras) // 2]
    last = len(cameras) - 1
    found = []
    for index in range(frames):
        at = last * index / max(frames - 1, 1)
        first = min(int(at), last - 1)
        pose = torch.eye(4, dtype=torch.float64)
        pose[:3, :3] = _spline(turns, first, at - first, _turned)
        pose[:3, 3] = _spline(places, first, at - first, torch.lerp)
        found.append(moved(lens, pose))
    return found


def _spline(
    points: Sequence[Tensor], first: int, t: float, step: Callable[[Tensor, Tensor, float], Tensor]
) -> Tensor:
    """Catmull-Rom between `points[first]` and the next.

    Args:
        points: at least two.
        first: before the last.
        t: in [0, 1].
        step: what lies a share of the way from one to another, the share below 0 and above 1 too.
    """
    b, c = points[first], points[first + 1]
    # Beyond the ends it goes on as it came.
    a = points[first - 1] if first else step(b, c, -1.0)
    d = points[first + 2] if first + 2 < len(points) else step(b, c, 2.0)
    ab, bc, cd = step(a, b, t + 1), step(b, c, t), step(c, d, t - 1)
    return step(step(ab, bc, (t + 1) / 2), step(bc, cd, t / 2), t)


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
