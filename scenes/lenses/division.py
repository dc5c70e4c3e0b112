"""The division lens: one coefficient, and an inverse without iterations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from polyfield.scenes.lenses.base import Lens
from polyfield.scenes.lenses.distortion import Moved, scaled
from polyfield.scenes.lenses.plane import FLAT, ImagePlane, PlanePoint


@dataclass(frozen=True)
class Division(Lens):
    """s = r / (1 + k r^2) for s of a pinhole: Fitzgibbon 2001, eq. 4. SIMPLE_DIVISION too."""

    model: ClassVar[str] = "DIVISION"
    plane: ClassVar[ImagePlane] = FLAT

    k: float = 0.0

    @classmethod
    def distort(cls, u: Tensor, v: Tensor, k: Tensor) -> Moved:
        """By the root nearer to the middle of a quadratic equation."""
        bend = k[..., 0]
        root = torch.sqrt(1 - 4 * bend * (u * u + v * v))
        factor = 2 / (1 + root)
        return scaled(u, v, (factor, 2 * bend * factor.square() / root))

    @classmethod
    def undistort(cls, point: PlanePoint, k: Tensor, steps: int) -> PlanePoint:
        """In closed form."""
        x, y = point
        scale = 1 / (1 + k[..., 0] * (x * x + y * y))
        return x * scale, y * scale

    @classmethod
    def steps_needed(cls, point: PlanePoint, k: Tensor, tolerance: Tensor) -> tuple[int, Tensor]:
        """None; it folds where k r^2 is 1, and nothing is seen from -1 on, which is 90 degrees."""
        bend = k * (point[0].square() + point[1].square())
        return 0, (bend.abs() < 1).all(1)
