"""The fisheye lens of Project Aria's glasses: six radial, two tangential, four prism terms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from polyfield.scenes.lenses.base import Lens
from polyfield.scenes.lenses.distortion import Moved, brown, polynomial, scaled
from polyfield.scenes.lenses.plane import ANGLES, ImagePlane


@dataclass(frozen=True)
class RadTanThinPrismFisheye(Lens):
    """Radial k0 to k5 on the plane of angles, then tangential p0, p1 and prism s0 to s3.

    Source: Project Aria's documentation, "FisheyeRadTanThinPrism".
    """

    model: ClassVar[str] = "RAD_TAN_THIN_PRISM_FISHEYE"
    plane: ClassVar[ImagePlane] = ANGLES

    k0: float = 0.0
    k1: float = 0.0
    k2: float = 0.0
    k3: float = 0.0
    k4: float = 0.0
    k5: float = 0.0
    p0: float = 0.0
    p1: float = 0.0
    s0: float = 0.0
    s1: float = 0.0
    s2: float = 0.0
    s3: float = 0.0

    @classmethod
    def distort(cls, u: Tensor, v: Tensor, k: Tensor) -> Moved:
        """Radially, and what comes of that by the other terms."""
        k0, k1, k2, k3, k4, k5, p0, p1, s0, s1, s2, s3 = k.unbind(-1)
        first = scaled(u, v, polynomial(u * u + v * v, (k0, k1, k2, k3, k4, k5)))
        x, y = first.x, first.y
        second = brown(x, y, (torch.ones_like(x), torch.zeros_like(x)), (p1, p0))
        r2 = x * x + y * y
        # Slopes of the prism, over x and over y.
        right, down = 2 * s0 + 4 * s1 * r2, 2 * s2 + 4 * s3 * r2
        x_x, x_y = second.x_u + right * x, second.x_v + right * y
        y_x, y_y = second.y_u + down * x, second.y_v + down * y
        return Moved(
            second.x + r2 * (s0 + r2 * s1),
            second.y + r2 * (s2 + r2 * s3),
            x_x * first.x_u + x_y * first.y_u,
            x_x * first.x_v + x_y * first.y_v,
            y_x * first.x_u + y_y * first.y_u,
            y_x * first.x_v + y_y * first.y_v,
        )
