"""Solids that rays meet in closed form: ellipsoid, box, capped cone. z is up.

Rays start outside. The hit of a ray is its smallest positive t on the surface; a miss is infinity.
Plain numpy: thousands of small operations, which torch would spread over threads at a loss.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

Point = tuple[float, float, float]
Vectors = Float[np.ndarray, "n 3"]
Values = Float[np.ndarray, " n"]

_TINY = np.float32(1e-12)
"""Stands for a zero divisor; of either sign, the quotient is as good as infinite."""


class Solid(ABC):
    """A closed surface."""

    @abstractmethod
    def ball(self) -> tuple[Point, float]:
        """Centre and radius of a ball around the solid."""

    @abstractmethod
    def hit(self, origins: Vectors, directions: Vectors) -> Values:
        """The hit of each ray, or infinity."""

    @abstractmethod
    def normal(self, points: Vectors) -> Vectors:
        """Outward unit normal at points on the surface."""

    @abstractmethod
    def local(self, points: Vectors) -> Vectors:
        """World points in the solid's own frame, where patterns are painted."""


@dataclass(frozen=True)
class Ellipsoid(Solid):
    """An ellipsoid along the axes; three equal radii make a sphere."""

    center: Point
    """Its middle."""
    radii: Point
    """Half lengths of its axes."""

    def ball(self) -> tuple[Point, float]:
        """Centre and radius of a ball around the solid."""
        return self.center, max(self.radii)

    def hit(self, origins: Vectors, directions: Vectors) -> Values:
        """The hit of each ray, or infinity."""
        # In units of the radii this is a unit sphere; t doesn't change.
        start, step = self.local(origins), directions / _vector(self.radii)
        a, half_b, c = dot(step, step), dot(start, step), dot(start, start) - 1
        root = half_b * half_b - a * c
        t = (-half_b - np.sqrt(np.maximum(root, 0))) / a
        return np.where((root > 0) & (t > 0), t, np.float32(math.inf))

    def normal(self, points: Vectors) -> Vectors:
        """Outward unit normal at points on the surface."""
        return unit(self.local(points) / _vector(self.radii))

    def local(self, points: Vectors) -> Vectors:
        """World points in units of the radii, from the middle."""
        return (points - _vector(self.center)) / _vector(self.radii)


@dataclass(frozen=True)
class Box(Solid):
    """A box, turned about the vertical."""

    center: Point
    """Its middle."""
    half: Point
    """Half lengths of its edges."""
    turn: float
    """Angle about z in radians, counterclockwise from above."""

    def ball(self) -> tuple[Point, float]:
        """Centre and radius of a ball around the solid."""
        return self.center, math.hypot(*self.half)

    def hit(self, origins: Vectors, directions: Vectors) -> Values:
        """The hit of each ray, or infinity."""
        start, step = self.local(origins), self._turned(directions, -self.turn)
        inverse = 1 / _nonzero(step)
        reach = _vector(self.half) * np.abs(inverse)
        enter = (-start * inverse - reach).max(1)
        leave = (-start * inverse + reach).min(1)
        return np.where((enter < leave) & (enter > 0), enter, np.float32(math.inf))

    def normal(self, points: Vectors) -> Vectors:
        """Outward unit normal at points on the surface."""
        local = self.local(points)
        face = np.abs(local / _vector(self.half)).argmax(1)[:, None]
        normal = np.zeros_like(local)
        np.put_along_axis(normal, face, np.sign(np.take_along_axis(local, face, 1)), 1)
        return self._turned(normal, self.turn)

    def local(self, points: Vectors) -> Vectors:
        """World points from the middle, along the box's edges."""
        return self._turned(points - _vector(self.center), -self.turn)

    def _turned(self, vectors: Vectors, angle: float) -> Vectors:
        """Vectors turned about z, counterclockwise."""
        cos, sin = math.cos(angle), math.sin(angle)
        x, y, z = vectors.T
        return np.stack([cos * x - sin * y, sin * x + cos * y, z], axis=1)


@dataclass(frozen=True)
class Cone(Solid):
    """A cone cut off at both ends, upright; equal radii make a cylinder."""

    base: Point
    """The middle of its lower face."""
    height: float
    """From the lower face to the upper."""
    radii: tuple[float, float]
    """Of the lower and of the upper face."""

    def ball(self) -> tuple[Point, float]:
        """Centre and radius of a ball around the solid."""
        x, y, z = self.base
        return (x, y, z + self.height / 2), math.hypot(max(self.radii), self.height / 2)

    def hit(self, origins: Vectors, directions: Vectors) -> Values:
        """The hit of each ray, or infinity."""
        (x, y, z), (dx, dy, dz) = self.local(origins).T, directions.T
        # x^2 + y^2 = radius(z)^2 along the ray.
        radius, widening = self.radii[0] + self._slope() * z, self._slope() * dz
        a = dx * dx + dy * dy - widening * widening
        half_b = x * dx + y * dy - radius * widening
        c = x * x + y * y - radius * radius
        root = half_b * half_b - a * c
        # The sum that doesn't cancel: a ray nearly along the side has a tiny a.
        sum_ = -(half_b + np.copysign(np.sqrt(np.maximum(root, 0)), half_b))
        best = np.full_like(z, math.inf)
        for t in (sum_ / _nonzero(a), c / _nonzero(sum_)):  # the nearer may miss the faces' span
            at = z + t * dz
            good = (root > 0) & (t > 0) & (at > 0) & (at < self.height) & (t < best)
            best = np.where(good, t, best)
        for level, limit in ((0.0, self.radii[0]), (self.height, self.radii[1])):
            t = (level - z) / _nonzero(dz)
            across = (x + t * dx) ** 2 + (y + t * dy) ** 2
            best = np.where((t > 0) & (across < limit**2) & (t < best), t, best)
        return best

    def normal(self, points: Vectors) -> Vectors:
        """Outward unit normal at points on the surface."""
        x, y, z = self.local(points).T
        across = np.hypot(x, y)
        normal = np.stack([x, y, -self._slope() * across], axis=1)
        # A point belongs to the surface it is nearest to.
        off_side = np.abs(across - self.radii[0] - self._slope() * z)
        off_top, off_base = np.abs(z - self.height), np.abs(z)
        normal[off_top < off_side] = (0, 0, 1)
        normal[off_base < np.minimum(off_side, off_top)] = (0, 0, -1)
        return unit(normal)

    def local(self, points: Vectors) -> Vectors:
        """World points from the middle of the lower face."""
        return points - _vector(self.base)

    def _slope(self) -> float:
        """How fast the radius grows with z."""
        return (self.radii[1] - self.radii[0]) / self.height


def dot(a: Vectors, b: Vectors) -> Values:
    """Inner products, row by row."""
    return np.einsum("ij,ij->i", a, b)


def unit(vectors: Vectors) -> Vectors:
    """The same directions with length 1."""
    return vectors / np.sqrt(dot(vectors, vectors))[:, None]


def _vector(values: Point) -> Float[np.ndarray, " 3"]:
    return np.array(values, np.float32)


def _nonzero(values: Float[np.ndarray, "*n"]) -> Float[np.ndarray, "*n"]:
    """Values that can be divided by without a warning."""
    return np.where(np.abs(values) < _TINY, _TINY, values)
