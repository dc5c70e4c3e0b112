"""A perspective lens with OpenCV's four coefficients; a pinhole where they are zero."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from polyfield.scenes.lenses.base import Lens
from polyfield.scenes.lenses.distortion import Moved, brown, polynomial
from polyfield.scenes.lenses.plane import FLAT, ImagePlane


@dataclass(frozen=True)
class OpenCV(Lens):
    """Radial k1, k2 and tangential p1, p2: SIMPLE_PINHOLE, PINHOLE, SIMPLE_RADIAL, RADIAL too."""

    model: ClassVar[str] = "OPENCV"
    plane: ClassVar[ImagePlane] = FLAT

    k1: float = 0.0
    k2: float = 0.0
    p1: float = 0.0
    p2: float = 0.0

    @classmethod
    def distort(cls, u: Tensor, v: Tensor, k: Tensor) -> Moved:
        """Radially and tangentially."""
        k1, k2, p1, p2 = k.unbind(-1)
        return brown(u, v, polynomial(u * u + v * v, (k1, k2)), (p1, p2))
