"""The CPU kernels of `factored`.

Cells and weights are worked out for a vector of points at once; vertices are then read point by
point, a vector of channels in one load. The forward pass and the gradient in x run over chunks of
points. The gradient in the table runs over factors, each cut into ranges of rows of its slowest
axis: a task owns its rows, looks at all points and adds those that touch them. No races, no
atomics, and each entry is summed in the order of the points, so that the number of threads changes
no bit. What the other factors of a product are is worked out again: arithmetic is cheaper than
memory.

Symbols: as in `factored`; a, b, c are tuples of 2^k values for the three possible factors of a mode
(empty for one that isn't there), `like` one as long as a vector of channels: lengths of tuples are
known when a kernel is compiled. The last vector of channels overlaps the one before it. A slot is a
corner of a factor, mode after mode. u = x * scale + shift counts vertices from 1, so that a cell's
lower vertex is 0 beyond the low border and its upper one R + 1 beyond the high border.
"""

from __future__ import annotations

import numpy as np
from torch import Tensor

from polyfield.backends import dispatch, parallel
from polyfield.backends.jit import njit
from polyfield.backends.simd import (
    LANES,
    at_most,
    clamp,
    floor,
    fma,
    load,
    splat,
    store,
    to_int,
    total,
    where_nonzero,
)

Grids = tuple[list[int], list[int], int, int, bool, bool]
"""The geometry in plain values: `Factors.plain` of `factored`."""
CHUNK = 1024
SAMPLE = 4096
"""Points looked at to cut a factor into ranges of rows with about as many points each."""


@njit(cache=True, nogil=True)
def _axes(x, first, count, d, resolution, scale, shift, xs, cell, vertex, share):
    """Per axis, for LANES points: cell, both vertices and their weights.

    The tail of a short vector repeats the last point.
    """
    for i in range(LANES):
        at = (first + min(i, count - 1)) * d
        for axis in range(d):
            xs[axis * LANES + i] = x[at + axis]
    zero, one = splat(np.float32(0), LANES), splat(np.float32(1), LANES)
    last = splat(np.uint32(resolution - 1), LANES)
    for axis in range(d):
        value = clamp(load(xs, axis * LANES, LANES), zero, one)
        u = fma(value, splat(np.float32(scale), LANES), splat(np.float32(shift), LANES))
        low = floor(u)
        part = u - low
        number = to_int(low)
        store(cell, axis * LANES, number)
        store(vertex, 2 * axis * LANES, at_most(number - splat(np.uint32(1), LANES), last))
        store(vertex, (2 * axis + 1) * LANES, at_most(number, last))
        # where_nonzero keeps NaN.
        store(share, 2 * axis * LANES, where_nonzero(low, one - part, zero))
        beyond = splat(np.float32(resolution), LANES) - low
        store(share, (2 * axis + 1) * LANES, where_nonzero(beyond, part, zero))


@njit(cache=True, nogil=True)
def _corners(corners, along, resolution, channels, start, slot, vertex, share, index, weight):
    """Table offsets and weights of a factor's corners for LANES points."""
    for corner in range(len(corners)):
        stride = channels
        offset = splat(np.uint32(start), LANES)
        product = splat(np.float32(1), LANES)
        k = 0
        while (1 << k) < len(corners):
            side = (2 * along[k] + (corner >> k & 1)) * LANES
            offset = offset + load(vertex, side, LANES) * splat(np.uint32(stride), LANES)
            product = product * load(share, side, LANES)
            stride *= resolution
            k += 1
        store(index, (slot + corner) * LANES, offset)
        store(weight, (slot + corner) * LANES, product)


@njit(cache=True, nogil=True)
def _mode(m, axes, starts, a, b, c, resolution, channels, vertex, share, index, weight):
    """Table offsets and weights of all corners of mode m."""
    slot = m * (len(a) + len(b) + len(c))
    _corners(a, axes[m, 0], resolution, channels, starts[m, 0], slot, vertex, share, index, weight)
    if len(b) > 0:
        _corners(b, axes[m, 1], resolution, channels, starts[m, 1], slot + len(a),
                 vertex, share, index, weight)  # fmt: skip
    if len(c) > 0:
        _corners(c, axes[m, 2], resolution, channels, starts[m, 2], slot + len(a) + len(b),
                 vertex, share, index, weight)  # fmt: skip


@njit(forceinline=True)
def _value(table, corners, slot, p, at, index, weight, like):
    """A factor's channels from `at` on, for point p of the vector."""
    first = slot * LANES + p
    found = splat(weight[first], like) * load(table, np.int64(index[first]) + at, like)
    for corner in range(1, len(corners)):
        place = first + corner * LANES
        entry = load(table, np.int64(index[place]) + at, like)
        found = fma(splat(weight[place], like), entry, found)
    return found


@njit(forceinline=True)
def _product(table, a, b, c, slot, p, at, index, weight, like):
    """A mode's channels from `at` on."""
    found = _value(table, a, slot, p, at, index, weight, like)
    if len(b) > 0:
        found = found * _value(table, b, slot + len(a), p, at, index, weight, like)
    if len(c) > 0:
        found = found * _value(table, c, slot + len(a) + len(b), p, at, index, weight, like)
    return found


@njit(forceinline=True)
def _write(y, row, table, modes, concat, channels, a, b, c, p, at, index, weight, like):
    """One point's result, channels from `at` on."""
    slots = len(a) + len(b) + len(c)
    if concat:
        for m in range(modes):
            store(y, row + m * channels + at,
                  _product(table, a, b, c, m * slots, p, at, index, weight, like))  # fmt: skip
    else:
        found = _product(table, a, b, c, 0, p, at, index, weight, like)
        for m in range(1, modes):
            found = found + _product(table, a, b, c, m * slots, p, at, index, weight, like)
        store(y, row + at, found)


@njit(cache=True, nogil=True)
def _forward(
    first, last, x, y, table, axes, starts, d, resolution, scale, shift, channels, concat,
    a, b, c, like,
):  # fmt: skip
    n = x.size // d
    modes = axes.shape[0]
    width = channels * modes if concat else channels
    slots = len(a) + len(b) + len(c)
    xs, cell = np.empty(d * LANES, np.float32), np.empty(d * LANES, np.uint32)
    vertex, share = np.empty(2 * d * LANES, np.uint32), np.empty(2 * d * LANES, np.float32)
    index = np.empty(modes * slots * LANES, np.uint32)
    weight = np.empty(modes * slots * LANES, np.float32)
    end = min(n, last * CHUNK)
    for point in range(first * CHUNK, end, LANES):
        count = min(LANES, end - point)
        _axes(x, point, count, d, resolution, scale, shift, xs, cell, vertex, share)
        for m in range(modes):
            _mode(m, axes, starts, a, b, c, resolution, channels, vertex, share, index, weight)
        for p in range(count):
            row = (point + p) * width
            for block in range(0, channels, len(like)):
                at = min(block, channels - len(like))
                _write(y, row, table, modes, concat, channels, a, b, c, p, at, index, weight, like)


@njit(forceinline=True)
def _share_of(
    grad, place, table, one, two, slot_one, slot_two, p, at, skip, mask, index, weight, like
):
    """The gradient of a factor's value: that of the product times the other factors.

    The first `skip` channels are 0: the vector before this one had them.
    """
    found = load(grad, place + at, like) * load(mask, len(like) - skip, like)
    if len(one) > 0:
        found = found * _value(table, one, slot_one, p, at, index, weight, like)
    if len(two) > 0:
        found = found * _value(table, two, slot_two, p, at, index, weight, like)
    return found


@njit(forceinline=True)
def _add(dtable, value, begin, end, p, at, index, weight, like):
    """Add a vector of channels to the corners in slots begin..end-1."""
    for corner in range(begin, end):
        to = np.int64(index[corner * LANES + p]) + at
        w = splat(weight[corner * LANES + p], like)
        store(dtable, to, fma(w, value, load(dtable, to, like)))


@njit(forceinline=True)
def _scatter(
    dtable, grad, place, table, own, one, two, slots, low, high, p, at, skip, mask,
    index, weight, like,
):  # fmt: skip
    """Add one point's vector of channels to the lower and upper rows of a factor."""
    value = _share_of(grad, place, table, one, two, slots[1], slots[2], p, at, skip, mask,
                      index, weight, like)  # fmt: skip
    half = slots[0] + len(own) // 2
    if low:
        _add(dtable, value, slots[0], half, p, at, index, weight, like)
    if high:
        _add(dtable, value, half, slots[0] + len(own), p, at, index, weight, like)


@njit(cache=True, nogil=True)
def _backward_table(
    first, last, grad, x, dtable, table, cuts, f, all_axes, all_starts, d, resolution, scale, shift,
    channels, concat, a, b, c, own, one, two, slots, like, mask,
):  # fmt: skip
    """Gradients of one factor of each mode; a task is a mode and a range of the factor's rows."""
    modes = all_axes.shape[0]
    n = x.size // d
    width = channels * modes if concat else channels
    count_slots = len(a) + len(b) + len(c)
    xs, cell = np.empty(d * LANES, np.float32), np.empty(d * LANES, np.uint32)
    vertex, share = np.empty(2 * d * LANES, np.uint32), np.empty(2 * d * LANES, np.float32)
    index = np.empty(count_slots * LANES, np.uint32)
    weight = np.empty(count_slots * LANES, np.float32)
    mine = np.empty(LANES, np.int64)
    k = 0
    while (2 << k) < len(own):
        k += 1
    for task in range(first, last):
        # Threads take runs of tasks: each has one range of every mode.
        m, shard = task % modes, task // modes
        factor = m * all_axes.shape[1] + f
        low, high = cuts[factor, shard], cuts[factor, shard + 1]
        # One mode alone: its slots start at 0.
        axes, starts = all_axes[m : m + 1], all_starts[m : m + 1]
        slow = axes[0, f, k]
        column = m * channels if concat else 0
        for point in range(0, n if low < high else 0, LANES):
            count = min(LANES, n - point)
            _axes(x, point, count, d, resolution, scale, shift, xs, cell, vertex, share)
            found = 0
            for p in range(count):
                number = np.int64(cell[slow * LANES + p])
                mine[found] = p
                found += np.int64((number >= low) & (number <= high))
            if found == 0:
                continue
            _mode(0, axes, starts, a, b, c, resolution, channels, vertex, share, index, weight)
            for i in range(found):
                p = mine[i]
                number = np.int64(cell[slow * LANES + p])
                lower, upper = number > low, number < high
                place = (point + p) * width + column
                for block in range(0, channels, len(like)):
                    at = min(block, channels - len(like))
                    _scatter(dtable, grad, place, table, own, one, two, slots, lower, upper, p, at,
                             block - at, mask, index, weight, like)  # fmt: skip


@njit(forceinline=True)
def _dots(
    dots, grad, place, table, own, one, two, s0, s1, s2, p, at, skip, mask, index, weight, like
):
    """Add to dots, for each corner, the product of its entry and the gradient of the factor."""
    value = _share_of(grad, place, table, one, two, s1, s2, p, at, skip, mask,
                      index, weight, like)  # fmt: skip
    for corner in range(len(own)):
        entry = load(table, np.int64(index[(s0 + corner) * LANES + p]) + at, like)
        dots[corner] += total(value * entry)


@njit(forceinline=True)
def _slopes(
    grad, place, table, own, one, two, s0, s1, s2, p, index, weight, share, cell, along,
    resolution, channels, like, mask, dots, sums,
):  # fmt: skip
    """Add one factor's gradient in the positions of point p to sums."""
    for corner in range(len(own)):
        dots[corner] = 0
    for block in range(0, channels, len(like)):
        at = min(block, channels - len(like))
        _dots(dots, grad, place, table, own, one, two, s0, s1, s2, p, at, block - at, mask,
              index, weight, like)  # fmt: skip
    k = 0
    while (1 << k) < len(own):
        number = np.int64(cell[along[k] * LANES + p])
        found = np.float32(0)
        for corner in range(len(own)):
            high = corner >> k & 1
            product = dots[corner]
            j = 0
            while (1 << j) < len(own):
                if j != k:
                    product *= share[(2 * along[j] + (corner >> j & 1)) * LANES + p]
                j += 1
            if high:
                found += product if number < resolution else np.float32(0)
            else:
                found -= product if number > 0 else np.float32(0)
        sums[along[k]] += found
        k += 1


@njit(cache=True, nogil=True)
def _backward_x(
    first, last, grad, x, dx, table, axes, starts, d, resolution, scale, shift, channels, concat,
    a, b, c, like, mask,
):  # fmt: skip
    n = x.size // d
    modes = axes.shape[0]
    width = channels * modes if concat else channels
    slots = len(a) + len(b) + len(c)
    xs, cell = np.empty(d * LANES, np.float32), np.empty(d * LANES, np.uint32)
    vertex, share = np.empty(2 * d * LANES, np.uint32), np.empty(2 * d * LANES, np.float32)
    index = np.empty(modes * slots * LANES, np.uint32)
    weight = np.empty(modes * slots * LANES, np.float32)
    dots, sums = np.empty(8, np.float32), np.empty(d, np.float32)
    two, three = len(a), len(a) + len(b)
    end = min(n, last * CHUNK)
    for point in range(first * CHUNK, end, LANES):
        count = min(LANES, end - point)
        _axes(x, point, count, d, resolution, scale, shift, xs, cell, vertex, share)
        for m in range(modes):
            _mode(m, axes, starts, a, b, c, resolution, channels, vertex, share, index, weight)
        for p in range(count):
            sums[:] = 0
            for m in range(modes):
                place = (point + p) * width + (m * channels if concat else 0)
                s = m * slots
                _slopes(grad, place, table, a, b, c, s, s + two, s + three, p, index, weight,
                        share, cell, axes[m, 0], resolution, channels, like, mask, dots,
                        sums)  # fmt: skip
                if len(b) > 0:
                    _slopes(grad, place, table, b, a, c, s + two, s, s + three, p, index, weight,
                            share, cell, axes[m, 1], resolution, channels, like, mask, dots,
                            sums)  # fmt: skip
                if len(c) > 0:
                    _slopes(grad, place, table, c, a, b, s + three, s, s + two, p, index, weight,
                            share, cell, axes[m, 2], resolution, channels, like, mask, dots,
                            sums)  # fmt: skip
            for axis in range(d):
                value = x[(point + p) * d + axis]
                inside = value >= np.float32(0) and value <= np.float32(1)
                slope = sums[axis] * np.float32(scale)
                dx[(point + p) * d + axis] = slope if inside else np.float32(0)


def _starts(axes: list[int], kinds: list[int], resolution: int, channels: int) -> tuple:
    """Axes [modes, factors, 3], padded with 0, and first values [modes, factors] of all factors."""
    assert len(kinds) <= 3 and max(kinds) <= 3, kinds
    modes = len(axes) // sum(kinds)
    found = np.zeros((modes, len(kinds), 3), np.int64)
    rest = iter(axes)
    for m in range(modes):
        for f, k in enumerate(kinds):
            found[m, f, :k] = [next(rest) for _ in range(k)]
    sizes = np.array([resolution**k * channels for k in kinds] * modes, np.int64)
    return found, (np.cumsum(sizes) - sizes).reshape(found.shape[:2])


def _geometry(grids: Grids, d: int) -> tuple:
    """The geometry as the kernels take it."""
    axes, kinds, r, channels, align, concat = grids
    corners = [(0,) * 2**k for k in kinds] + [()] * (3 - len(kinds))
    return (
        *_starts(axes, kinds, r, channels),
        d,
        r,
        float(r - 1 if align else r),
        1.0 if align else 0.5,
        channels,
        concat,
        *corners,
        (0,) * _lanes(channels),
    )


def _lanes(channels: int) -> int:
    """Channels a vector: a power of two, so that there are few kernels to compile."""
    return min(LANES, 1 << channels.bit_length() - 1)


def _mask(channels: int) -> np.ndarray:
    """Zeros, then ones: a vector from it is 0 in as many first lanes as wanted."""
    return np.repeat(np.array([0, 1], np.float32), _lanes(channels))


def forward(x: Tensor, table: Tensor, grids: Grids, width: int) -> Tensor:
    """See `factored.factored`; the result has `width` channels."""
    y = dispatch.new(x.shape[0], width)
    if y.numel():
        parallel.run(
            _forward,
            -(-len(x) // CHUNK),
            dispatch.flat(x),
            dispatch.flat(y),
            dispatch.flat(table),
            *_geometry(grids, x.shape[1]),
        )
    return y


def _cuts(x: np.ndarray, grids: Grids, shards: int) -> np.ndarray:
    """Rows at which each factor is cut, [factors, shards + 1], by where a sample of x lies."""
    axes, kinds, r = grids[:3]
    some = np.nan_to_num(x[:: max(1, len(x) // SAMPLE)])
    shares = np.quantile(some, np.arange(1, shards) / shards, axis=0)
    inner = np.clip(np.rint(shares * r), 0, r).astype(np.int64)
    # The last axis of each factor.
    slow = [axes[end - 1] for end in np.cumsum(kinds * (len(axes) // sum(kinds)))]
    cuts = np.empty((len(slow), shards + 1), np.int64)
    cuts[:, 0], cuts[:, -1], cuts[:, 1:-1] = 0, r, inner[:, slow].T
    return cuts


def backward_table(grad: Tensor, x: Tensor, table: Tensor, grids: Grids) -> Tensor:
    """Gradient of sum(grad * factored(x)) in the table."""
    dtable = dispatch.new(*table.shape).zero_()
    if x.shape[0]:
        flat, shards = dispatch.flat(x), dispatch.threads()
        axes, starts, *middle, a, b, c, like = _geometry(grids, x.shape[1])
        first, second = len(a), len(a) + len(b)
        of_factors = (
            (a, b, c, (0, first, second)),
            (b, a, c, (first, 0, second)),
            (c, a, b, (second, 0, first)),
        )
        arrays = [dispatch.flat(t) for t in (grad, x, dtable, table)]
        cuts = _cuts(flat.reshape(x.shape), grids, shards)
        for f in range(axes.shape[1]):
            parallel.run(
                _backward_table, len(axes) * shards, *arrays, cuts, f, axes, starts, *middle,
                a, b, c, *of_factors[f], like, _mask(grids[3]),
            )  # fmt: skip
    return dtable


def backward_x(grad: Tensor, x: Tensor, table: Tensor, grids: Grids) -> Tensor:
    """Gradient of sum(grad * factored(x)) in x; 0 along an axis where x was clamped."""
    dx = dispatch.new(*x.shape)
    if dx.numel():
        parallel.run(
            _backward_x,
            -(-len(x) // CHUNK),
            dispatch.flat(grad),
            dispatch.flat(x),
            dispatch.flat(dx),
            dispatch.flat(table),
            *_geometry(grids, x.shape[1]),
            _mask(grids[3]),
        )
    return dx
