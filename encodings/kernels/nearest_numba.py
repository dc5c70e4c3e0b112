"""The CPU kernel of `nearest`: centres in the cells of a uniform grid, searched ring by ring.

The grid covers the centres' bounding box with about SHARE centres a cell. A query looks at its own
cell, then at the ring of cells around it, and so on. All centres it has not yet seen lie beyond one
of the faces of the block it has; when the k-th best is nearer than every face, it is done. Faces
are held to be nearer than they are by SLACK of the box, which is more than any rounding.

Symbols: R_j cells along axis j; cells numbered x fastest; `start` [cells + 1] is where each cell's
centres begin in `sorted` [M, d] and `order` [M]; a key is the bits
of a squared distance above those of an index, so that keys compare as the two do; `dims` and `like`
are tuples of length d and k, which fix the two at compile time.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from polyfield.backends import dispatch, parallel
from polyfield.backends.jit import njit

CHUNK = 512
SHARE = 2.0
SLACK = 1e-5
_NONE = np.int64(0x7FFFFFFF) << np.int64(32)


@njit(inline="always")
def _cell(value, low, inverse, count):
    """The cell of a coordinate along one axis; the nearest one if it lies outside, 0 for NaN."""
    position = (value - low) * inverse
    if not position > np.float32(0):
        return 0
    if position >= np.float32(count):
        return count - 1
    return int(position)


@njit(cache=True, nogil=True)
def _geometry(centres, d, share):
    """Low corner, cell width and cells of each axis; cells as nearly cubes as can be."""
    m = centres.size // d
    low, high = np.full(d, np.inf), np.full(d, -np.inf)
    for i in range(m):
        for axis in range(d):
            value = np.float64(centres[i * d + axis])
            low[axis] = min(low[axis], value)
            high[axis] = max(high[axis], value)
    extent = high - low
    # An axis almost without extent gets one cell.
    wide = np.maximum(extent, max(extent.max() * 1e-3, 1e-30))
    volume = 1.0
    for axis in range(d):
        volume *= wide[axis] / wide.max()
    edge = (volume * share / m) ** (1 / d) * wide.max()
    counts = np.empty(d, np.int64)
    for axis in range(d):
        counts[axis] = max(1, int(wide[axis] / edge + 0.5))
    return low, np.maximum(extent, 1e-30) / counts, counts, SLACK * (np.abs(low) + extent)


@njit(cache=True, nogil=True)
def _sort(centres, d, low, inverse, counts):
    """Counting sort of the centres by cell: start, order, sorted."""
    m = centres.size // d
    cell = np.empty(m, np.int64)
    start = np.zeros(counts.prod() + 1, np.int64)
    order = np.empty(m, np.int32)
    sorted_centres = np.empty(m * d, np.float32)
    for i in range(m):
        index = 0
        for axis in range(d - 1, -1, -1):
            one = _cell(centres[i * d + axis], low[axis], inverse[axis], counts[axis])
            index = index * counts[axis] + one
        cell[i] = index
        start[index + 1] += 1
    for c in range(start.size - 1):
        start[c + 1] += start[c]
    fill = start[:-1].copy()
    for i in range(m):
        to = fill[cell[i]]
        fill[cell[i]] += 1
        order[to] = i
        for axis in range(d):
            sorted_centres[to * d + axis] = centres[i * d + axis]
    return start, order, sorted_centres


@njit
def _bits(distance):
    """A float's bits: for floats >= 0 they compare as the floats do."""
    single = np.float32(distance)
    return single.view(np.int32)


@njit(inline="always")
def _look(x, at, first, last, sorted_centres, order, dims, like, best):
    """Take centres first..last-1 of the sorted list into the k best, kept in order.

    Without a branch: whether a candidate is taken is a coin toss that no processor foresees.
    """
    d = len(dims)
    for c in range(first, last):
        distance = np.float32(0)
        for axis in range(len(dims)):
            step = x[at + axis] - sorted_centres[c * d + axis]
            distance += step * step
        key = np.int64(_bits(distance)) << np.int64(32) | np.int64(order[c])
        for slot in range(len(like)):
            old = best[slot]
            best[slot] = min(old, key)
            key = max(old, key)


@njit
def _distance(key):
    """The squared distance in a key; infinite or NaN where the key is of no centre."""
    bits = np.int32(key >> np.int64(32))
    return bits.view(np.float32)


@njit(inline="always")
def _reach(x, at, ring, cell, low, width, counts, slack, dims):
    """Square of how far everything not yet seen is at least; infinite if all was seen."""
    near = np.inf
    for axis in range(len(dims)):
        value = np.float64(x[at + axis])
        if cell[axis] - ring > 0:
            face = low[axis] + (cell[axis] - ring) * width[axis]
            near = min(near, value - face - slack[axis])
        if cell[axis] + ring < counts[axis] - 1:
            face = low[axis] + (cell[axis] + ring + 1) * width[axis]
            near = min(near, face - value - slack[axis])
    return near * near if near > 0 else 0.0


@njit(cache=True, nogil=True)
def _search(first, last, x, out, low, inverse, edges, width, counts, slack, start, order,
            sorted_centres, dims, like):  # fmt: skip
    d = len(dims)
    k = len(like)
    best = np.empty(k, np.int64)
    cell = np.zeros(3, np.int64)
    for p in range(first * CHUNK, min(x.size // d, last * CHUNK)):
        at = p * d
        for slot in range(k):
            best[slot] = _NONE | slot
        for axis in range(d):
            cell[axis] = _cell(x[at + axis], low[axis], inverse[axis], counts[axis])
        # The first block is 3 cells wide: one cell alone is hardly ever enough.
        ring = 1
        while True:
            y0, y1 = max(0, cell[1] - ring), min(counts[1] - 1, cell[1] + ring)
            z0, z1 = 0, 0
            if d == 3:
                z0, z1 = max(0, cell[2] - ring), min(counts[2] - 1, cell[2] + ring)
            x0, x1 = max(0, cell[0] - ring), min(counts[0] - 1, cell[0] + ring)
            for z in range(z0, z1 + 1):
                for y in range(y0, y1 + 1):
                    row = (z * counts[1] + y) * counts[0]
                    rim = abs(y - cell[1]) == ring or (d == 3 and abs(z - cell[2]) == ring)
                    if rim or ring == 1:
                        _look(x, at, start[row + x0], start[row + x1 + 1], sorted_centres, order,
                              dims, like, best)  # fmt: skip
                        continue
                    if cell[0] - ring >= 0:
                        c = row + cell[0] - ring
                        _look(x, at, start[c], start[c + 1], sorted_centres, order, dims,
                              like, best)  # fmt: skip
                    if cell[0] + ring < counts[0]:
                        c = row + cell[0] + ring
                        _look(x, at, start[c], start[c + 1], sorted_centres, order, dims,
                              like, best)  # fmt: skip
            reach = _reach(x, at, ring, cell, edges, width, counts, slack, dims)
            if reach == np.inf or _distance(best[k - 1]) < reach:
                break
            ring += 1
        for slot in range(k):
            out[p * k + slot] = best[slot] & np.int64(0x7FFFFFFF)


def forward(x: Tensor, centres: Tensor, k: int) -> Tensor:
    """See `nearest.nearest`."""
    out = torch.empty(x.shape[0], k, dtype=torch.int64)
    if out.numel():
        d, flat = x.shape[1], dispatch.flat(centres)
        edges, width, counts, slack = _geometry(flat, d, SHARE)
        low, inverse = edges.astype(np.float32), (1 / width).astype(np.float32)
        parallel.run(
            _search, -(-len(x) // CHUNK), dispatch.flat(x), out.view(-1).numpy(), low, inverse,
            edges, width, counts, slack, *_sort(flat, d, low, inverse, counts), (0,) * d, (0,) * k,
        )  # fmt: skip
    return out
