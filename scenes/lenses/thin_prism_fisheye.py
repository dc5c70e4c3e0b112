"""A fisheye lens with tangential and thin-prism distortion, as in ETH3D's captures."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from torch import Tensor

from polyfield.scenes.lenses.base import Lens
from polyfield.scenes.lenses.distortion import Moved, brown, polynomial
from polyfield.scenes.lenses.plane import ANGLES, ImagePlane


@dataclass(frozen=True)
class ThinPrismFisheye(Lens):
    """Radial k1 to k4, tangential p1, p2 and prism sx1, sy1 on the plane of angles.

    Source: Weng et al. 1992, section III, by angles as in COLMAP.
    """

    model: ClassVar[str] = "THIN_PRISM_FISHEYE"
    plane: ClassVar[ImagePlane] = ANGLES

    k1: float = 0.0
    k2: float = 0.0
    p1: float = 0.0
    p2: float = 0.0
    k3: float = 0.0
    k4: float = 0.0
    sx1: float = 0.0
    sy1: float = 0.0

    @classmethod
    def distort(cls, u: Tensor, v: Tensor, k: Tensor) -> Moved:
        """Radially, tangentially, and by the prism."""
        k1, k2, p1, p2, k3, k4, sx1, sy1 = k.unbind(-1)
        r2 = u * u + v * v
        moved = brown(u, v, polynomial(r2, (k1, k2, k3, k4)), (p1, p2))
        return replace(
            moved,
            x=moved.x + sx1 * r2,
            y=moved.y + sy1 * r2,
            x_u=moved.x_u + 2 * sx1 * u,
            x_v=moved.x_v + 2 * sx1 * v,
            y_u=moved.y_u + 2 * sy1 * u,
            y_v=moved.y_v + 2 * sy1 * v,
        )
