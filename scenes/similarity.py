"""The one similarity of a scene: the user's frame <-> the frame in which its box is of size 2.

Fields never see the user's units: a domain takes them to the unit cube, densities are per length of
the box, steps are shares of its diagonal. What a capture's scale, place or far origin is therefore
changes nothing but the rounding of its numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class Similarity:
    """Normalised = scale (x - center); the axes stay the user's."""

    center: tuple[float, float, float]
    """Middle of the box, the user's frame."""
    scale: float
    """Normalised lengths per length of the user's: 2 over the box's longest edge."""

    @classmethod
    def of_box(
        cls, bounds: Float[Tensor, "2 3"], origin: tuple[float, float, float] = (0.0, 0.0, 0.0)
    ) -> Similarity:
        """The similarity that takes a box about zero.

        Args:
            bounds: its corners, measured from `origin`.
            origin: in the user's frame.
        """
        low, high = bounds.cpu().double()
        x, y, z = ((low + high) / 2 + torch.tensor(origin, dtype=torch.float64)).tolist()
        return cls((x, y, z), 2 / float((high - low).max()))

    def normalised(self, points: Float[Tensor, "*n 3"]) -> Float[Tensor, "*n 3"]:
        """Points of the user's frame, as float64."""
        return (points.double() - torch.tensor(self.center, dtype=torch.float64)) * self.scale

    def users(self, points: Float[Tensor, "*n 3"]) -> Float[Tensor, "*n 3"]:
        """The inverse of `normalised`."""
        return points.double() / self.scale + torch.tensor(self.center, dtype=torch.float64)

    def tree(self) -> dict[str, Any]:
        """For a run's cameras.json."""
        about = "normalised = scale (x - center): the scene's box is of size 2 about zero there"
        return {"about": about, "center": list(self.center), "scale": self.scale}
