"""The built-in scene: glossy solids on a round table, lit in closed form.

The table's upper face is z = 0. Light is a large lamp, approximated by a few directions, plus a sky
that is brighter above; both are seen again in the gloss, which therefore moves with the eye.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int64

from polyfield.scenes.cameras import PINHOLE, Camera
from polyfield.scenes.demo.solids import Box, Cone, Ellipsoid, Solid, Values, Vectors, dot, unit

Color = tuple[float, float, float]
Paint = Callable[[Vectors], Vectors]
"""Points in a solid's own frame -> linear base colour."""

BOUNDS = ((-1.3, -1.3, -0.95), (1.3, 1.3, 1.65))
"""A cube around all solids."""
LAMP = ((0.56, -0.40, 0.78), (0.62, -0.50, 0.66), (0.66, -0.34, 0.70), (0.52, -0.54, 0.72))
"""Directions towards the lamp, one per sample of a pixel: their mean has soft shadows."""
_OFFSETS = ((0.25, 0.25), (0.75, 0.25), (0.25, 0.75), (0.75, 0.75))
"""Where in a pixel its samples lie."""
_LAMP_COLOR = (2.5, 2.3, 2.0)
_ZENITH = (0.42, 0.56, 0.80)
_HORIZON = (0.95, 0.88, 0.80)
_GROUND = (0.14, 0.12, 0.11)
_EPSILON = 1e-3
"""How far from a surface its shadow rays start."""


def _plain(color: Color) -> Paint:
    return lambda points: np.broadcast_to(np.array(color, np.float32), points.shape)


def _checks(first: Color, second: Color, size: float) -> Paint:
    """A chequered pattern in x and y."""
    return lambda points: _mix(first, second, np.floor(points[:, :2] / size).sum(1) % 2)


def _bands(first: Color, second: Color, size: float) -> Paint:
    """Stripes across the vertical."""
    return lambda points: _mix(first, second, np.floor(points[:, 2] / size + 0.5) % 2)


def _marble(first: Color, second: Color, turns: float) -> Paint:
    """Smooth waves of two colours, winding around."""

    def paint(points: Vectors) -> Vectors:
        x, y, z = points.T
        wave = np.sin(turns * (z + 0.35 * np.sin(3 * x) + 0.35 * np.sin(3 * y)))
        return _mix(first, second, 0.5 + 0.5 * wave)

    return paint


def _mix(first: Color, second: Color, share: Values) -> Vectors:
    """`first` where the share is 0, `second` where it is 1."""
    low, high = np.array(first, np.float32), np.array(second, np.float32)
    return low + share[:, None].astype(np.float32) * (high - low)


@dataclass(frozen=True)
class Primitive:
    """A solid and how it looks."""

    solid: Solid
    paint: Paint
    gloss: float
    """Share of light mirrored when looked at straight, 0 to 1; grazing views mirror more."""
    shine: float
    """How small the lamp's highlight is: Blinn-Phong exponent."""


def _ball(x: float, y: float, radius: float) -> Ellipsoid:
    """A ball that lies on the table."""
    return Ellipsoid((x, y, radius), (radius, radius, radius))


THINGS = (
    Primitive(
        Cone((0.0, 0.0, -0.12), 0.12, (1.2, 1.25)),
        _checks((0.80, 0.76, 0.68), (0.11, 0.15, 0.20), 0.25),
        0.04,
        60.0,
    ),
    Primitive(Cone((0.0, 0.0, -0.28), 0.16, (0.75, 0.55)), _plain((0.30, 0.16, 0.08)), 0.04, 40.0),
    Primitive(_ball(-0.10, 0.12, 0.46), _plain((0.62, 0.03, 0.04)), 0.06, 220.0),
    Primitive(
        Ellipsoid((-0.68, -0.42, 0.42), (0.25, 0.25, 0.42)),
        _marble((0.85, 0.80, 0.70), (0.03, 0.30, 0.34), 9.0),
        0.05,
        160.0,
    ),
    Primitive(
        Box((0.58, 0.46, 0.27), (0.25, 0.25, 0.27), 0.5),
        _bands((0.05, 0.16, 0.55), (0.85, 0.83, 0.78), 0.12),
        0.04,
        90.0,
    ),
    Primitive(
        Ellipsoid((0.58, 0.46, 0.68), (0.14, 0.14, 0.14)), _plain((0.90, 0.88, 0.82)), 0.06, 220.0
    ),
    Primitive(_ball(0.42, -0.50, 0.24), _plain((0.83, 0.50, 0.10)), 0.35, 300.0),
    Primitive(Cone((-0.52, 0.78, 0.0), 0.62, (0.22, 0.02)), _plain((0.10, 0.42, 0.12)), 0.04, 80.0),
    Primitive(_ball(-0.14, -0.72, 0.13), _plain((0.45, 0.10, 0.50)), 0.06, 220.0),
    Primitive(_ball(0.95, -0.08, 0.11), _plain((0.05, 0.45, 0.55)), 0.06, 220.0),
)
_CENTERS = np.array([thing.solid.ball()[0] for thing in THINGS], np.float32)
_RADII = np.array([thing.solid.ball()[1] for thing in THINGS], np.float32) + 1e-3


def render(camera: Camera) -> Float[np.ndarray, "h w 4"]:
    """An image of the scene: straight sRGB and coverage, in [0, 1], antialiased.

    Args:
        camera: outside of all things, without lens distortion.
    """
    assert camera.lens == PINHOLE
    pose = camera.pose.float().numpy()
    rows, columns = np.divmod(np.arange(camera.width * camera.height), np.int64(camera.width))
    total = np.zeros((len(rows), 4), np.float32)
    for (right, down), lamp in zip(_OFFSETS, LAMP, strict=True):
        x = (columns + right - camera.cx) / camera.fl_x
        y = (rows + down - camera.cy) / camera.fl_y
        local = np.stack([x, -y, np.full_like(x, -1)], axis=1).astype(np.float32)
        hit, color = _trace(pose[:3, 3], unit(np.einsum("ij,kj->ki", pose[:3, :3], local)), lamp)
        total[hit, :3] += _curve(color.clip(0, 1))
        total[hit, 3] += 1
    total[:, :3] /= np.maximum(total[:, 3:], 1)
    total[:, 3] /= len(LAMP)
    return total.reshape(camera.height, camera.width, 4)


def _curve(linear: Vectors) -> Vectors:
    """The sRGB curve on [0, 1]."""
    return np.where(linear <= 0.0031308, linear * 12.92, 1.055 * linear ** (1 / 2.4) - 0.055)


def _trace(
    origin: Float[np.ndarray, " 3"], directions: Vectors, lamp: Color
) -> tuple[Int64[np.ndarray, " m"], Float[np.ndarray, "m 3"]]:
    """Which rays from a point hit something, and the linear colour each of them sees."""
    t = np.full(len(directions), np.inf, np.float32)
    which = np.zeros(len(directions), np.int64)
    for i, near in enumerate(_near_cone(origin, directions)):
        (rays,) = near.nonzero()
        found = THINGS[i].solid.hit(np.broadcast_to(origin, (len(rays), 3)), directions[rays])
        closer = found < t[rays]
        t[rays[closer]], which[rays[closer]] = found[closer], i
    (hit,) = np.isfinite(t).nonzero()
    return hit, _shade(origin + t[hit, None] * directions[hit], directions[hit], which[hit], lamp)


def _near_cone(
    origin: Float[np.ndarray, " 3"], directions: Vectors
) -> Bool[np.ndarray, "things n"]:
    """Which rays from a point meet the ball around each thing: those in a cone."""
    towards = _CENTERS - origin
    distance = np.sqrt(dot(towards, towards))
    cosine = np.sqrt(1 - np.minimum(_RADII / distance, 1) ** 2)
    return np.einsum("ij,kj->ik", towards / distance[:, None], directions) > cosine[:, None]


def _near_column(points: Vectors, direction: Float[np.ndarray, " 3"]) -> Bool[np.ndarray, "k n"]:
    """Which points, followed along one common direction, meet the ball around each thing."""
    flat = points - (points @ direction)[:, None] * direction
    centers = _CENTERS - (_CENTERS @ direction)[:, None] * direction
    apart = dot(flat, flat) - 2 * np.einsum("ij,kj->ik", centers, flat)
    return apart < (_RADII**2 - dot(centers, centers))[:, None]


def _shade(
    points: Vectors, directions: Vectors, which: Int64[np.ndarray, " n"], lamp: Color
) -> Vectors:
    """Linear colour of points on the things, seen along directions."""
    normal, base = np.empty_like(points), np.empty_like(points)
    for i, thing in enumerate(THINGS):
        (mine,) = (which == i).nonzero()
        normal[mine] = thing.solid.normal(points[mine])
        base[mine] = thing.paint(thing.solid.local(points[mine]))
    gloss = np.array([thing.gloss for thing in THINGS], np.float32)[which, None]
    shine = np.array([thing.shine for thing in THINGS], np.float32)[which, None]
    to_lamp = unit(np.array([lamp], np.float32))
    facing = np.maximum(normal @ to_lamp.T, 0)
    lit = facing * np.array(_LAMP_COLOR, np.float32) * _visible(points, normal, to_lamp[0])
    ambient = 0.55 * _sky(normal, 2.0) * _openness(points, normal)
    across = np.maximum(-dot(normal, directions), 0)[:, None]
    mirror = gloss + (1 - gloss) * (1 - across) ** 5
    bounced = directions + 2 * across * normal
    along_half = np.maximum(dot(normal, unit(to_lamp - directions)), 0)[:, None]
    highlight = along_half**shine * (shine + 8) / 80
    color = (1 - mirror) * base * (0.55 * lit + ambient) + mirror * _sky(bounced, 6.0)
    return color + gloss * highlight * lit


def _visible(
    points: Vectors, normal: Vectors, to_lamp: Float[np.ndarray, " 3"]
) -> Float[np.ndarray, "n 1"]:
    """1 where nothing stands between a point and the lamp, else 0."""
    free = normal @ to_lamp > 0
    start = points + np.float32(_EPSILON) * normal
    for i, near in enumerate(_near_column(start, to_lamp)):
        (rays,) = (near & free).nonzero()
        towards = np.broadcast_to(to_lamp, (len(rays), 3))
        free[rays] = np.isinf(THINGS[i].solid.hit(start[rays], towards))
    return free[:, None].astype(np.float32)


def _openness(points: Vectors, normal: Vectors) -> Float[np.ndarray, "n 1"]:
    """How much sky a point sees, roughly: the table nearby darkens what leans over it."""
    over_table = (np.hypot(points[:, 0], points[:, 1]) < 1.2) & (points[:, 2] > -_EPSILON)
    near = np.exp(-np.maximum(points[:, 2], 0) / 0.22) * over_table
    return (1 - 0.5 * near * (1 - np.maximum(normal[:, 2], 0)))[:, None]


def _sky(directions: Vectors, sharpness: float) -> Vectors:
    """Light from a direction: ground below, bright horizon, blue above."""
    up = directions[:, 2:]
    zenith, horizon = np.array(_ZENITH, np.float32), np.array(_HORIZON, np.float32)
    above = horizon + np.sqrt(np.maximum(up, 0)) * (zenith - horizon)
    ground = np.array(_GROUND, np.float32)
    return ground + (above - ground) / (1 + np.exp(-sharpness * up))
