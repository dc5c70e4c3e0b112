"""The CPU kernel of `along`: one pass over the rays."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from polyfield.backends import dispatch, parallel
from polyfield.backends.jit import njit

BLOCK = 64
"""Rays of a task."""


@njit(cache=True, nogil=True)
def _along(first, last, origins, directions, offsets, start, end, x, along):
    rays = offsets.size - 1
    for ray in range(first * BLOCK, min(rays, last * BLOCK)):
        ox, oy, oz = origins[3 * ray], origins[3 * ray + 1], origins[3 * ray + 2]
        dx, dy, dz = directions[3 * ray], directions[3 * ray + 1], directions[3 * ray + 2]
        for i in range(offsets[ray], offsets[ray + 1]):
            middle = (start[i] + end[i]) * np.float32(0.5)
            x[3 * i], x[3 * i + 1], x[3 * i + 2] = (
                ox + middle * dx,
                oy + middle * dy,
                oz + middle * dz,
            )
            along[3 * i], along[3 * i + 1], along[3 * i + 2] = dx, dy, dz


def along(
    origins: Tensor, directions: Tensor, offsets: Tensor, start: Tensor, end: Tensor
) -> tuple[Tensor, Tensor]:
    """See `along.along`."""
    x, each = dispatch.new(len(start), 3), dispatch.new(len(start), 3)
    parallel.run(
        _along, -(-(len(offsets) - 1) // BLOCK), dispatch.flat(origins),
        dispatch.flat(directions), dispatch.flat(offsets), dispatch.flat(start),
        dispatch.flat(end), dispatch.flat(x), dispatch.flat(each),
    )  # fmt: skip
    return x, each
