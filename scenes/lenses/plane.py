"""Image planes before distortion: flat, by equal angles, and of longitudes and latitudes.

Directions are (x, y, z) in OpenCV's camera axes: x right, y down, z ahead; any length. Points of
the image plane are (column - cx, row - cy) / focal length.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
from torch import Tensor

PlanePoint = tuple[Tensor, Tensor]
"""Horizontal and vertical coordinates on the image plane, focal lengths, right and down."""
Direction = tuple[Tensor, Tensor, Tensor]
"""Right, down, ahead; any length."""

_TINY = 1e-30


@dataclass(frozen=True)
class ImagePlane(ABC):
    """How an ideal lens maps directions."""

    is_flat: bool
    """Straight lines stay straight: it sees less than 180 degrees."""
    has_axis: bool
    """There is a middle of what it sees; else it sees all around."""
    widest: float
    """Degrees that an image can span at most, distortion aside."""
    reach: float
    """Farthest from the middle that a point can be, focal lengths."""

    @abstractmethod
    def project(self, direction: Direction) -> PlanePoint:
        """Where a direction is seen; NaN where it isn't."""

    @abstractmethod
    def unproject(self, point: PlanePoint) -> Direction:
        """The direction that is seen at a point."""

    @abstractmethod
    def field_of_view(self, extent: float) -> float:
        """Degrees across a centred image.

        Args:
            extent: its width or height in focal lengths.
        """


class _Flat(ImagePlane):
    """The plane one unit ahead."""

    def project(self, direction: Direction) -> PlanePoint:
        x, y, z = direction
        ahead = torch.where(z > 0, z, torch.nan)
        return x / ahead, y / ahead

    def unproject(self, point: PlanePoint) -> Direction:
        x, y = point
        return x, y, torch.ones_like(x)

    def field_of_view(self, extent: float) -> float:
        return math.degrees(2 * math.atan2(extent / 2, 1.0))


class _Angles(ImagePlane):
    """Equidistant: as far from the middle as the angle to the optical axis, in radians."""

    def project(self, direction: Direction) -> PlanePoint:
        x, y, z = direction
        across = torch.hypot(x, y)
        # Straight ahead both are zero, and their ratio 1 / z.
        scale = torch.where(across > 0, torch.atan2(across, z) / across.clamp(min=_TINY), 1 / z)
        return x * scale, y * scale

    def unproject(self, point: PlanePoint) -> Direction:
        x, y = point
        angle = torch.hypot(x, y)
        scale = torch.sinc(angle / math.pi)
        return x * scale, y * scale, angle.cos()

    def field_of_view(self, extent: float) -> float:
        return math.degrees(extent)


class _Sphere(ImagePlane):
    """Longitudes and latitudes in half turns."""

    def project(self, direction: Direction) -> PlanePoint:
        x, y, z = direction
        return torch.atan2(x, z) / math.pi, torch.atan2(y, torch.hypot(x, z)) / math.pi

    def unproject(self, point: PlanePoint) -> Direction:
        longitude, latitude = point[0] * math.pi, point[1] * math.pi
        flat = latitude.cos()
        return longitude.sin() * flat, latitude.sin(), longitude.cos() * flat

    def field_of_view(self, extent: float) -> float:
        return 180.0 * extent


FLAT: ImagePlane = _Flat(is_flat=True, has_axis=True, widest=179.9, reach=math.inf)
ANGLES: ImagePlane = _Angles(is_flat=False, has_axis=True, widest=720.0, reach=math.pi)
SPHERE: ImagePlane = _Sphere(is_flat=False, has_axis=False, widest=360.01, reach=math.inf)
