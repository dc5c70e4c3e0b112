"""The CPU kernel of `sine_skip`: one pass over the rows in either direction."""

from __future__ import annotations

import math

from torch import Tensor

from polyfield.backends import dispatch, parallel
from polyfield.backends.jit import njit
from polyfield.backends.simd import LANES, fma, load, store
from polyfield.backends.sine import cosine, sine

CHUNK = 256


@njit(cache=True, nogil=True)
def _forward(first, last, h, w, y, like):
    width = w.size
    n = h.size // width
    for chunk in range(first, last):
        for row in range(chunk * CHUNK, min(n, (chunk + 1) * CHUNK)):
            for block in range(0, width, len(like)):
                at = row * width + block
                value = load(h, at, like)
                store(y, at, value + sine(value * load(w, block, like), like))


@njit(cache=True, nogil=True)
def _backward(first, last, grad, h, w, dh, like):
    width = w.size
    n = h.size // width
    for chunk in range(first, last):
        for row in range(chunk * CHUNK, min(n, (chunk + 1) * CHUNK)):
            for block in range(0, width, len(like)):
                at = row * width + block
                turn, value = load(w, block, like), load(grad, at, like)
                slope = turn * cosine(load(h, at, like) * turn, like)
                store(dh, at, fma(value, slope, value))


def _like(width: int) -> tuple[int, ...]:
    return (0,) * math.gcd(width, LANES)


def forward(h: Tensor, w: Tensor) -> Tensor:
    """See `sine_skip.sine_skip`."""
    y = dispatch.new(*h.shape)
    if y.numel():
        arrays = [dispatch.flat(t) for t in (h, w, y)]
        parallel.run(_forward, -(-len(h) // CHUNK), *arrays, _like(len(w)))
    return y


def backward(grad: Tensor, h: Tensor, w: Tensor) -> Tensor:
    """See `sine_skip._sine_skip_backward`."""
    dh = dispatch.new(*h.shape)
    if dh.numel():
        arrays = [dispatch.flat(t) for t in (grad, h, w, dh)]
        parallel.run(_backward, -(-len(h) // CHUNK), *arrays, _like(len(w)))
    return dh
