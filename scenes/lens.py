"""Lens distortion: OpenCV's radial k1, k2 and tangential p1, p2, and its inverse.

Image-plane points are (x, y) = (column - cx, row - cy) / focal, with y down. The lens moves the
ideal point (x, y), with r^2 = x^2 + y^2, to

    x' = x (1 + k1 r^2 + k2 r^4) + 2 p1 x y + p2 (r^2 + 2 x^2)
    y' = y (1 + k1 r^2 + k2 r^4) + p1 (r^2 + 2 y^2) + 2 p2 x y

Making a ray from a pixel needs the inverse, which has no closed form: Newton's method finds it.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

MAX_STEPS = 12
"""Newton steps after which a lens counts as one that can't be undone."""


def distort(
    x: Float[Tensor, "*n"], y: Float[Tensor, "*n"], k: Float[Tensor, "*n 4"]
) -> tuple[Float[Tensor, "*n"], Float[Tensor, "*n"]]:
    """Where the lens puts an ideal image-plane point.

    Args:
        x: ideal horizontal coordinate in focal lengths, right.
        y: ideal vertical coordinate in focal lengths, down.
        k: k1, k2, p1, p2.

    Returns:
        The distorted x and y.
    """
    k1, k2, p1, p2 = k.unbind(-1)
    r2 = x * x + y * y
    radial = 1 + r2 * (k1 + r2 * k2)
    return (
        x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x * x),
        y * radial + 2 * p2 * x * y + p1 * (r2 + 2 * y * y),
    )


def undistort(
    x: Float[Tensor, "*n"], y: Float[Tensor, "*n"], k: Float[Tensor, "*n 4"], steps: int
) -> tuple[Float[Tensor, "*n"], Float[Tensor, "*n"]]:
    """The inverse of `distort` by a fixed number of Newton steps, starting from the point itself.

    Args:
        x: distorted horizontal coordinate in focal lengths, right.
        y: distorted vertical coordinate in focal lengths, down.
        k: k1, k2, p1, p2.
        steps: Newton steps, from `steps_needed`.

    Returns:
        The ideal x and y.
    """
    u, v = x, y
    for _ in range(steps):
        u, v = _newton_step(u, v, x, y, k)
    return u, v


def steps_needed(
    x: Float[Tensor, "n m"],
    y: Float[Tensor, "n m"],
    k: Float[Tensor, "n 4"],
    tolerance: Float[Tensor, "n 1"],
) -> tuple[int, Bool[Tensor, " n"]]:
    """How many Newton steps undo these lenses everywhere, measured in float64 on probe points.

    Args:
        x: distorted horizontal probes in focal lengths, m for each of n lenses.
        y: distorted vertical probes in focal lengths.
        k: k1, k2, p1, p2 of each lens.
        tolerance: largest error allowed, in focal lengths.

    Returns:
        The number of steps, and for each lens whether its probes were undone at all: false where
        the lens folds the image over.
    """
    k = k[:, None, :].expand(*x.shape, 4)
    u, v = x, y
    good = torch.zeros(len(x), dtype=torch.bool)
    for steps in range(1, MAX_STEPS + 1):
        u, v = _newton_step(u, v, x, y, k)
        error_x, error_y, j_xx, j_xy, j_yy = _linearise(u, v, x, y, k)
        close = (error_x.abs() < tolerance) & (error_y.abs() < tolerance)
        # Past a fold the Jacobian's determinant changes sign: the root there is the wrong one.
        upright = (j_xx * j_yy - j_xy * j_xy > 0) & (j_xx > 0)
        good = (close & upright).all(1)
        if bool(good.all()):
            return steps, good
    return MAX_STEPS, good


def _newton_step(
    u: Tensor, v: Tensor, x: Tensor, y: Tensor, k: Float[Tensor, "*n 4"]
) -> tuple[Tensor, Tensor]:
    """One Newton step of `distort(u, v) = (x, y)` from the guess (u, v)."""
    error_x, error_y, j_xx, j_xy, j_yy = _linearise(u, v, x, y, k)
    scale = 1 / (j_xx * j_yy - j_xy * j_xy)
    return (
        u - (error_x * j_yy - error_y * j_xy) * scale,
        v - (error_y * j_xx - error_x * j_xy) * scale,
    )


def _linearise(
    u: Tensor, v: Tensor, x: Tensor, y: Tensor, k: Float[Tensor, "*n 4"]
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Residual of `distort(u, v) = (x, y)` and its Jacobian, which is symmetric."""
    k1, k2, p1, p2 = k.unbind(-1)
    uu, uv, vv = u * u, u * v, v * v
    r2 = uu + vv
    radial = 1 + r2 * (k1 + r2 * k2)
    slope = 2 * (k1 + 2 * k2 * r2)  # d(radial)/d(u) = slope * u
    error_x = u * radial + 2 * p1 * uv + p2 * (r2 + 2 * uu) - x
    error_y = v * radial + 2 * p2 * uv + p1 * (r2 + 2 * vv) - y
    j_xx = radial + slope * uu + 2 * p1 * v + 6 * p2 * u
    j_xy = slope * uv + 2 * p1 * u + 2 * p2 * v
    j_yy = radial + slope * vv + 2 * p2 * u + 6 * p1 * v
    return error_x, error_y, j_xx, j_xy, j_yy
