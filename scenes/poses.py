"""New cameras like those of a capture: where a student is asked what its teacher sees.

Source: Fang et al. 2023 (PVD) and PVD-AL, released codes, whose laws for synthetic scenes, Tanks
and Temples and LLFF are these two. Around: cameras that look at one thing from many sides get new
azimuths U(-180, 180) degrees, elevations uniform between the real ones' 5th and 95th percentiles,
and distances between the nearest and the farthest. Between: any others get positions uniform in the
box of the real ones, a tenth larger, and the rotation of one of them, turned by up to 9 degrees
about each axis.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from polyfield.scenes.axes import across
from polyfield.scenes.cameras import PINHOLE, Cameras

SPREAD = 0.7
"""Cameras look from many sides if the mean of their viewing directions is shorter than this."""
JITTER = math.radians(9.0)
"""Greatest turn about each axis."""
MARGIN = 0.1
"""By how much the box of positions grows, of its edges."""


@dataclass(frozen=True)
class Ring:
    """What cameras around a thing have in common."""

    focus: Float[Tensor, "3"]
    """The point nearest to all optical axes."""
    up: Float[Tensor, "3"]
    """Mean of the cameras' up."""
    elevations: tuple[float, float]
    """Radians, 5th and 95th percentile."""
    radii: tuple[float, float]
    """Nearest and farthest distance to the focus."""


def ring(cameras: Cameras) -> Ring | None:
    """The ring of cameras that look at one thing from many sides; None for others."""
    poses = cameras.poses.double()
    at, forward = poses[:, :3, 3], -poses[:, :3, 2]
    if len(poses) < 3 or cameras.see_all_round or float(forward.mean(0).norm()) > SPREAD:
        return None
    # Least squares: sum of (1 - f f^T) (focus - at) = 0.
    across = torch.eye(3, dtype=torch.float64) - forward[:, :, None] * forward[:, None, :]
    focus = torch.linalg.lstsq(across.sum(0), (across @ at[:, :, None]).sum(0)).solution[:, 0]
    offset = at - focus
    radius = offset.norm(dim=1).clamp(min=1e-12)
    if float(((offset / radius[:, None]) * -forward).sum(1).median()) < math.cos(math.radians(30)):
        return None
    up = poses[:, :3, 1].mean(0)
    up = up / up.norm().clamp(min=1e-9) if float(up.norm()) > 1e-6 else poses[0, :3, 1]
    elevation = torch.asin((offset @ up / radius).clamp(-1, 1))
    low, high = (float(elevation.quantile(q)) for q in (0.05, 0.95))
    return Ring(focus, up, (low, high), (float(radius.min()), float(radius.max())))


def random_cameras(cameras: Cameras, n: int, generator: torch.Generator) -> Cameras:
    """N new cameras by the law that suits the given ones; lenses are theirs, as pinholes."""
    found = ring(cameras)
    pick = torch.randint(len(cameras), (n,), generator=generator)
    poses = (
        _between(cameras, pick, generator) if found is None else _around(found, n, generator)
    ).float()
    return Cameras(
        poses,
        cameras.pinhole_focal()[pick],
        cameras.center[pick],
        cameras.size[pick],
        (PINHOLE,) * n,
        cameras.near,
        cameras.far,
        cameras.frame,
    )


def turned(poses: Float[Tensor, "n 4 4"], generator: torch.Generator) -> Float[Tensor, "n 4 4"]:
    """The same positions, each turned by up to 9 degrees about each of its axes."""
    angles = (torch.rand(len(poses), 3, generator=generator).to(poses.dtype) * 2 - 1) * JITTER
    skew = poses.new_zeros(len(poses), 3, 3)
    for i, j, k in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
        skew[:, j, k], skew[:, k, j] = -angles[:, i], angles[:, i]
    result = poses.clone()
    result[:, :3, :3] = poses[:, :3, :3] @ torch.linalg.matrix_exp(skew)
    return result


def _around(ring: Ring, n: int, generator: torch.Generator) -> Float[Tensor, "n 4 4"]:
    u = torch.rand(n, 3, generator=generator).double()
    azimuth = (u[:, 0] * 2 - 1) * math.pi
    low, high = ring.elevations
    elevation = low + u[:, 1] * (high - low)
    radius = ring.radii[0] + u[:, 2] * (ring.radii[1] - ring.radii[0])
    east = across(ring.up)
    north = torch.linalg.cross(ring.up, east)
    flat = azimuth.cos()[:, None] * east + azimuth.sin()[:, None] * north
    back = elevation.cos()[:, None] * flat + elevation.sin()[:, None] * ring.up
    right = torch.nn.functional.normalize(torch.linalg.cross(ring.up.expand_as(back), back), dim=-1)
    poses = torch.eye(4, dtype=torch.float64).repeat(n, 1, 1)
    poses[:, :3, 0] = right
    poses[:, :3, 1] = torch.linalg.cross(back, right)
    poses[:, :3, 2] = back
    poses[:, :3, 3] = ring.focus + radius[:, None] * back
    return poses


def _between(cameras: Cameras, pick: Tensor, generator: torch.Generator) -> Tensor:
    poses = cameras.poses.double()
    at = poses[:, :3, 3]
    low, high = at.amin(0), at.amax(0)
    margin = (high - low) * MARGIN
    place = torch.rand(len(pick), 3, generator=generator).double()
    result = turned(poses[pick], generator)
    result[:, :3, 3] = low - margin + place * (high - low + 2 * margin)
    return result
