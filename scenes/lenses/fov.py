"""The field-of-view lens: distance from the middle is about proportional to the angle."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from polyfield.scenes.lenses.base import Lens
from polyfield.scenes.lenses.distortion import Moved, scaled
from polyfield.scenes.lenses.plane import FLAT, ImagePlane, PlanePoint

_TINY = 1e-6


@dataclass(frozen=True)
class Fov(Lens):
    """r = atan(2 s tan(omega / 2)) / omega for s of a pinhole: Devernay and Faugeras 2001, eq. 13.

    Its inverse is closed; it sees less than 180 degrees.
    """

    model: ClassVar[str] = "FOV"
    plane: ClassVar[ImagePlane] = FLAT

    omega: float = 0.0

    @classmethod
    def distort(cls, u: Tensor, v: Tensor, k: Tensor) -> Moved:
        """Towards the middle."""
        omega, edge, r = _parts(u, v, k)
        factor = torch.atan(edge * r) / (omega * r)
        by_radius = edge / (omega * r * (1 + (edge * r).square())) - factor / r
        return scaled(u, v, (factor, by_radius / r))

    @classmethod
    def undistort(cls, point: PlanePoint, k: Tensor, steps: int) -> PlanePoint:
        """In closed form."""
        omega, edge, r = _parts(*point, k)
        scale = torch.tan(omega * r) / (edge * r)
        return point[0] * scale, point[1] * scale

    @classmethod
    def steps_needed(cls, point: PlanePoint, k: Tensor, tolerance: Tensor) -> tuple[int, Tensor]:
        """None; nothing is seen from 90 degrees on."""
        angle = torch.hypot(*point) * k.abs()
        return 0, (angle < math.radians(cls.plane.widest / 2)).all(1)


def _parts(x: Tensor, y: Tensor, k: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Omega, twice the tangent of its half, and the distance from the middle, all above zero."""
    omega = k[..., 0].abs().clamp(min=_TINY)
    return omega, 2 * torch.tan(omega / 2), (x * x + y * y).sqrt().clamp(min=_TINY)
