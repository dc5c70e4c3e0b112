"""The CPU kernels of `distortion`: parallel over rays, never over samples, so there are no races.

With W_<i = sum_{j<i} w_j and M_<i = sum_{j<i} w_j m_j, likewise behind i, d_i the length and e_i =
s(b_i) - s(a_i), a ray's loss is  sum_i w_i (2 (m_i W_<i - M_<i) + w_i e_i / 3).

Backward:  g_i = dL/dw_i = 2 (m_i W_<i - M_<i + M_>i - m_i W_>i) + 2 w_i e_i / 3  and  dL/ddensity_i
= d_i (T_{i+1} g_i - sum_{j>i} w_j g_j). The loss is of second degree in the weights, so that the
sum over all j is twice the loss, and what is behind i follows from what is not.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from polyfield.backends import dispatch, parallel
from polyfield.backends.jit import njit

BLOCK = 64
OPAQUE = np.float32(200)
"""Optical thickness of which `composite.weights` makes no more; the gradient beyond is 0."""


@njit(cache=True, nogil=True)
def _place(start, end, length):
    """The middle of an interval in s, and its width there."""
    a, b = np.float64(start), np.float64(end)
    near, far = a / (a + length), b / (b + length)
    return (near + far) / 2, far - near


@njit(cache=True, nogil=True)
def _ray(density, start, end, first, last, length):
    """Sums of one ray: weights, weights times middles, loss."""
    mass, moment, loss = 0.0, 0.0, 0.0
    thickness, before = 0.0, 1.0
    for i in range(first, last):
        middle, width = _place(start[i], end[i], length)
        own = density[i] * (end[i] - start[i])
        # A number that is none stays so.
        thickness += OPAQUE if own > OPAQUE else own
        after = math.exp(-thickness)
        weight = before - after
        before = after
        loss += weight * (2 * (middle * mass - moment) + weight * width / 3)
        mass += weight
        moment += weight * middle
    return mass, moment, loss


@njit(cache=True, nogil=True)
def _forward(first, last, density, start, end, offsets, length, out):
    rays = offsets.size - 1
    for block in range(first, last):
        for ray in range(block * BLOCK, min(rays, (block + 1) * BLOCK)):
            _, _, out[ray] = _ray(density, start, end, offsets[ray], offsets[ray + 1], length)


@njit(cache=True, nogil=True)
def _backward(first, last, grad, density, start, end, offsets, length, ddensity):
    rays = offsets.size - 1
    for block in range(first, last):
        for ray in range(block * BLOCK, min(rays, (block + 1) * BLOCK)):
            one, beyond = offsets[ray], offsets[ray + 1]
            # What is behind each sample: from here on the samples are taken off.
            mass_behind, moment_behind, loss = _ray(density, start, end, one, beyond, length)
            behind = 2 * loss
            mass, moment = 0.0, 0.0
            thickness, before = 0.0, 1.0
            for i in range(one, beyond):
                middle, width = _place(start[i], end[i], length)
                distance = end[i] - start[i]
                own = density[i] * distance
                thickness += OPAQUE if own > OPAQUE else own
                after = math.exp(-thickness)
                weight = before - after
                before = after
                mass_behind -= weight
                moment_behind -= weight * middle
                pairs = middle * (mass - mass_behind) - moment + moment_behind
                g = 2 * (pairs + weight * width / 3)
                behind -= weight * g
                mass += weight
                moment += weight * middle
                slope = 0.0 if own > OPAQUE else distance * (after * g - behind)
                ddensity[i] = np.float32(grad * slope)


def forward(density: Tensor, start: Tensor, end: Tensor, offsets: Tensor, length: float) -> Tensor:
    """See `distortion.distortion`."""
    rays = offsets.shape[0] - 1
    each = np.empty(rays)
    parallel.run(
        _forward, -(-rays // BLOCK), dispatch.flat(density), dispatch.flat(start),
        dispatch.flat(end), dispatch.flat(offsets), float(length), each,
    )  # fmt: skip
    return torch.tensor(each.sum() / max(1, rays), dtype=torch.float32)


def backward(
    grad: Tensor, density: Tensor, start: Tensor, end: Tensor, offsets: Tensor, length: float
) -> Tensor:
    """See `distortion._distortion_backward`."""
    rays = offsets.shape[0] - 1
    ddensity = dispatch.new(*density.shape)
    parallel.run(
        _backward, -(-rays // BLOCK), float(grad) / max(1, rays), dispatch.flat(density),
        dispatch.flat(start), dispatch.flat(end), dispatch.flat(offsets), float(length),
        dispatch.flat(ddensity),
    )  # fmt: skip
    return ddensity
