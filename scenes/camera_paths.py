"""Camera paths: around the scene, through its cameras, or from a file."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from polyfield.errors import InputError
from polyfield.scenes.axes import across
from polyfield.scenes.cameras import Camera


def sized(camera: Camera, width: int, height: int) -> Camera:
    """The same view at another picture size, pixels kept square.

    All of the old picture stays in sight; where the sides' ratio differs, more is seen beside it.
    """
    scale = min(width / camera.width, height / camera.height)
    return Camera(
        camera.pose,
        width,
        height,
        camera.fl_x * scale,
        camera.fl_y * scale,
        width / 2 + (camera.cx - camera.width / 2) * scale,
        height / 2 + (camera.cy - camera.height / 2) * scale,
        camera.distortion,
    )


def moved(camera: Camera, pose: Float[Tensor, "4 4"]) -> Camera:
    """The same lens at another pose, without its distortion."""
    return Camera(pose, camera.width, camera.height, camera.fl_x, camera.fl_y, camera.cx, camera.cy)


def orbit(cameras: Sequence[Camera], bounds: Float[Tensor, "2 3"], frames: int) -> list[Camera]:
    """Once around the centre of the box, always looking at it.

    Up is the cameras' mean up; distance and elevation are their medians; the lens is that of the
    middle one.

    Args:
        cameras: At least one, in the user's frame.
        bounds: Lower and upper corner of the box, in the same frame.
        frames: How many views, at equal angles.
    """
    assert cameras, "an orbit needs cameras"
    poses = torch.stack([camera.pose for camera in cameras]).double()
    center = bounds.double().mean(0).cpu()
    up = _unit(poses[:, :3, 1].mean(0), torch.tensor([0.0, 0.0, 1.0]).double())
    offsets = poses[:, :3, 3] - center
    radii = offsets.norm(dim=1).clamp(min=1e-9)
    elevation = float(torch.asin((offsets @ up / radii).clamp(-1, 1)).median())
    radius = float(radii.median())
    # The first view is on the first camera's side.
    side = offsets[0] - (offsets[0] @ up) * up
    east = _unit(side, across(up))
    north = torch.linalg.cross(up, east)
    lens = cameras[len(cameras) // 2]
    found = []
    for index in range(frames):
        angle = 2 * math.pi * index / frames
        flat = math.cos(angle) * east + math.sin(angle) * north
        position = center + radius * (math.cos(elevation) * flat + math.sin(elevation) * up)
        found.append(moved(lens, looking_at(position, center, up)))
    return found


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


def looking_at(
    position: Float[Tensor, " 3"], target: Float[Tensor, " 3"], up: Float[Tensor, " 3"]
) -> Float[Tensor, "4 4"]:
    """A camera-to-world pose in OpenGL axes that looks from one point at another."""
    back = _unit(position - target, up)
    right = _unit(torch.linalg.cross(up, back), across(back))
    pose = torch.eye(4, dtype=position.dtype)
    pose[:3, 0] = right
    pose[:3, 1] = torch.linalg.cross(back, right)
    pose[:3, 2] = back
    pose[:3, 3] = position
    return pose


def _unit(vector: Tensor, otherwise: Tensor) -> Tensor:
    """The vector at length 1; `otherwise` where it has no direction."""
    length = float(vector.norm())
    return vector / length if length > 1e-6 else otherwise


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
