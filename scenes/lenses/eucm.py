"""The enhanced unified camera model: two coefficients, a closed inverse, fisheyes beyond 180."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from polyfield.scenes.lenses.base import Lens
from polyfield.scenes.lenses.distortion import Moved, scaled
from polyfield.scenes.lenses.plane import FLAT, Direction, ImagePlane, PlanePoint


@dataclass(frozen=True)
class Eucm(Lens):
    """(x, y) / (alpha d + (1 - alpha) z) for d^2 = beta (x^2 + y^2) + z^2: Khomutenko 2016, eq. 10.

    It may see behind itself, so that directions are mapped without a plane ahead.
    """

    model: ClassVar[str] = "EUCM"
    plane: ClassVar[ImagePlane] = FLAT

    alpha: float = 0.0
    beta: float = 0.0

    @classmethod
    def distort(cls, u: Tensor, v: Tensor, k: Tensor) -> Moved:
        """Of what lies ahead."""
        alpha, beta = k.unbind(-1)
        root = torch.sqrt(beta * (u * u + v * v) + 1)
        factor = 1 / (alpha * root + 1 - alpha)
        return scaled(u, v, (factor, -factor.square() * alpha * beta / root))

    @classmethod
    def project(cls, direction: Direction, k: Tensor | None) -> PlanePoint:
        """NaN on the far side of what it can see."""
        if k is None:
            return cls.plane.project(direction)
        x, y, z = direction
        alpha, beta = k.unbind(-1)
        length = torch.sqrt(beta * (x * x + y * y) + z * z)
        # Farther behind, two directions would meet at one point (eq. 12 of the source).
        behind = torch.where(alpha > 0.5, (1 - alpha) / alpha, alpha / (1 - alpha))
        below = torch.where(z > -behind * length, alpha * length + (1 - alpha) * z, torch.nan)
        return x / below, y / below

    @classmethod
    def unproject(cls, point: PlanePoint, k: Tensor | None, steps: int) -> Direction:
        """In closed form: eq. 15 of the source."""
        if k is None:
            return cls.plane.unproject(point)
        x, y = point
        alpha, beta = k.unbind(-1)
        r2 = beta * (x * x + y * y)
        root = torch.sqrt(1 - (2 * alpha - 1) * r2)
        return x, y, (1 - alpha.square() * r2) / (alpha * root + 1 - alpha)

    @classmethod
    def steps_needed(cls, point: PlanePoint, k: Tensor, tolerance: Tensor) -> tuple[int, Tensor]:
        """None; beyond a circle nothing is seen where alpha is above a half."""
        alpha, beta = k[:, :1], k[:, 1:]
        room = 1 - (2 * alpha - 1) * beta * (point[0].square() + point[1].square())
        possible = (alpha >= 0) & (alpha <= 1) & (beta >= 0)
        return 0, ((room > 0) & possible).all(1)
