"""The one similarity of a scene: the user's frame <-> the frame in which its box is of size 2.

Cameras, rays, boxes and fields are in that frame: what a capture's scale and place are changes none
of their numbers, and float32 has its 24 bits for what is seen, however far from zero that is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class Similarity:
    """Normalised = scale (x - center); the axes stay the user's."""

    center: tuple[float, float, float]
    """The user's point that is zero there: the middle of the box."""
    scale: float
    """Normalised lengths per length of the user's: 2 over the box's longest edge."""

    @classmethod
    def of_box(cls, bounds: Float[Tensor, "2 3"]) -> Similarity:
        """The similarity that takes a box about zero.

        Args:
            bounds: its corners, the user's frame.
        """
        low, high = bounds.cpu().double()
        x, y, z = ((low + high) / 2).tolist()
        return cls((x, y, z), 2 / float((high - low).max()))

    @property
    def is_identity(self) -> bool:
        """Whether the two frames are the same."""
        return self == IDENTITY

    def normalised(self, points: Float[Tensor, "*n 3"]) -> Float[Tensor, "*n 3"]:
        """Points of the user's frame, as float64."""
        points = points.double()
        # Tensors: a Python float would be float32 in an exported graph.
        return (points - points.new_tensor(self.center)) * points.new_tensor(self.scale)

    def users(self, points: Float[Tensor, "*n 3"]) -> Float[Tensor, "*n 3"]:
        """The inverse of `normalised`."""
        points = points.double()
        return points / points.new_tensor(self.scale) + points.new_tensor(self.center)

    def tree(self) -> dict[str, Any]:
        """For a run's cameras.json."""
        about = "normalised = scale (x - center): the scene's box is of size 2 about zero there"
        return {"about": about, "center": list(self.center), "scale": self.scale}


IDENTITY = Similarity((0.0, 0.0, 0.0), 1.0)
"""The user's frame itself."""
