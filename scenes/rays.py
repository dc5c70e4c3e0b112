"""Rays: where they start, where they go, and which part of them counts."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor


@dataclass
class Rays:
    """A batch of rays of any batch shape `*b`. Points on a ray are `origin + t * direction`.

    Directions have unit length, so `t` is in world units.
    """

    origins: Float[Tensor, "*b 3"]
    """World position of the camera centre."""
    directions: Float[Tensor, "*b 3"]
    """Unit direction in the world."""
    near: Float[Tensor, "*b"]
    """Smallest t that counts, in world units."""
    far: Float[Tensor, "*b"]
    """Largest t that counts, in world units; may be infinite."""
    camera: Int64[Tensor, "*b"]
    """Number of the camera the ray belongs to."""

    @property
    def shape(self) -> torch.Size:
        """The batch shape `*b`."""
        return self.near.shape

    def __len__(self) -> int:
        return len(self.near)

    def __getitem__(self, index: int | slice | Tensor) -> Rays:
        """Index the first batch dimension."""
        return Rays(
            self.origins[index],
            self.directions[index],
            self.near[index],
            self.far[index],
            self.camera[index],
        )

    def flatten(self) -> Rays:
        """The same rays with a single batch dimension."""
        return Rays(
            self.origins.reshape(-1, 3),
            self.directions.reshape(-1, 3),
            self.near.reshape(-1),
            self.far.reshape(-1),
            self.camera.reshape(-1),
        )

    def detach(self) -> Rays:
        """The same rays without gradient."""
        return Rays(
            self.origins.detach(),
            self.directions.detach(),
            self.near.detach(),
            self.far.detach(),
            self.camera,
        )

    def to(self, device: torch.device | str) -> Rays:
        """The same rays on another device."""
        return Rays(
            self.origins.to(device),
            self.directions.to(device),
            self.near.to(device),
            self.far.to(device),
            self.camera.to(device),
        )
