"""The CPU kernels of `composite`: parallel over rays, never over samples, so there are no races.

Backward, with q_i = (grad . v_i) + grad_opacity:  dL/dv_i = w_i grad;  dL/ds_i = d_i (T_{i+1} q_i -
sum_{j>i} w_j q_j).
The sum runs from the last sample to the first.
"""

from __future__ import annotations

import math

import numpy as np
from torch import Tensor

from polyfield.backends import dispatch, parallel
from polyfield.backends.jit import njit

BLOCK = 64


@njit(cache=True, nogil=True)
def _forward(first, last, values, density, length, offsets, out, opacity, channels):
    rays = offsets.size - 1
    for block in range(first, last):
        for ray in range(block * BLOCK, min(rays, (block + 1) * BLOCK)):
            thickness, total = 0.0, np.float32(0)
            for c in range(channels):
                out[ray * channels + c] = 0
            before = np.float32(1)
            for i in range(offsets[ray], offsets[ray + 1]):
                thickness += density[i] * length[i]
                after = np.float32(math.exp(-thickness))
                weight = before - after
                before = after
                total += weight
                for c in range(channels):
                    out[ray * channels + c] += weight * values[i * channels + c]
            # Rounding may lead a hair beyond 1. A number that is none stays so.
            opacity[ray] = np.float32(1) if total > np.float32(1) else total


@njit(cache=True, nogil=True)
def _backward(
    first, last, grad, grad_opacity, values, density, length, offsets, dvalues, ddensity, channels
):
    rays = offsets.size - 1
    for block in range(first, last):
        for ray in range(block * BLOCK, min(rays, (block + 1) * BLOCK)):
            thickness = 0.0
            before = np.float32(1)
            # First front to back: weights into dvalues, T_{i+1} q_i and w_i q_i for the way back.
            behind = 0.0
            for i in range(offsets[ray], offsets[ray + 1]):
                thickness += density[i] * length[i]
                after = np.float32(math.exp(-thickness))
                weight = before - after
                before = after
                q = grad_opacity[ray]
                for c in range(channels):
                    g = grad[ray * channels + c]
                    q += g * values[i * channels + c]
                    dvalues[i * channels + c] = weight * g
                behind += weight * q
                # behind is now the sum up to i; the sum after i follows once the total is known.
                ddensity[i] = np.float32(after * q + behind)
            for i in range(offsets[ray], offsets[ray + 1]):
                ddensity[i] = length[i] * np.float32(ddensity[i] - behind)


def forward(
    values: Tensor, density: Tensor, length: Tensor, offsets: Tensor
) -> tuple[Tensor, Tensor]:
    """See `composite.composite`."""
    rays, channels = offsets.shape[0] - 1, values.shape[1]
    out, opacity = dispatch.new(rays, channels), dispatch.new(rays)
    if rays:
        parallel.run(
            _forward, -(-rays // BLOCK), dispatch.flat(values), dispatch.flat(density),
            dispatch.flat(length), dispatch.flat(offsets), dispatch.flat(out),
            dispatch.flat(opacity), channels,
        )  # fmt: skip
    return out, opacity


def backward(
    grad: Tensor,
    grad_opacity: Tensor,
    values: Tensor,
    density: Tensor,
    length: Tensor,
    offsets: Tensor,
) -> tuple[Tensor, Tensor]:
    """See `composite._composite_backward`."""
    dvalues, ddensity = dispatch.new(*values.shape), dispatch.new(*density.shape)
    rays = len(offsets) - 1
    if rays > 0:
        parallel.run(
            _backward, -(-rays // BLOCK), dispatch.flat(grad), dispatch.flat(grad_opacity),
            dispatch.flat(values), dispatch.flat(density), dispatch.flat(length),
            dispatch.flat(offsets), dispatch.flat(dvalues), dispatch.flat(ddensity),
            values.shape[1],
        )  # fmt: skip
    return dvalues, ddensity
