"""The CPU kernel of `mlp`: rows in chunks that stay in the L2 cache.

Hidden values never reach memory: the backward pass computes the forward pass of a chunk again,
because arithmetic is cheaper than memory. Each task owns a fixed range of chunks and its own sum of
weight gradients, so there are no races and the result depends on nothing but the number of threads.

Symbols: CHUNK rows at a time; `pad(w)` a width rounded up to whole vectors; forward matrices are
stored transposed, [in, pad(out)], backward ones as [out, pad(in)], so that products read rows.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from polyfield.backends import dispatch, parallel
from polyfield.backends.gemm import product, product_add, product_mask, product_relu
from polyfield.backends.jit import njit
from polyfield.backends.simd import LANES, load, store

CHUNK = 192
TILE = 64
"""Rows and columns of a matrix that are turned together: of a wide one they stay in cache."""


@njit(inline="always")
def _pad(width):
    return (width + LANES - 1) // LANES * LANES


@njit(cache=True, nogil=True)
def _pack(weights, widths, bias, forward, backward, offsets):
    """Fill the padded matrices and offsets.

    offsets [layers, 5]: W_l and b_l in `weights` (b_l = -1 if none), W_l^T and b_l in `forward`,
    W_l in `backward`.
    """
    at, to, back = 0, 0, 0
    for layer in range(widths.size - 1):
        n_in, n_out = widths[layer], widths[layer + 1]
        wide, tall = _pad(n_out), _pad(n_in)
        offsets[layer, 0], offsets[layer, 2], offsets[layer, 4] = at, to, back
        for left in range(0, n_in, TILE):
            for o in range(n_out):
                for i in range(left, min(left + TILE, n_in)):
                    value = weights[at + o * n_in + i]
                    forward[to + i * wide + o] = value
                    backward[back + o * tall + i] = value
        at += n_out * n_in
        to += n_in * wide
        back += n_out * tall
        offsets[layer, 1], offsets[layer, 3] = -1, to
        if bias:
            offsets[layer, 1] = at
            for o in range(n_out):
                forward[to + o] = weights[at + o]
            at += n_out
        to += wide


@njit(inline="always")
def _copy_columns(
    source, source_start, source_row, target, target_start, target_row, rows, columns
):
    for r in range(rows):
        for c in range(columns):
            target[target_start + r * target_row + c] = source[source_start + r * source_row + c]


@njit(cache=True, nogil=True)
def apply(first, last, x, y, forward, widths, offsets, scratch_width):
    """Outputs of chunks of CHUNK rows of x; `packed` gives the other arguments."""
    n_in, n_out, depth = widths[0], widths[-1], widths.size - 1
    start = np.int64(0)  # A literal 0 would have each product compiled for it.
    n = x.size // n_in
    one = np.empty(CHUNK * scratch_width, np.float32)
    two = np.empty(CHUNK * scratch_width, np.float32)
    for chunk in range(first, last):
        row = chunk * CHUNK
        rows = min(CHUNK, n - row)
        source, at, stride = x, row * n_in, n_in
        for layer in range(depth):
            wide = _pad(widths[layer + 1])
            w, b = offsets[layer, 2], offsets[layer, 3]
            if layer < depth - 1:
                product_relu(source, at, stride, 1, forward, w, wide, one, start, wide,
                             rows, wide, widths[layer], forward, b, one)  # fmt: skip
                source, at, stride = one, start, wide
                one, two = two, one
            elif n_out == wide:
                product(source, at, stride, 1, forward, w, wide, y, row * n_out, n_out,
                        rows, wide, widths[layer], forward, b, y)  # fmt: skip
            else:
                product(source, at, stride, 1, forward, w, wide, one, start, wide,
                        rows, wide, widths[layer], forward, b, one)  # fmt: skip
                _copy_columns(one, 0, wide, y, row * n_out, n_out, rows, n_out)


@njit(cache=True, nogil=True)
def pull_back(
    first, last, grad, x, dx, forward, backward, widths, offsets, scratch_width, all_sums, need_x
):
    """Adds each task's weight gradients to its row of `all_sums`, laid out as `forward`."""
    n_in, n_out, depth = widths[0], widths[-1], widths.size - 1
    start = np.int64(0)  # A literal 0 would have each product compiled for it.
    n = x.size // n_in
    plane = CHUNK * scratch_width
    hidden = np.empty(depth * plane, np.float32)
    one = np.zeros(plane, np.float32)
    two = np.zeros(plane, np.float32)
    nothing = np.zeros(scratch_width, np.float32)  # The bias of products without one.
    chunks, tasks = (n + CHUNK - 1) // CHUNK, all_sums.shape[0]
    for task in range(first, last):
        sums = all_sums[task]
        for chunk in range(task * chunks // tasks, (task + 1) * chunks // tasks):
            row = chunk * CHUNK
            rows = min(CHUNK, n - row)
            source, at, stride = x, row * n_in, n_in
            for layer in range(depth - 1):
                wide = _pad(widths[layer + 1])
                product_relu(source, at, stride, 1, forward, offsets[layer, 2], wide,
                             hidden, layer * plane, wide, rows, wide, widths[layer],
                             forward, offsets[layer, 3], hidden)  # fmt: skip
                source, at, stride = hidden, layer * plane, wide
            dz, dz_at, dz_row = grad, row * n_out, n_out
            if n_out % LANES:
                wide = _pad(n_out)
                one[: rows * wide] = 0.0
                _copy_columns(grad, row * n_out, n_out, one, 0, wide, rows, n_out)
                dz, dz_at, dz_row = one, start, wide
                one, two = two, one
            for layer in range(depth - 1, -1, -1):
                wide = _pad(widths[layer + 1])
                if layer > 0:
                    source, at, stride = hidden, (layer - 1) * plane, _pad(widths[layer])
                else:
                    source, at, stride = x, row * n_in, n_in
                product_add(source, at, 1, stride, dz, dz_at, dz_row, sums, offsets[layer, 2], wide,
                            widths[layer], wide, rows, forward, start, sums)  # fmt: skip
                if offsets[layer, 1] >= 0:
                    to = offsets[layer, 3]
                    for j in range(0, wide, LANES):
                        total = load(sums, to + j, LANES)
                        for r in range(rows):
                            total = total + load(dz, dz_at + r * dz_row + j, LANES)
                        store(sums, to + j, total)
                tall = _pad(widths[layer])
                w = offsets[layer, 4]
                if layer > 0:
                    # Hidden planes have the same layout as the result, but for their start.
                    gate = hidden[(layer - 1) * plane : layer * plane]
                    product_mask(dz, dz_at, dz_row, 1, backward, w, tall, one, start, tall,
                                 rows, tall, widths[layer + 1], nothing, start, gate)  # fmt: skip
                    dz, dz_at, dz_row = one, start, tall
                    one, two = two, one
                elif need_x:
                    if n_in == tall:
                        product(dz, dz_at, dz_row, 1, backward, w, tall, dx, row * n_in, n_in,
                                rows, tall, widths[1], nothing, start, dx)  # fmt: skip
                    else:
                        product(dz, dz_at, dz_row, 1, backward, w, tall, one, start, tall,
                                rows, tall, widths[1], nothing, start, one)  # fmt: skip
                        _copy_columns(one, 0, tall, dx, row * n_in, n_in, rows, n_in)


@njit(cache=True, nogil=True)
def add_up(sums, widths, bias, offsets, dw):
    """The weight gradients of all tasks, as weights lie."""
    tasks = sums.shape[0]
    for layer in range(widths.size - 1):
        n_in, n_out = widths[layer], widths[layer + 1]
        wide = _pad(n_out)
        for left in range(0, n_in, TILE):
            for o in range(n_out):
                for i in range(left, min(left + TILE, n_in)):
                    total = np.float32(0.0)
                    for task in range(tasks):
                        total += sums[task, offsets[layer, 2] + i * wide + o]
                    dw[offsets[layer, 0] + o * n_in + i] = total
        if bias:
            for o in range(n_out):
                total = np.float32(0.0)
                for task in range(tasks):
                    total += sums[task, offsets[layer, 3] + o]
                dw[offsets[layer, 1] + o] = total


def widest(widths: list[int]) -> int:
    """Values of the widest layer, in whole vectors."""
    return -(-max(widths) // LANES) * LANES


def packed(weights: Tensor, widths: list[int], bias: bool) -> tuple[np.ndarray, ...]:
    """Widths, padded matrices for forward and backward, offsets."""

    def pad(width: int) -> int:
        return -(-width // LANES) * LANES

    pairs = list(zip(widths[:-1], widths[1:], strict=True))
    forward = np.zeros(sum((i + 1) * pad(o) for i, o in pairs), np.float32)
    backward = np.zeros(sum(o * pad(i) for i, o in pairs), np.float32)
    shape = np.array(widths, np.int64)
    offsets = np.empty((len(widths) - 1, 5), np.int64)
    _pack(dispatch.flat(weights), shape, bias, forward, backward, offsets)
    return shape, forward, backward, offsets


def forward(x: Tensor, weights: Tensor, widths: list[int], bias: bool) -> Tensor:
    """See `mlp.mlp`."""
    y = dispatch.new(x.shape[0], widths[-1])
    if y.numel():
        shape, matrices, _, offsets = packed(weights, widths, bias)
        arrays = (dispatch.flat(x), dispatch.flat(y), matrices, shape, offsets)
        parallel.run(apply, -(-len(x) // CHUNK), *arrays, widest(widths))
    return y


def backward(
    grad: Tensor, x: Tensor, weights: Tensor, widths: list[int], bias: bool, need_x: bool
) -> tuple[Tensor, Tensor]:
    """See `mlp.mlp_backward`."""
    dx = dispatch.new(*x.shape) if need_x else x.new_empty(0)
    dw = torch.zeros_like(weights)
    if x.shape[0]:
        shape, matrices, turned, offsets = packed(weights, widths, bias)
        tasks = dispatch.threads()
        sums = np.zeros((tasks, matrices.size), np.float32)
        parallel.run(
            pull_back, tasks, dispatch.flat(grad), dispatch.flat(x), dispatch.flat(dx), matrices,
            turned, shape, offsets, widest(widths), sums, need_x,
        )  # fmt: skip
        add_up(sums, shape, bias, offsets, dispatch.flat(dw))
    return dx, dw
