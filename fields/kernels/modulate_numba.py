"""The CPU kernel of `modulate`: a row at a time, while it is in the nearest cache."""

from __future__ import annotations

import math

import numpy as np
from torch import Tensor

from polyfield.backends import dispatch, parallel
from polyfield.backends.jit import njit
from polyfield.backends.simd import LANES, fma, load, rectified, splat, store, total, where_nonzero

CHUNK = 256


@njit(inline="always")
def _moments(h, at, width, eps, like):
    """Mean of a row, and one over its spread."""
    zero = splat(np.float32(0), like)
    sums = zero
    for c in range(0, width, len(like)):
        sums = sums + load(h, at + c, like)
    mean = total(sums) / np.float32(width)
    middle, squares = splat(mean, like), zero
    for c in range(0, width, len(like)):
        off = load(h, at + c, like) - middle
        squares = fma(off, off, squares)
    return mean, np.float32(1) / np.sqrt(total(squares) / np.float32(width) + eps)


@njit(cache=True, nogil=True)
def _forward(first, last, h, gamma, beta, y, width, normalize, eps, like):
    n = gamma.size
    for chunk in range(first, last):
        for row in range(chunk * CHUNK, min(n, (chunk + 1) * CHUNK)):
            at = row * width
            mean, rate = np.float32(0), np.float32(1)
            if normalize:
                mean, rate = _moments(h, at, width, eps, like)
            # gamma (h - mean) rate + beta
            scale = gamma[row] * rate
            slope, shift = splat(scale, like), splat(beta[row] - scale * mean, like)
            for c in range(0, width, len(like)):
                store(y, at + c, rectified(fma(load(h, at + c, like), slope, shift)))


@njit(cache=True, nogil=True)
def _backward(first, last, grad, h, gamma, beta, dh, dgamma, dbeta, width, normalize, eps, like):
    n = gamma.size
    for chunk in range(first, last):
        zero = splat(np.float32(0), like)
        for row in range(chunk * CHUNK, min(n, (chunk + 1) * CHUNK)):
            at = row * width
            mean, rate = np.float32(0), np.float32(1)
            if normalize:
                mean, rate = _moments(h, at, width, eps, like)
            scale = gamma[row] * rate
            slope, shift = splat(scale, like), splat(beta[row] - scale * mean, like)
            middle, steep = splat(mean, like), splat(rate, like)
            sums, products = zero, zero
            for c in range(0, width, len(like)):
                value = load(h, at + c, like)
                gate = rectified(fma(value, slope, shift))
                g = where_nonzero(gate, load(grad, at + c, like), zero)
                sums = sums + g
                products = fma(g, (value - middle) * steep, products)
            dbeta[row], dgamma[row] = total(sums), total(products)
            flat, tilt = zero, zero
            if normalize:
                flat = splat(dbeta[row] / np.float32(width), like)
                tilt = splat(dgamma[row] / np.float32(width), like)
            for c in range(0, width, len(like)):
                value = load(h, at + c, like)
                gate = rectified(fma(value, slope, shift))
                g = where_nonzero(gate, load(grad, at + c, like), zero)
                store(dh, at + c, slope * (g - flat - (value - middle) * steep * tilt))


def _like(width: int) -> tuple[int, ...]:
    return (0,) * math.gcd(width, LANES)


def forward(h: Tensor, gamma: Tensor, beta: Tensor, normalize: bool, eps: float) -> Tensor:
    """See `modulate.modulate`."""
    y = dispatch.new(*h.shape)
    if y.numel():
        arrays = [dispatch.flat(t) for t in (h, gamma, beta, y)]
        shape = (h.shape[1], normalize, np.float32(eps), _like(h.shape[1]))
        parallel.run(_forward, -(-len(h) // CHUNK), *arrays, *shape)
    return y


def backward(
    grad: Tensor, h: Tensor, gamma: Tensor, beta: Tensor, normalize: bool, eps: float
) -> tuple[Tensor, Tensor, Tensor]:
    """See `modulate._modulate_backward`."""
    dh, dgamma, dbeta = dispatch.new(*h.shape), dispatch.new(len(h)), dispatch.new(len(h))
    if dh.numel():
        arrays = [dispatch.flat(t) for t in (grad, h, gamma, beta, dh, dgamma, dbeta)]
        shape = (h.shape[1], normalize, np.float32(eps), _like(h.shape[1]))
        parallel.run(_backward, -(-len(h) // CHUNK), *arrays, *shape)
    return dh, dgamma, dbeta
