"""Poses that are a little wrong: each camera learns a rigid motion while the field learns.

Symbols: w_i a rotation vector, u_i a shift in edges of the scene's box, both of camera i in world
axes; L the longest edge; o, d a ray's origin and direction. o' = o + L u_i; d' = exp([w_i]x) d: the
camera turns about its own centre. The six numbers are a chart of SE(3) around the given pose; what
is learned is a mixture of them (pose_conditioning.py). Source: Wang et al. 2021 (NeRF--), Lin et
al. 2021 (BARF), Park et al. 2023 (CamP).

A common motion of all cameras, or a common growth of their distances, changes nothing but where
the scene is and how large. Both are taken out, so that views that were held out stay where they
are.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from polyfield.renderers.pose_conditioning import conditioning
from polyfield.scenes.cameras import Cameras
from polyfield.scenes.rays import Rays


@dataclass(frozen=True)
class PoseRefinement:
    """A small motion of each training camera."""

    def build(self, images: int, length: float) -> RefinedPoses:
        """Motions of so many cameras, none at first; `length` of the scene's box in world units."""
        return RefinedPoses(images, length)


class RefinedPoses(nn.Module):
    """Rays as given -> rays as they should be."""

    mixture: Float[Tensor, "n 6 6"]
    """What takes the numbers that are learned to turns and shifts."""
    common: Float[Tensor, "n 6 7"]
    """What takes a motion of the whole scene to that of each camera ..."""
    share: Float[Tensor, "7 n 6"]
    """... and motions of all cameras to what of them is common; 0 until their places are known."""

    def __init__(self, images: int, length: float) -> None:
        super().__init__()
        self.length = length
        self.motion = nn.Parameter(torch.zeros(images, 6))
        self.register_buffer("mixture", torch.eye(6).repeat(images, 1, 1))
        self.register_buffer("common", torch.zeros(images, 6, 7))
        self.register_buffer("share", torch.zeros(7, images, 6))

    @torch.no_grad()
    def stand_at(self, cameras: Cameras, bounds: Float[Tensor, "2 3"]) -> None:
        """Tell where the cameras are given to be, and what they see of the scene's box."""
        found = conditioning(cameras, bounds.double(), self.length)
        self.mixture.copy_(found.mixture)
        self.common.copy_(found.common)
        self.share.copy_(found.share)

    def motions(self) -> tuple[Float[Tensor, "n 3"], Float[Tensor, "n 3"]]:
        """Rotation vectors in radians and shifts in world units of all cameras."""
        motion = (self.mixture @ self.motion[:, :, None])[:, :, 0]
        motion = motion - self.common @ (self.share * motion).sum((1, 2))
        return motion[:, :3], motion[:, 3:] * self.length

    def forward(self, rays: Rays) -> Rays:
        """Rays of training images, of any shape, moved with their cameras."""
        turn, shift = self.motions()
        return replace(
            rays,
            origins=rays.origins + shift[rays.camera],
            directions=rotated(rays.directions, turn[rays.camera]),
        )

    @torch.no_grad()
    def poses(self, given: Float[Tensor, "n 4 4"]) -> Float[Tensor, "n 4 4"]:
        """The camera-to-world matrices of all training cameras as they are by now."""
        turn, shift = self.motions()
        found = given.clone()
        # Columns of a rotation are directions: the camera's axes in the world.
        axes = given[:, :3, :3].transpose(1, 2)
        found[:, :3, :3] = rotated(axes, turn[:, None].expand_as(axes)).transpose(1, 2)
        found[:, :3, 3] += shift
        return found


def rotated(v: Float[Tensor, "*n 3"], turn: Float[Tensor, "*n 3"]) -> Float[Tensor, "*n 3"]:
    """Vectors turned about `turn` by its length in radians: Rodrigues' formula.

    sin(a)/a and (1 - cos a)/a^2 are written so that they, and their gradients, are right at 0.
    """
    squared = turn.square().sum(-1, keepdim=True)
    small = squared < 1e-6
    safe = torch.where(small, torch.ones_like(squared), squared)
    angle = safe.sqrt()
    sine = torch.where(small, 1 - squared / 6, torch.sin(angle) / angle)
    cosine = torch.where(small, 0.5 - squared / 24, (1 - torch.cos(angle)) / safe)
    across = torch.linalg.cross(turn, v)
    return v + sine * across + cosine * torch.linalg.cross(turn, across)
