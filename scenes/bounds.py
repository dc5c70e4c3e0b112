"""Where a capture's scene is: the box that cameras imply."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from polyfield.scenes.base import ReadOptions
from polyfield.scenes.cameras import Cameras

MARGIN = 1.05
"""How much larger than the cameras' common view the box is."""


def scene_bounds(cameras: Cameras, options: ReadOptions) -> Float[Tensor, "2 3"]:
    """The user's box where there is one, else the automatic one.

    Args:
        cameras: at least one camera, usually those of the training split.
        options: `bounds` overrides.

    Returns:
        Lower and upper corner in the data's own frame.
    """
    if options.bounds is not None:
        return torch.tensor(options.bounds).view(2, 3)
    return automatic_bounds(cameras)


def automatic_bounds(cameras: Cameras) -> Float[Tensor, "2 3"]:
    """A cube around what the cameras look at.

    Cameras that look inward: the centre is the point nearest to all optical axes, and half the edge
    is the median over the cameras of what the wider side of the picture sees at that point. Cameras
    that don't look at a common point (a walk, a panorama): a cube around the cameras themselves.

    Args:
        cameras: at least one camera.

    Returns:
        Lower and upper corner in the data's own frame.
    """
    positions = cameras.poses[:, :3, 3].double()
    forward = -cameras.poses[:, :3, 2].double()
    center = _nearest_point(positions, forward)
    depth = ((center - positions) * forward).sum(1)
    distance = (center - positions).norm(dim=1)
    # Inward: the common point lies ahead of most cameras, and not far to their side.
    if bool(depth.median() > 0.5 * distance.median()) and bool(distance.median() > 0):
        wider = (cameras.size / cameras.focal / 2).amax(1).double()
        half = (distance * wider).median()
    else:
        low, high = positions.amin(0), positions.amax(0)
        center = (low + high) / 2
        half = (high - low).amax() / 2
        half = half if bool(half > 0) else torch.ones_like(half)
    return torch.stack([center - MARGIN * half, center + MARGIN * half]).float()


def _nearest_point(
    positions: Float[Tensor, "n 3"], directions: Float[Tensor, "n 3"]
) -> Float[Tensor, " 3"]:
    """The point with the least sum of squared distances to lines.

    Parallel lines leave it undetermined along them: the least-norm step from the mean position.
    """
    across = torch.eye(3, dtype=positions.dtype) - directions[:, :, None] * directions[:, None, :]
    start = positions.mean(0)
    right = (across @ (positions - start)[:, :, None]).sum(0)
    return start + (torch.linalg.pinv(across.sum(0), rtol=1e-6) @ right)[:, 0]
