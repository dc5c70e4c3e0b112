"""Distortions of the image plane with their derivatives, and Newton's method to undo them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from polyfield.scenes.lenses.plane import PlanePoint

MAX_STEPS = 12
"""Newton steps after which a lens counts as one that can't be undone."""


@dataclass(frozen=True, eq=False)
class Moved:
    """Where a distortion puts a point (u, v), and how that changes with the point."""

    x: Tensor
    y: Tensor
    x_u: Tensor
    """Derivative of x along u; the others likewise."""
    x_v: Tensor
    y_u: Tensor
    y_v: Tensor


Distortion = Callable[[Tensor, Tensor, Tensor], Moved]
"""Of points u, v with coefficients [*n, c]."""


def newton(distort: Distortion, point: PlanePoint, k: Tensor, steps: int) -> PlanePoint:
    """What a distortion moved to a point, by a fixed number of steps from the point itself.

    Args:
        distort: the distortion.
        point: where it put something.
        k: coefficients [*n, c].
        steps: from `newton_steps`.
    """
    guess = point
    for _ in range(steps):
        guess = _step(guess, point, distort(*guess, k))
    return guess


def newton_steps(
    distort: Distortion,
    point: PlanePoint,
    k: Float[Tensor, "n c"],
    tolerance: Float[Tensor, "n 1"],
    reach: float,
) -> tuple[int, Bool[Tensor, " n"]]:
    """How many Newton steps undo these distortions everywhere.

    Args:
        distort: the distortion.
        point: probes, [n, m], float64: m for each of n lenses.
        k: coefficients of each lens.
        tolerance: largest error allowed, in focal lengths.
        reach: farthest from the middle that a point can come from.

    Returns:
        The number of steps, and for each lens whether its probes were undone at all: false where
        it folds the image over.
    """
    k = k[:, None, :].expand(*point[0].shape, k.shape[1])
    guess, moved = point, distort(*point, k)
    good = torch.zeros(len(k), dtype=torch.bool)
    for steps in range(1, MAX_STEPS + 1):
        guess = _step(guess, point, moved)
        moved = distort(*guess, k)
        error_x, error_y = moved.x - point[0], moved.y - point[1]
        close = (error_x.abs() < tolerance) & (error_y.abs() < tolerance)
        # Past a fold the Jacobian's determinant changes sign: the root there is the wrong one.
        upright = (moved.x_u * moved.y_v - moved.x_v * moved.y_u > 0) & (moved.x_u > 0)
        near = guess[0].square() + guess[1].square() <= reach * reach
        good = (close & upright & near).all(1)
        if bool(good.all()):
            return steps, good
    return MAX_STEPS, good


def _step(guess: PlanePoint, point: PlanePoint, moved: Moved) -> PlanePoint:
    """One Newton step from a guess, which is moved so, to what is moved to the point."""
    error_x, error_y = moved.x - point[0], moved.y - point[1]
    scale = 1 / (moved.x_u * moved.y_v - moved.x_v * moved.y_u)
    return (
        guess[0] - (error_x * moved.y_v - error_y * moved.x_v) * scale,
        guess[1] - (error_y * moved.x_u - error_x * moved.y_u) * scale,
    )


def brown(
    u: Tensor, v: Tensor, radial: tuple[Tensor, Tensor], tangential: tuple[Tensor, Tensor]
) -> Moved:
    """Radial and tangential distortion: Brown 1966, in OpenCV's signs.

        x = u f(r^2) + 2 p1 u v + p2 (r^2 + 2 u^2)
        y = v f(r^2) + 2 p2 u v + p1 (r^2 + 2 v^2)

    Args:
        u: horizontal coordinate.
        v: vertical coordinate.
        radial: f(r^2) and 2 f'(r^2).
        tangential: p1 and p2.
    """
    factor, slope = radial
    p1, p2 = tangential
    uu, uv, vv = u * u, u * v, v * v
    r2 = uu + vv
    across = slope * uv + 2 * p1 * u + 2 * p2 * v
    return Moved(
        u * factor + 2 * p1 * uv + p2 * (r2 + 2 * uu),
        v * factor + 2 * p2 * uv + p1 * (r2 + 2 * vv),
        factor + slope * uu + 2 * p1 * v + 6 * p2 * u,
        across,
        across,
        factor + slope * vv + 2 * p2 * u + 6 * p1 * v,
    )


def scaled(u: Tensor, v: Tensor, radial: tuple[Tensor, Tensor]) -> Moved:
    """Radial distortion alone, by f(r^2) and 2 f'(r^2)."""
    factor, slope = radial
    across = slope * u * v
    return Moved(
        u * factor, v * factor, factor + slope * u * u, across, across, factor + slope * v * v
    )


def polynomial(r2: Tensor, k: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
    """1 + k1 r^2 + k2 r^4 + ..., and twice its derivative by r^2, both by Horner's rule.

    Args:
        r2: squared radius.
        k: k1, k2, ...
    """
    value, slope = k[-1], len(k) * k[-1]
    for power in range(len(k) - 1, 0, -1):
        value, slope = k[power - 1] + r2 * value, power * k[power - 1] + r2 * slope
    return 1 + r2 * value, 2 * slope
