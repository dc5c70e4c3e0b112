"""The CPU kernels of `hash_grid`.

Corner entries and weights are computed for a vector of points at once; features are then gathered
point by point, F floats in one load. The forward pass and the gradient in x run over chunks of
points. The gradient in the table runs over levels, so that each task owns the entries it adds to:
no races, no atomics, the same result every time. With more threads than levels a level is cut into
shards of its entries, and each task looks at all points.

Memory decides how the work is cut. A table that stays in cache is read in small chunks of points,
whose features stay in cache too. A larger one is read level by level for as many points as there
are, so that each level is fetched from memory once. The gradient of many points is brought into
level order first, because a level reads only its own columns.

Symbols: as in `hash_grid`; `dims` and `like` are tuples of length d and F, which fix the two at
compile time.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from polyfield.backends import dispatch, parallel
from polyfield.backends.jit import njit
from polyfield.backends.simd import (
    LANES,
    at_most,
    clamp,
    fetch,
    floor,
    fma,
    load,
    splat,
    store,
    to_int,
    wrap_once,
)
from polyfield.encodings.kernels.hash_grid import PRIMES, Levels

CHUNK = 2048
"""Points at a time."""
CACHED = 1 << 22
"""Bytes of a table, or of a gradient, that stay in cache."""
NEAR = 1 << 19
"""Bytes of a level above which its entries are asked for before they are read: a core's own cache
does not hold it."""
LONG = 1 << 17
"""Most points at a time where the table is larger than that."""
_PRIMES = np.array(PRIMES, np.uint32)
# Gradients in level order; the last one is kept, because new pages cost as much as filling them.
_scratch: list[np.ndarray] = []


@njit(inline="always")
def _locate(
    xs, at, row, scale, resolution, size, hashed, smooth, dims, axis_index, axis_weight, slope
):
    """Per axis, for LANES points.

    Low and high index terms, weights and their slope in the position.
    """
    zero, one = splat(np.float32(0), LANES), splat(np.float32(1), LANES)
    stride = np.uint32(1)
    for axis in range(len(dims)):
        x = clamp(load(xs, axis * row + at, LANES), zero, one)
        position = fma(x, splat(np.float32(scale), LANES), splat(np.float32(0.5), LANES))
        cell = floor(position)
        part = position - cell
        derivative = one
        if smooth:
            derivative = splat(np.float32(6), LANES) * part * (one - part)
            part = (
                part * part * fma(splat(np.float32(-2), LANES), part, splat(np.float32(3), LANES))
            )
        step = _PRIMES[axis] if hashed else stride
        low = to_int(cell) * splat(np.uint32(step), LANES)
        store(axis_index, (2 * axis) * LANES, low)
        store(axis_index, (2 * axis + 1) * LANES, low + splat(np.uint32(step), LANES))
        store(axis_weight, (2 * axis) * LANES, one - part)
        store(axis_weight, (2 * axis + 1) * LANES, part)
        store(slope, axis * LANES, derivative)
        stride = np.uint32(stride * np.uint32(resolution))


@njit(inline="always")
def _corner_entry(corner, size, hashed, dims, axis_index):
    """Entries of one corner for LANES points, always below `size`."""
    index = load(axis_index, (corner & 1) * LANES, LANES)
    for axis in range(1, len(dims)):
        term = load(axis_index, (2 * axis + (corner >> axis & 1)) * LANES, LANES)
        index = index ^ term if hashed else index + term
    if hashed:
        return index & splat(np.uint32(size - 1), LANES)
    index = wrap_once(index, splat(np.uint32(size), LANES))
    return at_most(index, splat(np.uint32(size - 1), LANES))


@njit(inline="always")
def _corners(size, hashed, dims, axis_index, axis_weight, index, weight):
    """Entries and weights of the 2^d corners for LANES points: index, weight [2^d, LANES]."""
    for corner in range(1 << len(dims)):
        store(index, corner * LANES, _corner_entry(corner, size, hashed, dims, axis_index))
        product = load(axis_weight, (corner & 1) * LANES, LANES)
        for axis in range(1, len(dims)):
            product = product * load(axis_weight, (2 * axis + (corner >> axis & 1)) * LANES, LANES)
        store(weight, corner * LANES, product)


@njit(inline="always")
def _transpose(x, first, count, dims, xs, row):
    """Coordinates of points first..first+count-1 to [d, row].

    The tail of the last vector repeats the last point.
    """
    d = len(dims)
    for axis in range(d):
        for i in range(count):
            xs[axis * row + i] = x[(first + i) * d + axis]
        for i in range(count, (count + LANES - 1) // LANES * LANES):
            xs[axis * row + i] = x[(first + count - 1) * d + axis]


@njit(cache=True, nogil=True)
def encode(
    first, last, x, y, table, scales, resolutions, sizes, starts, hashed, smooth, dims, like, size
):  # fmt: skip
    """Features of chunks of `size` points: y [n, L F]."""
    n = x.size // len(dims)
    width = scales.size * len(like)
    row = (min(size, n) + LANES - 1) // LANES * LANES
    xs = np.empty(len(dims) * row, np.float32)
    axis_index = np.empty(2 * len(dims) * LANES, np.uint32)
    axis_weight = np.empty(2 * len(dims) * LANES, np.float32)
    slope = np.empty(len(dims) * LANES, np.float32)
    index = np.empty((1 << len(dims)) * LANES, np.uint32)
    weight = np.empty((1 << len(dims)) * LANES, np.float32)
    for chunk in range(first, last):
        begin = chunk * size
        count = min(size, n - begin)
        _transpose(x, begin, count, dims, xs, row)
        for level in range(scales.size):
            start = starts[level]
            for at in range(0, count, LANES):
                _locate(xs, at, row, scales[level], resolutions[level], sizes[level],
                        hashed[level], smooth, dims, axis_index, axis_weight, slope)  # fmt: skip
                _corners(sizes[level], hashed[level], dims, axis_index, axis_weight, index, weight)
                if sizes[level] * len(like) * 4 > NEAR:
                    for corner in range(1 << len(dims)):
                        for p in range(LANES):
                            fetch(table, (start + np.int64(index[corner * LANES + p])) * len(like))
                for p in range(min(LANES, count - at)):
                    total = splat(np.float32(0), like)
                    for corner in range(1 << len(dims)):
                        entry = start + np.int64(index[corner * LANES + p])
                        total = fma(splat(weight[corner * LANES + p], like),
                                    load(table, entry * len(like), like), total)  # fmt: skip
                    store(y, (begin + at + p) * width + level * len(like), total)


@njit(inline="always")
def _put(dtable, start, entry, low, high, value, like):
    """Write an entry's sum, if it is one of low..high-1."""
    if low <= entry and entry < high:
        store(dtable, (start + entry) * len(like), value)


@njit(inline="always")
def _taken(dtable, start, entry, low, high, like):
    """An entry's sum so far; of one that isn't in low..high-1 nobody asks."""
    if low <= entry and entry < high:
        return load(dtable, (start + entry) * len(like), like)
    return splat(np.float32(0), like)


@njit(cache=True, nogil=True)
def _line_task(
    grad, xs, row, n, dtable, scale, resolution, size, start, hashed, smooth, dims, like, column,
    stride, low, high,
):  # fmt: skip
    """`_table_task` in one dimension.

    The two entries of a cell stay in registers for as long as points fall into it, and the upper
    one on to the next cell: what comes sorted waits for no memory. Sums keep the order of points.
    """
    dtable[(start + low) * len(like) : (start + high) * len(like)] = np.float32(0)
    axis_index, axis_weight = np.empty(2 * LANES, np.uint32), np.empty(2 * LANES, np.float32)
    slope = np.empty(LANES, np.float32)
    index, weight = np.empty(2 * LANES, np.uint32), np.empty(2 * LANES, np.float32)
    lower, upper = np.int64(-1), np.int64(-1)
    below, above = splat(np.float32(0), like), splat(np.float32(0), like)
    for at in range(0, n, LANES):
        _locate(xs, at, row, scale, resolution, size, hashed, smooth, dims, axis_index,
                axis_weight, slope)  # fmt: skip
        _corners(size, hashed, dims, axis_index, axis_weight, index, weight)
        for p in range(min(LANES, n - at)):
            first, second = np.int64(index[p]), np.int64(index[LANES + p])
            if first != lower:
                _put(dtable, start, lower, low, high, below, like)
                _put(dtable, start, upper, low, high, above, like)
                below = _taken(dtable, start, first, low, high, like)
                above = _taken(dtable, start, second, low, high, like)
                lower, upper = first, second
            value = load(grad, (at + p) * stride + column, like)
            below = fma(splat(weight[p], like), value, below)
            above = fma(splat(weight[LANES + p], like), value, above)
    _put(dtable, start, lower, low, high, below, like)
    _put(dtable, start, upper, low, high, above, like)


@njit(cache=True, nogil=True)
def _table_task(
    grad,
    xs,
    row,
    n,
    dtable,
    scale,
    resolution,
    size,
    start,
    hashed,
    smooth,
    dims,
    like,
    column,
    stride,
    low,
    high,
):
    """Add one level's gradients into entries low..high-1, which begin at 0."""
    dtable[(start + low) * len(like) : (start + high) * len(like)] = np.float32(0)
    axis_index = np.empty(2 * len(dims) * LANES, np.uint32)
    axis_weight = np.empty(2 * len(dims) * LANES, np.float32)
    slope = np.empty(len(dims) * LANES, np.float32)
    index = np.empty((1 << len(dims)) * LANES, np.uint32)
    weight = np.empty((1 << len(dims)) * LANES, np.float32)
    whole = low == 0 and high == size
    for at in range(0, n, LANES):
        _locate(
            xs,
            at,
            row,
            scale,
            resolution,
            size,
            hashed,
            smooth,
            dims,
            axis_index,
            axis_weight,
            slope,
        )
        _corners(size, hashed, dims, axis_index, axis_weight, index, weight)
        for p in range(min(LANES, n - at)):
            value = load(grad, (at + p) * stride + column, like)
            for corner in range(1 << len(dims)):
                entry = np.int64(index[corner * LANES + p])
                if whole or (low <= entry and entry < high):
                    to = (start + entry) * len(like)
                    share = splat(weight[corner * LANES + p], like)
                    store(dtable, to, fma(share, value, load(dtable, to, like)))


@njit(cache=True, nogil=True)
def _by_level(first, last, grad, out, n, levels, like):
    """[n, L, F] -> [L, n, F]."""
    f = len(like)
    for chunk in range(first, last):
        for p in range(chunk * CHUNK, min(n, (chunk + 1) * CHUNK)):
            for level in range(levels):
                store(out, (level * n + p) * f, load(grad, (p * levels + level) * f, like))


@njit(cache=True, nogil=True)
def _by_axis(first, last, x, xs, dims):
    """[n, d] -> [d, row], in chunks."""
    n, row = x.size // len(dims), xs.size // len(dims)
    for chunk in range(first, last):
        begin = chunk * CHUNK
        _transpose(x, begin, min(CHUNK, n - begin), dims, xs[begin:], row)


@njit(cache=True, nogil=True)
def _backward_table(
    first, last, grad, by_level, n, xs, dtable, scales, resolutions, sizes, starts, hashed, smooth,
    dims, like, order, shards,
):  # fmt: skip
    row = xs.size // len(dims)
    for task in range(first, last):
        level, shard = order[task] // shards, order[task] % shards
        size = sizes[level]
        column = level * len(like) * (n if by_level else 1)
        stride = len(like) if by_level else scales.size * len(like)
        low, high = size * shard // shards, size * (shard + 1) // shards
        # The two entries of a cell must not be one.
        if len(dims) == 1 and size > 1:
            _line_task(grad, xs, row, n, dtable, scales[level], resolutions[level], size,
                       starts[level], hashed[level], smooth, dims, like, column, stride, low,
                       high)  # fmt: skip
        else:
            _table_task(grad, xs, row, n, dtable, scales[level], resolutions[level], size,
                        starts[level], hashed[level], smooth, dims, like, column, stride, low,
                        high)  # fmt: skip


@njit(cache=True, nogil=True)
def _backward_x(
    first, last, grad, x, dx, table, scales, resolutions, sizes, starts, hashed, smooth, dims, like
):  # fmt: skip
    n = x.size // len(dims)
    d, width = len(dims), scales.size * len(like)
    xs = np.empty(d * CHUNK, np.float32)
    sums = np.empty(d * CHUNK, np.float32)
    axis_index = np.empty(2 * d * LANES, np.uint32)
    axis_weight = np.empty(2 * d * LANES, np.float32)
    slope = np.empty(d * LANES, np.float32)
    index = np.empty((1 << len(dims)) * LANES, np.uint32)
    weight = np.empty((1 << len(dims)) * LANES, np.float32)
    dots = np.empty((1 << len(dims)) * LANES, np.float32)
    for chunk in range(first, last):
        begin = chunk * CHUNK
        count = min(CHUNK, n - begin)
        sums[:] = 0
        _transpose(x, begin, count, dims, xs, CHUNK)
        for level in range(scales.size):
            start = starts[level]
            for at in range(0, count, LANES):
                _locate(xs, at, CHUNK, scales[level], resolutions[level], sizes[level],
                        hashed[level], smooth, dims, axis_index, axis_weight, slope)  # fmt: skip
                _corners(sizes[level], hashed[level], dims, axis_index, axis_weight, index, weight)
                for p in range(min(LANES, count - at)):
                    g = (begin + at + p) * width + level * len(like)
                    for corner in range(1 << len(dims)):
                        entry = (start + np.int64(index[corner * LANES + p])) * len(like)
                        dot = np.float32(0)
                        for f in range(len(like)):
                            dot += grad[g + f] * table[entry + f]
                        dots[corner * LANES + p] = dot
                for p in range(min(LANES, count - at), LANES):
                    for corner in range(1 << len(dims)):
                        dots[corner * LANES + p] = 0
                for axis in range(d):
                    total = splat(np.float32(0), LANES)
                    for corner in range(1 << len(dims)):
                        product = load(dots, corner * LANES, LANES)
                        for other in range(len(dims)):
                            if other != axis:
                                product = product * load(
                                    axis_weight, (2 * other + (corner >> other & 1)) * LANES, LANES
                                )
                        total = total + product if corner >> axis & 1 else total - product
                    step = load(slope, axis * LANES, LANES) * splat(
                        np.float32(scales[level]), LANES
                    )
                    place = axis * CHUNK + at
                    store(sums, place, fma(total, step, load(sums, place, LANES)))
        for i in range(count):
            for axis in range(d):
                value = x[(begin + i) * d + axis]
                inside = value >= np.float32(0) and value <= np.float32(1)
                dx[(begin + i) * d + axis] = sums[axis * CHUNK + i] if inside else np.float32(0)


@lru_cache(maxsize=64)
def geometry(levels: Levels, features: int, smooth: bool) -> tuple:
    """A grid as kernels take it, after its table. Not to be written to."""
    sizes = np.array(levels.sizes, np.int64)
    return (
        np.array(levels.scales, np.float32),
        np.array(levels.resolutions, np.int64),
        sizes,
        np.cumsum(sizes) - sizes,
        np.array(levels.hashed),
        smooth,
        (0,) * levels.dim,
        (0,) * features,
    )


def forward(x: Tensor, table: Tensor, levels: Levels, features: int, smooth: bool) -> Tensor:
    """See `hash_grid.hash_grid`."""
    y = dispatch.new(x.shape[0], len(levels.scales) * features)
    # Sorted points of one dimension touch a short part of each level.
    cached = levels.dim == 1 or table.nbytes <= CACHED
    if y.numel():
        size = CHUNK if cached else min(LONG, -(-len(x) // dispatch.threads()))
        parallel.run(
            encode, -(-len(x) // size), dispatch.flat(x), dispatch.flat(y), dispatch.flat(table),
            *geometry(levels, features, smooth), size,
        )  # fmt: skip
    return y


def backward_table(
    grad: Tensor, x: Tensor, table: Tensor, levels: Levels, features: int, smooth: bool
) -> Tensor:
    """Gradient of sum(grad * hash_grid(x)) in the table."""
    n, count, threads = x.shape[0], len(levels.scales), dispatch.threads()
    if not n:
        return torch.zeros_like(table)
    dtable = dispatch.new(table.numel())
    shards = -(-threads // count)
    # Threads take runs of tasks, so deal the levels out: fine and coarse ones to each.
    tasks = np.arange(count * shards)
    order = np.concatenate([tasks[thread::threads] for thread in range(threads)])
    chunks = -(-n // CHUNK)
    xs = np.empty(levels.dim * chunks * CHUNK, np.float32)
    grid = geometry(levels, features, smooth)
    given, by_level = dispatch.flat(grad), grad.nbytes > CACHED
    ordered = given
    if by_level:
        ordered = _scratch.pop() if _scratch else given[:0]
        ordered = ordered if ordered.size >= given.size else np.empty_like(given)
        parallel.run(_by_level, chunks, given, ordered, n, count, grid[-1])
    parallel.run(_by_axis, chunks, dispatch.flat(x), xs, grid[-2])
    parallel.run(
        _backward_table, order.size, ordered, by_level, n, xs, dispatch.flat(dtable), *grid,
        order, shards,
    )  # fmt: skip
    if by_level:
        _scratch.append(ordered)
    return dtable


def backward_x(
    grad: Tensor, x: Tensor, table: Tensor, levels: Levels, features: int, smooth: bool
) -> Tensor:
    """Gradient of sum(grad * hash_grid(x)) in x; 0 along an axis where x was clamped."""
    dx = dispatch.new(*x.shape)
    if dx.numel():
        arrays = [dispatch.flat(t) for t in (grad, x, dx, table)]
        grid = geometry(levels, features, smooth)
        parallel.run(_backward_x, -(-len(x) // CHUNK), *arrays, *grid)
    return dx
