"""A panorama of longitudes and latitudes, 360 by 180 degrees or a part of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from polyfield.scenes.lenses.base import Lens
from polyfield.scenes.lenses.distortion import Moved
from polyfield.scenes.lenses.plane import SPHERE, ImagePlane, PlanePoint

_SLACK = 1e-4


@dataclass(frozen=True)
class Equirectangular(Lens):
    """Columns are longitudes, rows latitudes; the middle is straight ahead, right is right.

    One focal length is half a turn: the height of a whole panorama, as in nerfstudio's files.
    """

    model: ClassVar[str] = "EQUIRECTANGULAR"
    plane: ClassVar[ImagePlane] = SPHERE

    @classmethod
    def distort(cls, u: Tensor, v: Tensor, k: Tensor) -> Moved:
        """Not at all."""
        one, zero = torch.ones_like(u), torch.zeros_like(u)
        return Moved(u, v, one, zero, zero, one)

    @classmethod
    def undistort(cls, point: PlanePoint, k: Tensor, steps: int) -> PlanePoint:
        """Not needed."""
        return point

    @classmethod
    def steps_needed(cls, point: PlanePoint, k: Tensor, tolerance: Tensor) -> tuple[int, Tensor]:
        """None; longitudes end after half a turn to either side, latitudes at the poles."""
        longitude, latitude = point[0].abs().amax(1), point[1].abs().amax(1)
        return 0, (longitude <= 1 + _SLACK) & (latitude <= 0.5 + _SLACK)
