"""What makes a camera's six numbers alike, and tells its motion from one of the whole scene.

Symbols: o, d a ray's origin and direction, r the distance of a point on it, m = (w, u) a turn about
o in radians and a shift in edges L of the scene's box. The point is seen displaced by J m with the
3x6 matrix J = [-[d]x, (L / r)(1 - d d^T)], an angle. S is the mean of J^T J over points all over
the image and the box.

A turn and a shift sideways move an image almost alike, so that a descent along single numbers ends
with both wrong, each hiding the other: m = (S + DAMPING diag S)^(-1/2) z, and z is what is learned.
Source: Park et al. 2023 (CamP), section 4.2, with angles in place of pixels.

A common turn, shift or growth of all cameras g (7 numbers) is m_i = G_i g with G_i g = (g_turn,
g_turn x a_i + g_shift + g_growth a_i), a_i the camera's place about the box's middle in edges. What
of the motions is common is the g with the least sum of (m_i - G_i g)^T S_i (m_i - G_i g): without
it images are displaced as little as can be. (Means of w and u are another choice, and a bad one:
where cameras look from all sides, a scene that shifts turns them by nothing on average.)
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float64
from torch import Tensor

from polyfield.scenes.cameras import Cameras

SIDE, DEPTHS = 6, 5
"""Points along each side of an image, and along each of its rays."""
DAMPING = 1e-1
"""What of the diagonal is added: motions that hardly any point tells of are left to be slow."""
NEAREST = 0.1
"""Points are at least so many edges of the box away."""


@dataclass(frozen=True)
class Conditioning:
    """Of n cameras."""

    mixture: Float64[Tensor, "n 6 6"]
    """What is learned -> turn and shift."""
    common: Float64[Tensor, "n 6 7"]
    """A motion of the whole scene -> that of each camera: G."""
    share: Float64[Tensor, "7 n 6"]
    """Motions of all cameras -> what of them is common."""


@torch.no_grad()
def conditioning(cameras: Cameras, bounds: Float64[Tensor, "2 3"], length: float) -> Conditioning:
    """Look at what cameras see of a scene's box.

    Args:
        cameras: on the CPU.
        bounds: of the scene, in their frame.
        length: of the box's longest edge.
    """
    square = _squares(cameras, bounds, length)
    square = square + DAMPING * torch.diag_embed(square.diagonal(dim1=1, dim2=2))
    values, vectors = torch.linalg.eigh(square)
    mixture = (vectors * values.rsqrt()[:, None]) @ vectors.transpose(1, 2)
    common = _common((cameras.poses[:, :3, 3].double() - bounds.mean(0)) / length)
    weighted = common.transpose(1, 2) @ square
    total = (weighted @ common).sum(0)
    share = torch.linalg.pinv(total, rtol=1e-9) @ weighted.permute(1, 0, 2).reshape(7, -1)
    return Conditioning(mixture, common, share.reshape(7, -1, 6))


def _squares(
    cameras: Cameras, bounds: Float64[Tensor, "2 3"], length: float
) -> Float64[Tensor, "n 6 6"]:
    """S of each camera."""
    unit = (torch.arange(SIDE) + 0.5) / SIDE
    grid = torch.cartesian_prod(unit, unit)
    number = torch.arange(len(cameras)).repeat_interleave(len(grid))
    rays = cameras.rays(number, (grid * cameras.size[:, None]).reshape(-1, 2))
    o, d = rays.origins.double(), rays.directions.double()
    # Where rays enter and leave the box; those that miss it are asked at its distance.
    steps = (bounds[:, None] - o) / d
    enter, leave = steps.amin(0).amax(1), steps.amax(0).amin(1)
    away = (bounds.mean(0) - o).norm(dim=1)
    hit = (enter < leave) & (leave > NEAREST * length)
    enter = torch.where(hit, enter, away - length / 4).clamp(min=NEAREST * length)
    leave = torch.maximum(torch.where(hit, leave, away + length / 4), 1.01 * enter)
    share = (torch.arange(DEPTHS, dtype=torch.float64) + 0.5) / DEPTHS
    inverse = length / (enter[:, None] + share * (leave - enter)[:, None])
    across = torch.eye(3, dtype=torch.float64) - d[:, :, None] * d[:, None, :]
    across = across[:, None] * inverse[:, :, None, None]
    jacobian = torch.cat([-_cross(d)[:, None].expand_as(across), across], dim=3)
    jacobian = jacobian.view(len(cameras), -1, 6)
    return jacobian.transpose(1, 2) @ jacobian / (len(grid) * DEPTHS)


def _common(places: Float64[Tensor, "n 3"]) -> Float64[Tensor, "n 6 7"]:
    """G of each camera."""
    found = places.new_zeros(len(places), 6, 7)
    found[:, :3, :3] = torch.eye(3, dtype=places.dtype)
    found[:, 3:, :3] = -_cross(places)
    found[:, 3:, 3:6] = torch.eye(3, dtype=places.dtype)
    found[:, 3:, 6] = places
    return found


def _cross(v: Float64[Tensor, "n 3"]) -> Float64[Tensor, "n 3 3"]:
    """The matrices of v x."""
    x, y, z = v.unbind(1)
    zero = torch.zeros_like(x)
    return torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], 1).view(-1, 3, 3)
