"""The CPU kernel of `rbf`: chunks of points forward, ranges of kernels backward.

Sines are cheap next to memory, so the backward pass works them out again from p. It looks at all
neighbours in each task, and adds only into the kernels the task owns: no races, and each sum has
the order of the points whatever the number of threads.

Symbols: as in `rbf`; `dims` and `like` are tuples of length d and of the lanes of a vector, which
fix the two at compile time; C is a whole number of vectors.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from polyfield.backends import dispatch, parallel
from polyfield.backends.jit import njit
from polyfield.backends.simd import LANES, fma, load, splat, store
from polyfield.backends.sine import sine

CHUNK = 512


@njit(inline="always")
def _wave(multipliers, block, share, like):
    """sin(p m) of one vector of channels, or p itself."""
    if multipliers.size:
        return sine(splat(share, like) * load(multipliers, block, like), like)
    return splat(share, like)


@njit(inline="always")
def _shares(x, point, index, k, centres, shapes, normalise, eps, dims, share):
    """The p of the K neighbours of a point."""
    d = len(dims)
    values = d * (d + 1) // 2
    total = np.float32(0)
    for slot in range(k):
        kernel = index[point * k + slot]
        form = np.float32(0)
        at = kernel * values
        for i in range(len(dims)):
            step = x[point * d + i] - centres[kernel * d + i]
            for j in range(i, len(dims)):
                form += shapes[at] * step * (x[point * d + j] - centres[kernel * d + j])
                at += 1
        phi = np.float32(1) / (np.float32(1) + form)
        share[point * k + slot] = phi
        total += phi
    if normalise:
        for slot in range(k):
            share[point * k + slot] /= total + eps


@njit(cache=True, nogil=True)
def _forward(
    first, last, x, index, centres, shapes, weights, multipliers, normalise, eps, y, share, k,
    channels, dims, like,
):  # fmt: skip
    n = x.size // len(dims)
    for chunk in range(first, last):
        for p in range(chunk * CHUNK, min(n, (chunk + 1) * CHUNK)):
            _shares(x, p, index, k, centres, shapes, normalise, eps, dims, share)
            for block in range(0, channels, len(like)):
                total = splat(np.float32(0), like)
                for slot in range(k):
                    weight = load(weights, index[p * k + slot] * channels + block, like)
                    wave = _wave(multipliers, block, share[p * k + slot], like)
                    total = fma(weight, wave, total)
                store(y, p * channels + block, total)


@njit(cache=True, nogil=True)
def _backward(first, last, grad, index, share, multipliers, dweights, k, channels, like, tasks):
    count = dweights.size // channels
    for task in range(first, last):
        low, high = count * task // tasks, count * (task + 1) // tasks
        for pair in range(index.size):
            kernel = index[pair]
            if low <= kernel and kernel < high:
                for block in range(0, channels, len(like)):
                    to = kernel * channels + block
                    value = load(grad, pair // k * channels + block, like)
                    wave = _wave(multipliers, block, share[pair], like)
                    store(dweights, to, fma(value, wave, load(dweights, to, like)))


def _like(channels: int) -> tuple[int, ...]:
    return (0,) * math.gcd(channels, LANES)


def forward(
    x: Tensor,
    index: Tensor,
    centres: Tensor,
    shapes: Tensor,
    weights: Tensor,
    multipliers: Tensor,
    normalise: bool,
    eps: float,
) -> tuple[Tensor, Tensor]:
    """See `rbf._rbf`."""
    channels = weights.shape[1]
    y, share = dispatch.new(x.shape[0], channels), dispatch.new(*index.shape)
    if y.numel():
        inputs = (x, index, centres, shapes, weights, multipliers)
        parallel.run(
            _forward, -(-len(x) // CHUNK), *[dispatch.flat(t) for t in inputs], normalise,
            np.float32(eps), dispatch.flat(y), dispatch.flat(share), index.shape[1], channels,
            (0,) * x.shape[1], _like(channels),
        )  # fmt: skip
    return y, share


def backward(grad: Tensor, index: Tensor, share: Tensor, multipliers: Tensor, count: int) -> Tensor:
    """See `rbf._rbf_backward`."""
    channels = grad.shape[1]
    dweights = torch.zeros(count, channels)
    if grad.numel():
        arrays = [dispatch.flat(t) for t in (grad, index, share, multipliers, dweights)]
        tasks = dispatch.threads()
        parallel.run(_backward, tasks, *arrays, index.shape[1], channels, _like(channels), tasks)
    return dweights
