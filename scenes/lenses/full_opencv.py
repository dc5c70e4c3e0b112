"""A perspective lens with OpenCV's eight coefficients: a rational radial term."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from polyfield.scenes.lenses.base import Lens
from polyfield.scenes.lenses.distortion import Moved, brown, polynomial
from polyfield.scenes.lenses.plane import FLAT, ImagePlane


@dataclass(frozen=True)
class FullOpenCV(Lens):
    """Radial (1 + k1 r^2 + k2 r^4 + k3 r^6) / (1 + k4 r^2 + k5 r^4 + k6 r^6); tangential p1, p2."""

    model: ClassVar[str] = "FULL_OPENCV"
    plane: ClassVar[ImagePlane] = FLAT

    k1: float = 0.0
    k2: float = 0.0
    p1: float = 0.0
    p2: float = 0.0
    k3: float = 0.0
    k4: float = 0.0
    k5: float = 0.0
    k6: float = 0.0

    @classmethod
    def distort(cls, u: Tensor, v: Tensor, k: Tensor) -> Moved:
        """Radially by a ratio, and tangentially."""
        k1, k2, p1, p2, k3, k4, k5, k6 = k.unbind(-1)
        r2 = u * u + v * v
        above, above_slope = polynomial(r2, (k1, k2, k3))
        below, below_slope = polynomial(r2, (k4, k5, k6))
        ratio = above / below
        return brown(u, v, (ratio, (above_slope - ratio * below_slope) / below), (p1, p2))
