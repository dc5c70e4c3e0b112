"""A path once around the scene, in the plane that its cameras are spread over."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from polyfield.scenes.axes import across
from polyfield.scenes.cameras import Camera
from polyfield.scenes.viewpoints import looking_at, moved, unit

SPREAD = 0.15
"""How well directions must span a plane to say what is upright: about 85 degrees of a ring."""
ABOVE = math.sin(math.radians(10.0))
"""Cameras that are this far above the centre say which side is up."""


def orbit(cameras: Sequence[Camera], bounds: Float[Tensor, "2 3"], frames: int) -> list[Camera]:
    """Once around the centre of the box, always looking at it.

    Up is `up_of` the cameras; distance and elevation are their medians; the lens is that of the
    middle one.

    Args:
        cameras: At least one, in the user's frame.
        bounds: Lower and upper corner of the box, in the same frame.
        frames: How many views, at equal angles.
    """
    assert cameras, "an orbit needs cameras"
    poses = torch.stack([camera.pose for camera in cameras]).double()
    center = bounds.double().mean(0).cpu()
    up = up_of(poses, center)
    offsets = poses[:, :3, 3] - center
    radii = offsets.norm(dim=1).clamp(min=1e-300)
    elevation = float(torch.asin((offsets @ up / radii).clamp(-1, 1)).median())
    radius = float(radii.median())
    # The first view is on the first camera's side.
    side = offsets[0] - (offsets[0] @ up) * up
    east = unit(side / max(radius, 1e-300), across(up))
    north = torch.linalg.cross(up, east)
    lens = cameras[len(cameras) // 2]
    found = []
    for index in range(frames):
        angle = 2 * math.pi * index / frames
        flat = math.cos(angle) * east + math.sin(angle) * north
        position = center + radius * (math.cos(elevation) * flat + math.sin(elevation) * up)
        found.append(moved(lens, looking_at(position, center, up)))
    return found


def up_of(poses: Float[Tensor, "n 4 4"], center: Float[Tensor, "3"]) -> Float[Tensor, "3"]:
    """The direction that is up for cameras around something.

    That is the mean of the images' up, unless the images lie on their sides, as those of a
    phone held upright do whose files are landscape. Who walks around a thing keeps one axis of the
    camera level: seen from all sides, that axis spans a plane. Usually it is the images' right;
    where it is their up, the true up is across that plane. Its sign is that of the cameras' side
    of the centre, else images' left, where phones have it.

    Args:
        poses: Camera-to-world, OpenGL axes, float64.
        center: What they are around.
    """
    right, up, position = poses[:, :3, 0], poses[:, :3, 1], poses[:, :3, 3]
    mean = unit(up.mean(0), torch.tensor([0.0, 0.0, 1.0], dtype=poses.dtype))
    spread, across_ups = _plane(up)
    if spread < SPREAD or spread < 2 * _plane(right)[0]:
        return mean
    offset = position - center
    height, distance = float((offset @ across_ups).mean()), float(offset.norm(dim=1).mean())
    clear = abs(height) > ABOVE * distance
    says = height if clear else -float(right.mean(0) @ across_ups)
    return across_ups if says >= 0 else -across_ups


def _plane(directions: Float[Tensor, "n 3"]) -> tuple[float, Float[Tensor, "3"]]:
    """How much better directions span a plane than space or a line, and the plane's normal.

    1/2 for all directions of a plane, 0 for a single one or for those of a sphere.
    """
    values, vectors = torch.linalg.eigh(directions.T @ directions / len(directions))
    return float(values[1] - values[0]), vectors[:, 0]
