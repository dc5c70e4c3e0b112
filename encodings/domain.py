"""Domains: world coordinates -> the unit cube [0,1]^d of encodings and occupancy grids.

Symbols: bounds [2, d] = (low, high) corners of a world box; u = 2 (x - low) / (high - low) - 1, so
the box is |u| <= 1.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from jaxtyping import Float
from torch import Tensor, nn


class Domain(nn.Module, ABC):
    """A map from the world to the unit cube and back."""

    bounds: Float[Tensor, "2 d"]
    contracted: bool
    """Whether space outside the box is mapped too."""

    def __init__(self, bounds: Float[Tensor, "2 d"]) -> None:
        super().__init__()
        self.register_buffer("bounds", bounds.to(torch.float32).clone())
        self._measure()

    def _measure(self) -> None:
        # A plain number: reading it from a buffer would make the host wait for a GPU.
        self._length = float((self.bounds[1] - self.bounds[0]).max())

    def _load_from_state_dict(self, *args, **kwargs) -> None:  # type: ignore[no-untyped-def]
        super()._load_from_state_dict(*args, **kwargs)
        self._measure()

    @property
    def dim(self) -> int:
        """Coordinates of a point."""
        return int(self.bounds.shape[1])

    @property
    def length(self) -> float:
        """The box's longest edge, world units.

        Densities are exp(.) per this length, so that units cancel.
        """
        return self._length

    @property
    @abstractmethod
    def span(self) -> float:
        """World length of the unit cube's longest edge, as it is in the box."""

    @abstractmethod
    def forward(self, x: Float[Tensor, "*n d"]) -> Float[Tensor, "*n d"]:
        """World -> [0,1]^d."""

    @abstractmethod
    def inverse(self, v: Float[Tensor, "*n d"]) -> Float[Tensor, "*n d"]:
        """[0,1]^d -> world."""

    @abstractmethod
    def stretch(self, x: Float[Tensor, "*n d"]) -> Float[Tensor, "*n"]:
        """World length per length in the unit cube at x, along a ray from the box; 1 in the box."""


class Box(Domain):
    """The box alone, axis by axis; points outside are clamped to it."""

    contracted = False

    @property
    def span(self) -> float:
        """The box's longest edge."""
        return self.length

    def forward(self, x: Float[Tensor, "*n d"]) -> Float[Tensor, "*n d"]:
        """World -> [0,1]^d, clamped."""
        return ((x - self.bounds[0]) / (self.bounds[1] - self.bounds[0])).clamp(0, 1)

    def inverse(self, v: Float[Tensor, "*n d"]) -> Float[Tensor, "*n d"]:
        """[0,1]^d -> the box."""
        return self.bounds[0] + v * (self.bounds[1] - self.bounds[0])

    def stretch(self, x: Float[Tensor, "*n d"]) -> Float[Tensor, "*n"]:
        """1 at every point: a box is not stretched."""
        return torch.ones_like(x[..., 0])


class Contraction(Domain):
    """All of space, with the maximum norm so that a box keeps its shape.

    The box fills the middle half of the unit cube; infinity lies on the cube's faces. Source:
    Barron et al. 2022 (mip-NeRF 360), eq. 10.
    """

    contracted = True

    @property
    def span(self) -> float:
        """Twice the box's longest edge: the box is half as wide as the cube."""
        return 2 * self.length

    def forward(self, x: Float[Tensor, "*n d"]) -> Float[Tensor, "*n d"]:
        """World -> (0,1)^d."""
        u = (x - self.bounds[0]) / (self.bounds[1] - self.bounds[0]) * 2 - 1
        norm = u.abs().amax(-1, keepdim=True).clamp(min=1)
        return (u * ((2 - 1 / norm) / norm) + 2) / 4

    def inverse(self, v: Float[Tensor, "*n d"]) -> Float[Tensor, "*n d"]:
        """(0,1)^d -> world; the faces themselves go to 1000 boxes away."""
        u = v * 4 - 2
        norm = u.abs().amax(-1, keepdim=True).clamp(min=1)
        u = u / norm / (2 - norm).clamp(min=1e-3)
        return self.bounds[0] + (u + 1) / 2 * (self.bounds[1] - self.bounds[0])

    def stretch(self, x: Float[Tensor, "*n d"]) -> Float[Tensor, "*n"]:
        """The square of the maximum norm outside the box: contracted radii are 2 - 1 / norm."""
        u = (x - self.bounds[0]) / (self.bounds[1] - self.bounds[0]) * 2 - 1
        return u.abs().amax(-1).clamp(min=1).square()


def domain(bounds: Float[Tensor, "2 d"], unbounded: bool) -> Domain:
    """The domain of data inside `bounds`, or also outside of it."""
    return Contraction(bounds) if unbounded else Box(bounds)
