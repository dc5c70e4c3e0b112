"""The built-in image: made by formulas, smooth in places and sharp in others."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float

from polyfield.scenes.color import block_mean, from_float

SIZE = 512
"""Width and height in pixels."""
_OVERSAMPLING = 2
"""Samples per pixel and axis, so that edges are smooth."""
_HORIZON = 0.64
_SUN = (0.64, 0.47, 0.085)
"""Column, row and radius of the sun, as fractions of the image."""

_Plane = Float[np.ndarray, "h w"]
_Canvas = Float[np.ndarray, "h w 3"]


def demo_image() -> np.ndarray:
    """An evening by the sea: [512, 512, 3], uint8, sRGB. The same on every call."""
    n = SIZE * _OVERSAMPLING
    axis = (np.arange(n, dtype=np.float32) + 0.5) / n
    x, y = axis[None, :], axis[:, None]  # right and down, both in [0, 1]
    canvas = _sky(x, y)
    _paint(canvas, _stars(x, y), (1.0, 0.97, 0.88))
    _paint_sun(canvas, x, y)
    _paint_mountains(canvas, x, y)
    canvas = _with_sea(canvas, x, y)
    _paint_boat(canvas, x, y)
    _paint_lighthouse(canvas, x, y)
    return block_mean(from_float(canvas, np.uint8), _OVERSAMPLING)


def _paint(canvas: _Canvas, cover: _Plane, color: tuple[float, float, float]) -> None:
    """Lay a colour over the canvas where `cover` (0 to 1) says."""
    canvas += cover[..., None] * (np.asarray(color, np.float32) - canvas)


def _ramp(t: _Plane, stops: list[tuple[float, tuple[float, float, float]]]) -> _Canvas:
    """Colours along t, piecewise linear between (position, colour) stops."""
    positions = [position for position, _ in stops]
    channels = [np.interp(t, positions, [color[c] for _, color in stops]) for c in range(3)]
    return np.stack(channels, axis=-1).astype(np.float32)


def _smooth(low: float, high: float, t: _Plane) -> _Plane:
    """0 below `low`, 1 above `high`, smooth between."""
    t = np.clip((t - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)


def _hash(i: _Plane, j: _Plane) -> _Plane:
    """A fixed number in [0, 1) for each pair of whole numbers."""
    bits = i.astype(np.uint32) * np.uint32(374761393) + j.astype(np.uint32) * np.uint32(668265263)
    bits = (bits ^ (bits >> np.uint32(13))) * np.uint32(1274126177)
    return ((bits ^ (bits >> np.uint32(16))) >> np.uint32(8)).astype(np.float32) / 2**24


def _noise(x: _Plane, y: _Plane) -> _Plane:
    """Smooth noise in [0, 1] with one feature per unit; x and y at least 0."""
    i, j = np.floor(x), np.floor(y)
    u, v = x - i, y - j
    u, v = u * u * (3 - 2 * u), v * v * (3 - 2 * v)
    upper = _hash(i, j) * (1 - u) + _hash(i + 1, j) * u
    lower = _hash(i, j + 1) * (1 - u) + _hash(i + 1, j + 1) * u
    return upper * (1 - v) + lower * v


def _fractal(x: _Plane, y: _Plane, octaves: int) -> _Plane:
    """Noise over octaves, each twice as fine and half as strong; in [0, 1]."""
    total = sum(
        0.5 ** (k + 1) * _noise(x * 2**k + 17 * k, y * 2**k + 31 * k) for k in range(octaves)
    )
    return np.asarray(total, np.float32) / (1 - 0.5**octaves)


def _sky(x: _Plane, y: _Plane) -> _Canvas:
    """From night blue above to orange at the horizon, with streaks of cloud lit from below."""
    t = np.broadcast_to(y / _HORIZON, (y.shape[0], x.shape[1]))
    canvas = _ramp(
        t,
        [
            (0.0, (0.04, 0.05, 0.17)),
            (0.35, (0.20, 0.13, 0.38)),
            (0.62, (0.66, 0.27, 0.44)),
            (0.85, (0.98, 0.56, 0.36)),
            (1.0, (1.0, 0.79, 0.50)),
        ],
    )
    streaks = _fractal(3 * x + 0 * y, 14 * y + 1.2 * x, 5)
    cover = 0.75 * _smooth(0.50, 0.72, streaks) * _smooth(0.08, 0.3, t)
    lit = _ramp(t, [(0.2, (0.30, 0.17, 0.42)), (0.6, (0.93, 0.42, 0.46)), (1.0, (1.0, 0.88, 0.66))])
    return canvas + cover[..., None] * (lit - canvas)


def _stars(x: _Plane, y: _Plane) -> _Plane:
    """Points of light, a pixel or two wide, fading towards the horizon."""
    cells = 48
    i, j = np.floor(x * cells) + 0 * y, np.floor(y * cells) + 0 * x
    dx = x * cells - i - 0.2 - 0.6 * _hash(i + 101, j)
    dy = y * cells - j - 0.2 - 0.6 * _hash(i, j + 211)
    strength = np.clip(_hash(i + 7, j + 5) - 0.72, 0, None) / 0.28
    point = np.exp(-(dx * dx + dy * dy) / (0.0025 + 0.008 * strength))
    return point * strength * (1 - _smooth(0.1, 0.42, y))


def _paint_sun(canvas: _Canvas, x: _Plane, y: _Plane) -> None:
    """A sharp disc in a soft halo."""
    column, row, radius = _SUN
    distance = np.hypot(x - column, y - row)
    _paint(canvas, 0.75 * np.exp(-((distance / 0.19) ** 2)), (1.0, 0.72, 0.42))
    disc = (distance < radius).astype(np.float32)
    _paint(canvas, disc, (1.0, 0.93, 0.72))


def _paint_mountains(canvas: _Canvas, x: _Plane, y: _Plane) -> None:
    """Three ridges, each nearer one darker and more jagged."""
    ridges = (
        (0.50, 0.10, 3.0, 0.0, (0.60, 0.33, 0.47)),
        (0.545, 0.11, 4.5, 40.0, (0.37, 0.20, 0.38)),
        (0.59, 0.09, 7.0, 90.0, (0.17, 0.11, 0.26)),
    )
    for base, height, frequency, shift, color in ridges:
        crest = base + 2 * height * (0.5 - _fractal(frequency * x + shift, 0 * x + shift, 7))
        below = (y > crest).astype(np.float32)
        haze = np.clip((y - crest) / 0.16, 0, 1) * below
        _paint(canvas, below, color)
        _paint(canvas, 0.55 * haze, (0.98, 0.58, 0.45))


def _with_sea(canvas: _Canvas, x: _Plane, y: _Plane) -> _Canvas:
    """Below the horizon, the mirrored upper part seen through ripples that narrow with distance."""
    n = canvas.shape[0]
    first = round(_HORIZON * n)
    rows = y[first:]
    depth = 0.05 / (rows - _HORIZON + 0.012)  # large at the horizon
    swell = _fractal(5 * x + 2 * depth, 26 * depth, 4) - 0.5
    wave = np.sin(60 * depth + 9 * swell + 5 * np.sin(9 * x + 3 * depth))
    near = np.clip((rows - _HORIZON) / (1 - _HORIZON), 0, 1)
    source = 2 * _HORIZON - rows + (0.004 + 0.035 * near) * wave
    column = x + (0.003 + 0.012 * near) * swell
    i = np.clip((source * n).astype(np.int64), 0, first - 1)
    j = np.clip((column * n).astype(np.int64), 0, n - 1)
    water = canvas[i, j] * (0.80 - 0.35 * near[..., None])
    _paint(water, 0.35 + 0.15 * near + 0 * x, (0.06, 0.10, 0.24))
    # Glitter: small sharp flakes under the sun.
    flakes = _noise(70 * x + 6 * wave + 9, 130 * depth + 3) > 0.66
    path = np.exp(-(((x - _SUN[0]) / (0.045 + 0.10 * near)) ** 2))
    _paint(water, 0.9 * path * flakes, (1.0, 0.86, 0.58))
    return np.concatenate([canvas[:first], water.astype(np.float32)])


def _inside(x: _Plane, y: _Plane, corners: list[tuple[float, float]]) -> _Plane:
    """1 inside a convex polygon whose corners go clockwise on the image, else 0."""
    inside = np.ones(np.broadcast_shapes(x.shape, y.shape), dtype=bool)
    for (ax, ay), (bx, by) in zip(corners, corners[1:] + corners[:1], strict=True):
        inside &= (bx - ax) * (y - ay) - (by - ay) * (x - ax) >= 0
    return inside.astype(np.float32)


def _paint_boat(canvas: _Canvas, x: _Plane, y: _Plane) -> None:
    """A sailing boat before the sun's path: hull, mast and two sails."""
    x, y = (x - 0.47) / 0.085, (y - 0.745) / 0.085
    _paint(canvas, _inside(x, y, [(0.06, -2.15), (0.95, -0.42), (0.06, -0.30)]), (0.98, 0.90, 0.80))
    _paint(
        canvas, _inside(x, y, [(-0.03, -1.9), (-0.03, -0.35), (-0.7, -0.45)]), (0.90, 0.42, 0.36)
    )
    _paint(
        canvas,
        _inside(x, y, [(-0.02, -2.3), (0.03, -2.3), (0.03, 0), (-0.02, 0)]),
        (0.2, 0.1, 0.12),
    )
    hull = [(-0.95, -0.22), (1.15, -0.28), (0.8, 0.12), (-0.7, 0.12)]
    _paint(canvas, _inside(x, y, hull), (0.24, 0.09, 0.14))
    _paint(
        canvas,
        _inside(x, y, [(-0.92, -0.16), (1.1, -0.2), (1.06, -0.14), (-0.89, -0.1)]),
        (0.95, 0.8, 0.6),
    )


def _paint_lighthouse(canvas: _Canvas, x: _Plane, y: _Plane) -> None:
    """A striped tower on a rock, its lamp lit."""
    left, foot, height = 0.13, 0.70, 0.30
    rock = 0.685 + 0.10 * (1 - _fractal(14 * x + 3, 0 * x + 8, 6)) + 0.9 * np.clip(x - 0.18, 0, 1)
    stone = _fractal(60 * x, 60 * y, 4)
    below = (y > rock - 0.05).astype(np.float32) * (y < 0.80 + 0.02 * np.sin(40 * x))
    _paint(canvas, below, (0.10, 0.07, 0.14))
    _paint(canvas, below * 0.5 * _smooth(0.45, 0.8, stone), (0.50, 0.30, 0.34))
    t = (foot - y) / height  # 0 at the foot, 1 at the gallery
    half = 0.030 - 0.011 * t
    tower = ((np.abs(x - left) < half) & (t > -0.05) & (t < 1)).astype(np.float32)
    stripe = (np.floor(t * 6) % 2).astype(np.float32)
    _paint(canvas, tower * (1 - stripe), (0.93, 0.88, 0.84))
    _paint(canvas, tower * stripe, (0.78, 0.20, 0.20))
    _paint(canvas, tower * 0.55 * _smooth(-1, 0.8, (left - x) / half), (0.15, 0.07, 0.18))
    _paint(
        canvas,
        _inside(x, y, [(0.105, 0.392), (0.155, 0.392), (0.155, 0.402), (0.105, 0.402)]),
        (0.1, 0.06, 0.12),
    )
    _paint(
        canvas,
        _inside(x, y, [(0.117, 0.362), (0.143, 0.362), (0.143, 0.392), (0.117, 0.392)]),
        (1.0, 0.95, 0.7),
    )
    _paint(canvas, _inside(x, y, [(0.13, 0.335), (0.15, 0.362), (0.11, 0.362)]), (0.55, 0.12, 0.15))
    glow = np.exp(-np.hypot(x - left, y - 0.377) / 0.035)
    _paint(canvas, 0.7 * glow, (1.0, 0.92, 0.65))
