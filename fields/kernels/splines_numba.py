"""The CPU kernel of `splines`: each value is multiplied by the order + 1 splines that are not 0.

Weights are packed as a table [inputs, rows, outputs]: those of splines, padded with `order` rows of
zeros on either side, so that row cell + d belongs to the d-th spline of a cell; then those of SiLU,
which is taken for one spline more, not 0 anywhere. ROWS points at a time: their cells and
splines first, lanes over points; then input by input, whose part of the table stays in the nearest
cache, lanes over outputs.

Symbols: G cells, k order, rows = G + 3 k + 1 of an input's table, t in [0, G + 2 k) a place in
cells.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from polyfield.backends import dispatch, parallel
from polyfield.backends.exponential import exponential
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

ROWS = 32
"""Points at a time: a whole number of vectors."""
FOUR = 4 * LANES
LIKE = (0,) * LANES


@njit(nogil=True)
def _splines_at(x, n_in, first, count, cells, each, turned, values, slopes, places):
    """Splines and SiLU [i, k + 2, ROWS] of some points, their slopes in x, and their cells."""
    order, spread = len(each) - 1, np.float32(cells) / np.float32(2)
    one, zero = splat(np.float32(1), LANES), splat(np.float32(0), LANES)
    most = splat(np.float32(cells + 2 * order - 1), LANES)
    last = splat(np.uint32(cells + 2 * order - 1), LANES)
    for r in range(ROWS):
        for i in range(n_in):
            turned[i * ROWS + r] = x[(first + r) * n_in + i] if r < count else np.float32(0)
    for i in range(n_in):
        for r in range(0, ROWS, LANES):
            at, z = i * (order + 2) * ROWS + r, load(turned, i * ROWS + r, LANES)
            t = fma(z + one, splat(spread, LANES),
                    splat(np.float32(order), LANES))  # fmt: skip
            below = floor(t)
            cell = clamp(below, zero, most)
            # Beyond the grid nothing; what is no number stays none.
            inside = where_nonzero(cell - below, zero, one)
            t = t - cell
            # The cell of what is no number may be any.
            store(places, i * ROWS + r, at_most(to_int(cell), last))
            store(values, at, inside)
            for d in range(1, len(each)):
                share = splat(np.float32(1) / np.float32(d), LANES)
                carried = zero
                for j in range(d):
                    value = load(values, at + j * ROWS, LANES)
                    if d == order:
                        # Of order k - 1: their differences are the slopes.
                        store(slopes, at + j * ROWS, value)
                    value = value * share
                    up = splat(np.float32(j + 1), LANES) - t
                    store(values, at + j * ROWS, fma(up, value, carried))
                    carried = (t + splat(np.float32(d - 1 - j), LANES)) * value
                store(values, at + d * ROWS, carried)
            before = zero
            factor = splat(spread, LANES)
            for j in range(order):
                value = load(slopes, at + j * ROWS, LANES)
                store(slopes, at + j * ROWS, (before - value) * factor)
                before = value
            store(slopes, at + order * ROWS, before * factor)
            gate = one / (one + exponential(zero - z, LIKE))
            store(values, at + (order + 1) * ROWS, z * gate)
            store(slopes, at + (order + 1) * ROWS, fma(z * gate, one - gate, gate))


@njit(cache=True, nogil=True)
def _forward(first, last, x, y, table, n_in, n_out, wide, cells, each, rows):
    points, order = y.size // n_out, len(each) - 1
    turned = np.empty(n_in * ROWS, np.float32)
    values = np.empty(n_in * (order + 2) * ROWS, np.float32)
    slopes = np.empty(n_in * (order + 2) * ROWS, np.float32)
    places = np.empty(n_in * ROWS, np.uint32)
    sums = np.empty(ROWS * wide, np.float32)
    for chunk in range(first, last):
        start = chunk * ROWS
        count = min(ROWS, points - start)
        _splines_at(x, n_in, start, count, cells, each, turned, values, slopes, places)
        sums[:] = 0
        for i in range(n_in):
            silu, at, o = (i * rows + rows - 1) * wide, i * (order + 2) * ROWS, 0
            while o + FOUR <= wide:
                w1, w2 = load(table, silu + o, LANES), load(table, silu + o + LANES, LANES)
                w3 = load(table, silu + o + 2 * LANES, LANES)
                w4 = load(table, silu + o + 3 * LANES, LANES)
                for r in range(count):
                    to, w = r * wide + o, (i * rows + np.int64(places[i * ROWS + r])) * wide + o
                    value = splat(values[at + (order + 1) * ROWS + r], LANES)
                    y1 = fma(value, w1, load(sums, to, LANES))
                    y2 = fma(value, w2, load(sums, to + LANES, LANES))
                    y3 = fma(value, w3, load(sums, to + 2 * LANES, LANES))
                    y4 = fma(value, w4, load(sums, to + 3 * LANES, LANES))
                    for d in range(len(each)):
                        value = splat(values[at + d * ROWS + r], LANES)
                        y1 = fma(value, load(table, w, LANES), y1)
                        y2 = fma(value, load(table, w + LANES, LANES), y2)
                        y3 = fma(value, load(table, w + 2 * LANES, LANES), y3)
                        y4 = fma(value, load(table, w + 3 * LANES, LANES), y4)
                        w += wide
                    store(sums, to, y1)
                    store(sums, to + LANES, y2)
                    store(sums, to + 2 * LANES, y3)
                    store(sums, to + 3 * LANES, y4)
                o += FOUR
            while o < wide:
                w1 = load(table, silu + o, LANES)
                for r in range(count):
                    to, w = r * wide + o, (i * rows + np.int64(places[i * ROWS + r])) * wide + o
                    value = splat(values[at + (order + 1) * ROWS + r], LANES)
                    y1 = fma(value, w1, load(sums, to, LANES))
                    for d in range(len(each)):
                        value = splat(values[at + d * ROWS + r], LANES)
                        y1 = fma(value, load(table, w + d * wide, LANES), y1)
                    store(sums, to, y1)
                o += LANES
        for r in range(count):
            for o in range(n_out):
                y[(start + r) * n_out + o] = sums[r * wide + o]


@njit(cache=True, nogil=True)
def _backward(first, last, grad, x, dx, table, all_sums, n_in, n_out, wide, cells, each, rows):
    """Adds each task's gradients of the table to its row of `all_sums`."""
    points, order = grad.size // n_out, len(each) - 1
    turned = np.empty(n_in * ROWS, np.float32)
    values = np.empty(n_in * (order + 2) * ROWS, np.float32)
    slopes = np.empty(n_in * (order + 2) * ROWS, np.float32)
    places = np.empty(n_in * ROWS, np.uint32)
    given = np.zeros(ROWS * wide, np.float32)
    chunks, tasks = (points + ROWS - 1) // ROWS, all_sums.shape[0]
    for task in range(first, last):
        sums = all_sums[task]
        for chunk in range(task * chunks // tasks, (task + 1) * chunks // tasks):
            start = chunk * ROWS
            count = min(ROWS, points - start)
            _splines_at(x, n_in, start, count, cells, each, turned, values, slopes, places)
            for r in range(count):
                for o in range(n_out):
                    given[r * wide + o] = grad[(start + r) * n_out + o]
            for i in range(n_in):
                silu, at, o = (i * rows + rows - 1) * wide, i * (order + 2) * ROWS, 0
                turned[i * ROWS : (i + 1) * ROWS] = 0
                while o + FOUR <= wide:
                    w1, w2 = load(table, silu + o, LANES), load(table, silu + o + LANES, LANES)
                    w3 = load(table, silu + o + 2 * LANES, LANES)
                    w4 = load(table, silu + o + 3 * LANES, LANES)
                    s1, s2 = load(sums, silu + o, LANES), load(sums, silu + o + LANES, LANES)
                    s3 = load(sums, silu + o + 2 * LANES, LANES)
                    s4 = load(sums, silu + o + 3 * LANES, LANES)
                    for r in range(count):
                        to, w = r * wide + o, (i * rows + np.int64(places[i * ROWS + r])) * wide + o
                        g1, g2 = load(given, to, LANES), load(given, to + LANES, LANES)
                        g3 = load(given, to + 2 * LANES, LANES)
                        g4 = load(given, to + 3 * LANES, LANES)
                        place = at + (order + 1) * ROWS + r
                        value = splat(values[place], LANES)
                        s1, s2 = fma(value, g1, s1), fma(value, g2, s2)
                        s3, s4 = fma(value, g3, s3), fma(value, g4, s4)
                        along = fma(g4, w4, fma(g3, w3, fma(g2, w2, g1 * w1)))
                        slope = splat(slopes[place], LANES) * along
                        for d in range(len(each)):
                            along = g1 * load(table, w, LANES)
                            along = fma(g2, load(table, w + LANES, LANES), along)
                            along = fma(g3, load(table, w + 2 * LANES, LANES), along)
                            along = fma(g4, load(table, w + 3 * LANES, LANES), along)
                            slope = fma(splat(slopes[at + d * ROWS + r], LANES), along, slope)
                            value = splat(values[at + d * ROWS + r], LANES)
                            store(sums, w, fma(value, g1, load(sums, w, LANES)))
                            to = w + LANES
                            store(sums, to, fma(value, g2, load(sums, to, LANES)))
                            to += LANES
                            store(sums, to, fma(value, g3, load(sums, to, LANES)))
                            to += LANES
                            store(sums, to, fma(value, g4, load(sums, to, LANES)))
                            w += wide
                        turned[i * ROWS + r] += total(slope)
                    store(sums, silu + o, s1)
                    store(sums, silu + o + LANES, s2)
                    store(sums, silu + o + 2 * LANES, s3)
                    store(sums, silu + o + 3 * LANES, s4)
                    o += FOUR
                while o < wide:
                    w1, s1 = load(table, silu + o, LANES), load(sums, silu + o, LANES)
                    for r in range(count):
                        w = (i * rows + np.int64(places[i * ROWS + r])) * wide + o
                        g1, place = load(given, r * wide + o, LANES), at + (order + 1) * ROWS + r
                        s1 = fma(splat(values[place], LANES), g1, s1)
                        slope = splat(slopes[place], LANES) * g1 * w1
                        for d in range(len(each)):
                            along = g1 * load(table, w, LANES)
                            slope = fma(splat(slopes[at + d * ROWS + r], LANES), along, slope)
                            value = splat(values[at + d * ROWS + r], LANES)
                            store(sums, w, fma(value, g1, load(sums, w, LANES)))
                            w += wide
                        turned[i * ROWS + r] += total(slope)
                    store(sums, silu + o, s1)
                    o += LANES
            for r in range(count):
                for i in range(n_in):
                    dx[(start + r) * n_in + i] = turned[i * ROWS + r]


def _packed(base: Tensor, weights: Tensor, order: int) -> Tensor:
    """The table [i, rows, o], outputs filled up to whole vectors."""
    fill = -len(weights) % LANES
    curves = functional.pad(weights.detach().permute(1, 2, 0), (0, fill, order, order))
    silu = functional.pad(base.detach().T[:, None], (0, fill))
    return torch.cat([curves, silu], 1)


def forward(x: Tensor, base: Tensor, weights: Tensor, cells: int, order: int) -> Tensor:
    """See `splines.splines`."""
    y = dispatch.new(len(x), len(weights))
    if y.numel() and x.numel():
        table = _packed(base, weights, order)
        inputs, rows, wide = table.shape
        arrays = [dispatch.flat(t) for t in (x, y, table)]
        sizes = (inputs, len(weights), wide, cells, (0,) * (order + 1), rows)
        parallel.run(_forward, -(-len(x) // ROWS), *arrays, *sizes)
    return y


def backward(
    grad: Tensor, x: Tensor, base: Tensor, weights: Tensor, cells: int, order: int
) -> tuple[Tensor, Tensor, Tensor]:
    """See `splines._splines_backward`."""
    dx, dbase, dw = dispatch.new(*x.shape), torch.zeros_like(base), torch.zeros_like(weights)
    if dx.numel() and len(weights):
        table = _packed(base, weights, order)
        inputs, rows, wide = table.shape
        tasks = dispatch.threads()
        sums = np.zeros((tasks, table.numel()), np.float32)
        arrays = [dispatch.flat(t) for t in (grad, x, dx, table)]
        sizes = (inputs, len(weights), wide, cells, (0,) * (order + 1), rows)
        parallel.run(_backward, tasks, *arrays, sums, *sizes)
        whole = torch.from_numpy(sums).sum(0).view(table.shape).permute(2, 0, 1)[: len(weights)]
        dbase = whole[..., -1].contiguous()
        dw = whole[..., order : order + cells + order].contiguous()
    return dx, dbase, dw
