"""The CPU kernel of `waves`: one pass over the values in either direction."""

from __future__ import annotations

import math

import numpy as np
from torch import Tensor

from polyfield.backends import dispatch, parallel
from polyfield.backends.exponential import exponential
from polyfield.backends.jit import njit
from polyfield.backends.simd import (
    LANES,
    fma,
    load,
    rectified,
    splat,
    sqrt,
    store,
    where_nonzero,
)
from polyfield.backends.sine import cosine, sine

CHUNK = 1 << 14
KINDS = {"sine": 0, "damped": 1, "finer": 2, "bell": 3, "decay": 4}


@njit(inline="always")
def _size(z, like):
    """|z|."""
    return rectified(z) + rectified(splat(np.float32(0), like) - z)


@njit(cache=True, nogil=True)
def _forward(first, last, z, y, kind, w, tiny, like):
    n = z.size
    for chunk in range(first, last):
        for at in range(chunk * CHUNK, min(n, (chunk + 1) * CHUNK), len(like)):
            value = load(z, at, like)
            if kind == 0:
                store(y, at, sine(value, like))
            elif kind == 1:
                store(y, at, sine(value, like) * sqrt(_size(value, like) + splat(tiny, like)))
            elif kind == 3:
                store(y, at, exponential(splat(np.float32(0), like) - value * value, like))
            elif kind == 4:
                store(y, at, exponential(splat(np.float32(-0.5), like) * rectified(value), like))
            else:
                turn = (_size(value, like) + splat(np.float32(1), like)) * splat(w, like)
                store(y, at, sine(turn * value, like))


@njit(cache=True, nogil=True)
def _backward(first, last, grad, z, dz, kind, w, tiny, like):
    n = z.size
    for chunk in range(first, last):
        one, half = splat(np.float32(1), like), splat(np.float32(0.5), like)
        for at in range(chunk * CHUNK, min(n, (chunk + 1) * CHUNK), len(like)):
            value, g = load(z, at, like), load(grad, at, like)
            if kind == 0:
                store(dz, at, g * cosine(value, like))
            elif kind == 1:
                size = _size(value, like) + splat(tiny, like)
                root = sqrt(size)
                # z / (2 |z| sqrt|z|), and 0 at 0.
                slope = half * (value / (size * root))
                store(dz, at, g * fma(cosine(value, like), root, sine(value, like) * slope))
            elif kind == 3:
                bell = exponential(splat(np.float32(0), like) - value * value, like)
                store(dz, at, splat(np.float32(-2), like) * value * bell * g)
            elif kind == 4:
                held = rectified(value)
                slope = splat(np.float32(-0.5), like) * g
                found = slope * exponential(splat(np.float32(-0.5), like) * held, like)
                store(dz, at, where_nonzero(held, found, splat(np.float32(0), like)))
            else:
                size, turn = _size(value, like), splat(w, like)
                slope = turn * (size + size + one)
                store(dz, at, g * slope * cosine((size + one) * turn * value, like))


def _like(count: int) -> tuple[int, ...]:
    return (0,) * math.gcd(count, LANES)


def _chunks(z: Tensor) -> int:
    return -(-z.numel() // CHUNK)


def forward(z: Tensor, kind: str, w: float, tiny: float) -> Tensor:
    """See `waves.wave`."""
    y = dispatch.new(*z.shape)
    if y.numel():
        arrays = [dispatch.flat(t) for t in (z, y)]
        numbers = (np.float32(w), np.float32(tiny))
        parallel.run(_forward, _chunks(z), *arrays, KINDS[kind], *numbers, _like(z.numel()))
    return y


def backward(grad: Tensor, z: Tensor, kind: str, w: float, tiny: float) -> Tensor:
    """See `waves._wave_backward`."""
    dz = dispatch.new(*z.shape)
    if dz.numel():
        arrays = [dispatch.flat(t) for t in (grad, z, dz)]
        numbers = (np.float32(w), np.float32(tiny))
        parallel.run(_backward, _chunks(z), *arrays, KINDS[kind], *numbers, _like(z.numel()))
    return dz
