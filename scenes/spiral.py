"""A spiral before a scene that is seen from one side, as LLFF shows its captures.

Source: Mildenhall et al. 2019 (LLFF), released code. The cameras' mean pose looks at a point at a
depth f; a camera at cos(a) r_x, -sin(a) r_y, -sin(a / 2) r_z in its axes looks at that point, a
from 0 to two whole turns. r is the 90th percentile of the cameras' distances from the mean along
each axis. LLFF takes f from the near and far bounds of the data; here it is where the cameras'
optical axes come nearest to each other, or the middle of the box.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from polyfield.errors import InputError
from polyfield.scenes.axes import across
from polyfield.scenes.bounds import common_view
from polyfield.scenes.cameras import Camera
from polyfield.scenes.viewpoints import looking_at, moved, unit

TURNS = 2
RATE = 0.5
"""How often it comes nearer and goes away, for each turn."""
REACH = 0.9
"""Quantile of the cameras' distances from the middle that the radius is."""
ONE_WAY = 0.5
"""Length of the mean viewing direction below which the cameras look all over."""


def spiral(cameras: Sequence[Camera], bounds: Float[Tensor, "2 3"], frames: int) -> list[Camera]:
    """Two turns about the cameras' mean pose, looking at what they look at.

    Args:
        cameras: at least one, in the user's frame, that look the same way.
        bounds: lower and upper corner of the scene's box, the same frame.
        frames: how many views, at equal angles.

    Raises:
        InputError: the cameras look all over, so that they have no mean pose.
    """
    poses = torch.stack([camera.pose for camera in cameras]).double()
    back = poses[:, :3, 2].mean(0)
    if float(back.norm()) < ONE_WAY:
        raise InputError(
            "cameras that look one way, for a spiral", "cameras all around", "use --path orbit"
        )
    middle = poses[:, :3, 3].mean(0)
    up = unit(poses[:, :3, 1].mean(0), across(back))
    mean = looking_at(middle, middle - back, up)
    ahead = float((common_view(poses).center - middle) @ -mean[:3, 2])
    inside = float((bounds.double().mean(0) - middle) @ -mean[:3, 2])
    focus = next((depth for depth in (ahead, inside) if depth > 0), 1.0)
    offsets = (poses[:, :3, 3] - middle) @ mean[:3, :3]
    radius = offsets.abs().quantile(REACH, dim=0)
    lens = cameras[len(cameras) // 2]
    target = middle - focus * mean[:3, 2]
    found = []
    for index in range(frames):
        angle = 2 * math.pi * TURNS * index / frames
        around = torch.tensor([math.cos(angle), -math.sin(angle), -math.sin(RATE * angle)])
        place = middle + mean[:3, :3] @ (around.double() * radius)
        found.append(moved(lens, looking_at(place, target, up)))
    return found
