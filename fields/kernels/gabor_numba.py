"""The CPU kernel of `gabor`: one pass over the values in either direction.

The gradient needs no function of its own: with y = p + i q

    dp/da = -2 s^2 a p - w q    dq/da = -2 s^2 a q + w p    dp/db, dq/db = -(w + 2 s^2 b) (p, q).
"""

from __future__ import annotations

import numpy as np
from torch import Tensor

from polyfield.backends import dispatch, parallel
from polyfield.backends.exponential import exponential
from polyfield.backends.jit import njit
from polyfield.backends.simd import LANES, fma, load, splat, store
from polyfield.backends.sine import cosine, sine

ROWS = 64
"""Rows of a task."""
WIDE = (0,) * LANES
ONE = (0,)


@njit(inline="always")
def _value(z, y, at, to, units, is_complex, w, square, like):
    a = load(z, at, like)
    exponent = a * a * splat(-square, like)
    if is_complex:
        b = load(z, at + units, like)
        exponent = fma(b, fma(b, splat(-square, like), splat(-w, like)), exponent)
    envelope, phase = exponential(exponent, like), a * splat(w, like)
    store(y, to, envelope * cosine(phase, like))
    store(y, to + units, envelope * sine(phase, like))


@njit(cache=True, nogil=True)
def _forward(first, last, z, y, rows, units, is_complex, w, square):
    width = 2 * units if is_complex else units
    for task in range(first, last):
        for row in range(task * ROWS, min(rows, (task + 1) * ROWS)):
            at, to, u = row * width, row * 2 * units, 0
            while u + LANES <= units:
                _value(z, y, at + u, to + u, units, is_complex, w, square, WIDE)
                u += LANES
            while u < units:
                _value(z, y, at + u, to + u, units, is_complex, w, square, ONE)
                u += 1


@njit(inline="always")
def _slope(grad, z, y, dz, at, to, units, is_complex, w, square, like):
    p, q = load(y, to, like), load(y, to + units, like)
    gp, gq = load(grad, to, like), load(grad, to + units, like)
    both, turned = fma(gp, p, gq * q), fma(gq, p, splat(np.float32(0), like) - gp * q)
    twice = splat(np.float32(-2) * square, like)
    store(dz, at, fma(load(z, at, like) * twice, both, turned * splat(w, like)))
    if is_complex:
        b = load(z, at + units, like)
        store(dz, at + units, fma(b, twice, splat(-w, like)) * both)


@njit(cache=True, nogil=True)
def _backward(first, last, grad, z, y, dz, rows, units, is_complex, w, square):
    width = 2 * units if is_complex else units
    for task in range(first, last):
        for row in range(task * ROWS, min(rows, (task + 1) * ROWS)):
            at, to, u = row * width, row * 2 * units, 0
            while u + LANES <= units:
                _slope(grad, z, y, dz, at + u, to + u, units, is_complex, w, square, WIDE)
                u += LANES
            while u < units:
                _slope(grad, z, y, dz, at + u, to + u, units, is_complex, w, square, ONE)
                u += 1


def _numbers(z: Tensor, units: int, w: float, s: float) -> tuple:
    return len(z), units, z.shape[1] == 2 * units, np.float32(w), np.float32(s**2)


def forward(z: Tensor, units: int, w: float, s: float) -> Tensor:
    """See `gabor.gabor`."""
    y = dispatch.new(len(z), 2 * units)
    if y.numel():
        arrays = [dispatch.flat(t) for t in (z, y)]
        parallel.run(_forward, -(-len(z) // ROWS), *arrays, *_numbers(z, units, w, s))
    return y


def backward(grad: Tensor, z: Tensor, y: Tensor, units: int, w: float, s: float) -> Tensor:
    """See `gabor._gabor_backward`."""
    dz = dispatch.new(*z.shape)
    if dz.numel():
        arrays = [dispatch.flat(t) for t in (grad, z, y, dz)]
        parallel.run(_backward, -(-len(z) // ROWS), *arrays, *_numbers(z, units, w, s))
    return dz
