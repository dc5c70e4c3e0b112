"""The CPU kernels of `sparse_grid`.

The forward pass runs over chunks of points. For the gradient points are sorted by block, and blocks
by whether their three numbers are even: two blocks of one such kind share no vertex. A task takes a
block, kinds come one after the other, so that there are no races, no atomics, and each entry is
summed in one order, however many threads there are.
"""

from __future__ import annotations

import itertools

import numpy as np
from torch import Tensor

from polyfield.backends import dispatch, parallel
from polyfield.backends.jit import njit

CHUNK = 512
"""Points of a task."""


@njit(forceinline=True)
def _coordinate(value, total):
    """Cell and position in it along an axis."""
    u = min(max(value, np.float32(0)), np.float32(1)) * np.float32(total)
    whole = min(np.floor(u), np.float32(total - 1))
    number = np.int64(whole) if whole == whole else np.int64(0)
    return number, u - whole


@njit(forceinline=True)
def _row(x, point, blocks, cells, slot):
    """Of a point: slot of its block, first vertex of its cell, position in it."""
    total = blocks * cells
    i, a = _coordinate(x[3 * point], total)
    j, b = _coordinate(x[3 * point + 1], total)
    k, c = _coordinate(x[3 * point + 2], total)
    bi, bj, bk = i // cells, j // cells, k // cells
    where = np.int64(slot[(bi * blocks + bj) * blocks + bk])
    side = cells + 1
    row = where * side * side * side
    row += ((i - bi * cells) * side + (j - bj * cells)) * side + (k - bk * cells)
    return where, row, a, b, c


@njit(forceinline=True)
def _corner(corner, a, b, c, side):
    """Weight of one of a cell's corners, and how many vertices it lies after the first."""
    u, v, w = corner >> 2 & 1, corner >> 1 & 1, corner & 1
    weight = (a if u else np.float32(1) - a) * (b if v else np.float32(1) - b)
    weight *= c if w else np.float32(1) - c
    return weight, (u * side + v) * side + w


@njit(cache=True, nogil=True)
def _forward(first, last, x, table, slot, vertex, blocks, cells, channels, y):
    n = x.size // 3
    side = cells + 1
    for chunk in range(first, last):
        for point in range(chunk * CHUNK, min(n, (chunk + 1) * CHUNK)):
            where, row, a, b, c = _row(x, point, blocks, cells, slot)
            out = point * channels
            for channel in range(channels):
                y[out + channel] = (a + b + c) * np.float32(0)  # NaN stays
            if where < 0:
                continue
            for corner in range(8):
                weight, step = _corner(corner, a, b, c, side)
                at = np.int64(vertex[row + step]) * channels
                for channel in range(channels):
                    p = min(max(table[at + channel], np.float32(0)), np.float32(1))
                    y[out + channel] += weight * (np.rint(p * np.float32(255)) / np.float32(255))


@njit(cache=True, nogil=True)
def _scatter(
    first, last, grad, x, slot, vertex, blocks, cells, channels, order, starts, dtable
):  # fmt: skip
    side = cells + 1
    for task in range(first, last):
        for place in range(starts[task], starts[task + 1]):
            point = order[place]
            where, row, a, b, c = _row(x, point, blocks, cells, slot)
            if where < 0:
                continue
            for corner in range(8):
                weight, step = _corner(corner, a, b, c, side)
                at = np.int64(vertex[row + step]) * channels
                for channel in range(channels):
                    dtable[at + channel] += weight * grad[point * channels + channel]


@njit(cache=True, nogil=True)
def _blocks(x, blocks, cells, found):
    """Of each point: its block's number, after those of all blocks of an earlier kind."""
    total = blocks * cells
    for point in range(found.size):
        i = _coordinate(x[3 * point], total)[0] // cells
        j = _coordinate(x[3 * point + 1], total)[0] // cells
        k = _coordinate(x[3 * point + 2], total)[0] // cells
        kind = (i & 1) << 2 | (j & 1) << 1 | (k & 1)
        found[point] = kind * blocks**3 + (i * blocks + j) * blocks + k


def forward(
    x: Tensor, table: Tensor, slot: Tensor, vertex: Tensor, cells: int, channels: int
) -> Tensor:
    """See `sparse_grid.sparse_grid`."""
    y = dispatch.new(x.shape[0], channels)
    if y.numel():
        parallel.run(
            _forward, -(-len(x) // CHUNK), dispatch.flat(x), dispatch.flat(table),
            slot.reshape(-1).numpy(), vertex.numpy(), slot.shape[0], cells, channels,
            dispatch.flat(y),
        )  # fmt: skip
    return y


def backward(
    grad: Tensor, x: Tensor, table: Tensor, slot: Tensor, vertex: Tensor, cells: int, channels: int
) -> Tensor:
    """Gradient of sum(grad * sparse_grid(x)) in the table."""
    dtable = dispatch.new(*table.shape).zero_()
    if not x.shape[0]:
        return dtable
    flat, where, blocks = dispatch.flat(x), slot.reshape(-1).numpy(), slot.shape[0]
    found = np.empty(len(x), np.int64)
    _blocks(flat, blocks, cells, found)
    order = np.argsort(found, kind="stable")
    edges = np.flatnonzero(np.diff(found[order])) + 1
    starts = np.concatenate([[0], edges, [len(order)]]).astype(np.int64)
    kinds = np.searchsorted(found[order][starts[:-1]], np.arange(9) * blocks**3)
    for first, last in itertools.pairwise(kinds.tolist()):
        if first < last:
            parallel.run(
                _scatter, last - first, dispatch.flat(grad), flat, where, vertex.numpy(), blocks,
                cells, channels, order, starts[first:], dispatch.flat(dtable),
            )  # fmt: skip
    return dtable
