"""Spacings of intervals along rays, and new borders where a histogram has weight.

Source: Barron et al. 2022 (mip-NeRF 360), sections 3.1 and A; the spacing and the constants are
nerfstudio's (model_components/ray_samplers.py). Symbols: r rays, m bins; s in [0,1] a border, t its
distance; w >= 0 the weight of a bin.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

Spacing = Literal["piecewise", "uniform"]
PADDING = 0.01
"""Added to each weight, so that no bin is left without samples."""


def spread(kind: Spacing, t: Float[Tensor, "*r"]) -> Float[Tensor, "*r"]:
    """Distances to the line where first borders are even: linear up to 1, then in disparity."""
    return t if kind == "uniform" else torch.where(t < 1, t / 2, 1 - 1 / (2 * t))


def distance(kind: Spacing, s: Float[Tensor, "*r"]) -> Float[Tensor, "*r"]:
    """The inverse of `spread`."""
    return s if kind == "uniform" else torch.where(s < 0.5, 2 * s, 1 / (2 - 2 * s))


def distances(
    kind: Spacing, near: Float[Tensor, "r"], far: Float[Tensor, "r"]
) -> Callable[[Float[Tensor, "r m"]], Float[Tensor, "r m"]]:
    """Borders s in [0,1] of each ray -> distances t from near to far."""
    begin, end = spread(kind, near)[:, None], spread(kind, far)[:, None]
    return lambda s: distance(kind, s * end + (1 - s) * begin)


def even(count: int, jitter: Float[Tensor, "r 1"] | None, rays: Tensor) -> Float[Tensor, "r m1"]:
    """Borders of so many equal bins of each ray.

    Args:
        count: m.
        jitter: in [0,1), how far each border moves between the middles beside it; None for none.
        rays: [r], of which there are so many, on their device.
    """
    borders = torch.linspace(0, 1, count + 1, device=rays.device, dtype=rays.dtype)
    if jitter is None:
        return borders.expand(len(rays), -1)
    middles = (borders[1:] + borders[:-1]) / 2
    low = torch.cat([borders[:1], middles])
    high = torch.cat([middles, borders[-1:]])
    return low + (high - low) * jitter


def resampled(
    borders: Float[Tensor, "r m1"],
    weights: Float[Tensor, "r m"],
    count: int,
    jitter: Float[Tensor, "r 1"] | None,
) -> Float[Tensor, "r k1"]:
    """New borders, each with an equal share of the weight between it and the next.

    Args:
        borders: of the bins, rising.
        weights: of the bins.
        count: k, how many bins there will be.
        jitter: in [0,1), where in its share of the weight a border lies; None for its middle.
    """
    padded = weights + PADDING
    share = padded / padded.sum(1, keepdim=True)
    below = torch.cat([torch.zeros_like(share[:, :1]), share.cumsum(1).clamp(max=1)], 1)
    parts = count + 1
    at = torch.arange(parts, device=borders.device, dtype=borders.dtype) / parts
    wanted = (at + (0.5 if jitter is None else jitter) / parts).expand(len(borders), -1)
    high = torch.searchsorted(below, wanted.contiguous(), right=True)
    high = high.clamp(max=borders.shape[1] - 1)
    low = (high - 1).clamp(min=0)
    first, last = below.gather(1, low), below.gather(1, high)
    part = ((wanted - first) / (last - first)).nan_to_num(0).clamp(0, 1)
    begin, end = borders.gather(1, low), borders.gather(1, high)
    return begin + part * (end - begin)
