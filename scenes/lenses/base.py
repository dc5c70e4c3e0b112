"""What a lens model is: an image plane, and a distortion of it that can be undone."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import astuple, dataclass
from typing import ClassVar

from jaxtyping import Bool, Float
from torch import Tensor

from polyfield.scenes.lenses.distortion import Moved, newton, newton_steps
from polyfield.scenes.lenses.plane import Direction, ImagePlane, PlanePoint


@dataclass(frozen=True)
class Lens(ABC):
    """A lens: its fields are its coefficients, in the order of COLMAP's parameters.

    Methods take coefficients as a tensor, so that every ray of a batch may have its own; None
    stands for all zeros, which is no distortion.
    """

    model: ClassVar[str]
    """Its name, COLMAP's, which is also `camera_model` in files."""
    plane: ClassVar[ImagePlane]
    """The image plane that it distorts."""

    def coefficients(self) -> tuple[float, ...]:
        """One for each field."""
        return astuple(self)

    @classmethod
    @abstractmethod
    def distort(cls, u: Tensor, v: Tensor, k: Float[Tensor, "*n c"]) -> Moved:
        """Where the lens puts points of its image plane, and the derivatives."""

    @classmethod
    def undistort(cls, point: PlanePoint, k: Float[Tensor, "*n c"], steps: int) -> PlanePoint:
        """The inverse of `distort`: Newton's, unless a lens has a closed one.

        Args:
            point: where the lens put something.
            k: coefficients of each point's lens.
            steps: from `steps_needed`.
        """
        return newton(cls.distort, point, k, steps)

    @classmethod
    def steps_needed(
        cls, point: PlanePoint, k: Float[Tensor, "n c"], tolerance: Float[Tensor, "n 1"]
    ) -> tuple[int, Bool[Tensor, " n"]]:
        """How many steps undo these lenses everywhere, measured on probe points.

        Args:
            point: probes, [n, m], float64: m for each of n lenses.
            k: coefficients of each lens.
            tolerance: largest error allowed, in focal lengths.

        Returns:
            The number of steps, 0 where the inverse is closed, and for each lens whether each of
            its probes has one direction: false where it folds the image over.
        """
        return newton_steps(cls.distort, point, k, tolerance, cls.plane.reach)

    @classmethod
    def project(cls, direction: Direction, k: Float[Tensor, "*n c"] | None) -> PlanePoint:
        """Where a direction is seen; NaN where it isn't."""
        u, v = cls.plane.project(direction)
        if k is None:
            return u, v
        moved = cls.distort(u, v, k)
        return moved.x, moved.y

    @classmethod
    def unproject(cls, point: PlanePoint, k: Float[Tensor, "*n c"] | None, steps: int) -> Direction:
        """The direction that is seen at a point."""
        return cls.plane.unproject(point if k is None else cls.undistort(point, k, steps))
