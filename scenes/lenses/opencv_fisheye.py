"""OpenCV's fisheye lens: distance from the middle is a polynomial of the angle to the axis."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from polyfield.scenes.lenses.base import Lens
from polyfield.scenes.lenses.distortion import Moved, polynomial, scaled
from polyfield.scenes.lenses.plane import ANGLES, ImagePlane


@dataclass(frozen=True)
class OpenCVFisheye(Lens):
    """r = a + k1 a^3 + k2 a^5 + k3 a^7 + k4 a^9 for the angle a: Kannala and Brandt 2006, eq. 6.

    SIMPLE_FISHEYE, FISHEYE, SIMPLE_RADIAL_FISHEYE and RADIAL_FISHEYE too. It may see behind itself.
    """

    model: ClassVar[str] = "OPENCV_FISHEYE"
    plane: ClassVar[ImagePlane] = ANGLES

    k1: float = 0.0
    k2: float = 0.0
    k3: float = 0.0
    k4: float = 0.0

    @classmethod
    def distort(cls, u: Tensor, v: Tensor, k: Tensor) -> Moved:
        """Radially."""
        return scaled(u, v, polynomial(u * u + v * v, k.unbind(-1)))
