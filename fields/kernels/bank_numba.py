"""The CPU kernels of `bank`: one network after the other, its rows in chunks that stay in cache.

A task owns a run of whole networks, cut so that all tasks have about the same number of rows. It
alone adds to their weight gradients, so there are no races, and the result doesn't depend on the
number of threads. Hidden values never reach memory: the backward pass computes them again.

Symbols: CHUNK rows at a time. Encoded coordinates are stored [channel, CHUNK], so that sines and
cosines are computed for a vector of rows at once; everything else is [row, pad(width)] with widths
rounded up to whole vectors.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from polyfield.backends import dispatch, parallel
from polyfield.backends.gemm import (
    product,
    product_add,
    product_add_then,
    product_mask,
    product_relu,
    product_relu_then,
    product_then,
)
from polyfield.backends.jit import njit
from polyfield.backends.simd import LANES, floor, fma, load, rectified, splat, store

CHUNK = 96
SPARE = 4
"""Rows are computed in multiples of this, since single rows make poor register tiles."""
FIXED = 12
"""A network with rows costs as much as this many rows more."""

# A bias of zeros for products without one; as wide as any layer the kernel takes.
WIDEST = 1024
_ZERO = np.zeros(WIDEST, np.float32)

# pi in two floats, and the Taylor series of sin(r) / r and cos(r) in r^2: at |r| <= pi / 2 what
# they leave out is below a float's rounding.
_PI_HIGH = np.float32(np.pi)
_PI_LOW = np.float32(np.pi - np.float64(np.float32(np.pi)))
_PER_PI = np.float32(1 / np.pi)
_SIN = tuple(np.float32(c) for c in (-1 / 6, 1 / 120, -1 / 5040, 1 / 362880, -1 / 39916800))
_COS = tuple(np.float32(c) for c in (-1 / 2, 1 / 24, -1 / 720, 1 / 40320, -1 / 3628800, 1 / 479001600))  # fmt: skip  # noqa: E501


@njit(inline="always")
def _pad(width):
    return (width + LANES - 1) // LANES * LANES


@njit(inline="always")
def _distance(offsets, network, last):
    """How many networks on the next one with rows is, before `last`; 0 if there is none."""
    other = network + 1
    while other < last and offsets[other] == offsets[other + 1]:
        other += 1
    return other - network if other < last else 0


@njit(inline="always")
def _tall(rows):
    return (rows + SPARE - 1) // SPARE * SPARE


@njit(inline="always")
def _series(r2, coefficients, start):
    total = splat(coefficients[len(coefficients) - 1], LANES)
    for i in range(len(coefficients) - 2, -1, -1):
        total = fma(total, r2, splat(coefficients[i], LANES))
    return fma(total, r2, splat(start, LANES))


@njit(cache=True, nogil=True)
def _encode(x, first, rows, dim, octaves, waves):
    """Octaves of `rows` rows of x into waves [channel, CHUNK]."""
    one, two, half = np.float32(1), np.float32(2), np.float32(0.5)
    channels = 2 * octaves + 1
    for axis in range(dim):
        here = axis * channels * CHUNK
        for r in range(rows):
            waves[here + r] = x[(first + r) * dim + axis]
        scale = one
        for k in range(octaves):
            cosines, sines = here + (1 + k) * CHUNK, here + (1 + octaves + k) * CHUNK
            for r in range(0, rows, LANES):
                p = load(waves, here + r, LANES) * splat(scale, LANES)
                # p = q pi + rest with q whole: both functions change their sign q times.
                q = floor(fma(p, splat(_PER_PI, LANES), splat(half, LANES)))
                rest = fma(q, splat(-_PI_HIGH, LANES), p)
                rest = fma(q, splat(-_PI_LOW, LANES), rest)
                odd = fma(floor(q * splat(half, LANES)), splat(-two, LANES), q)
                sign = fma(odd, splat(-two, LANES), splat(one, LANES))
                square = rest * rest
                store(waves, cosines + r, sign * _series(square, _COS, one))
                store(waves, sines + r, sign * rest * _series(square, _SIN, one))
            scale = scale * two


@njit(inline="always")
def _copy(source, source_start, source_row, target, target_start, target_row, rows, columns):
    """Rows of a matrix into another, a vector at a time."""
    whole = columns // LANES * LANES
    for _ in range(rows):
        for c in range(0, whole, LANES):
            store(target, target_start + c, load(source, source_start + c, LANES))
        for c in range(whole, columns):
            target[target_start + c] = source[source_start + c]
        source_start += source_row
        target_start += target_row


@njit(inline="always")
def _plan(widths, starts):
    """Fills `starts` [layers, 2]: of W_l in the parameters, and of its tail; returns tails' size.

    A matrix is read where it lies, but for the columns that fill no whole vector: its tail.
    """
    at, to = 0, 0
    for layer in range(widths.size - 1):
        starts[layer, 0], starts[layer, 1] = at, to
        at += (widths[layer] + 1) * widths[layer + 1]
        to += (widths[layer] + 1) * LANES
    return to


@njit(inline="always")
def _pack(weights, base, widths, starts, tails):
    """The tails of all matrices and biases; their padding is 0 already."""
    for layer in range(widths.size - 1):
        n_out = widths[layer + 1]
        rest = n_out % LANES
        # Column by column: there are few, and a loop over them would cost more than they do.
        for c in range(rest):
            at, to = base + starts[layer, 0] + n_out - rest + c, starts[layer, 1] + c
            for r in range(widths[layer] + 1):
                tails[to + r * LANES] = weights[at + r * n_out]


@njit(inline="always")
def _layer(weights, at, tails, tail, n_in, n_out, source, start, row, column, from_row, depth,
           target, to, tall, how, distance):  # fmt: skip
    """`source` times rows `from_row` .. + depth of a matrix of n_in rows into `target` [tall, pad].

    how: 0 for bias + product, 1 for adding the product to what is there, 2 for relu of 0.
    distance: to the same matrix of the next network, which is asked for meanwhile: with few rows a
    network, waiting for the next one's weights would take longer than all there is to compute.
    """
    wide, whole = _pad(n_out), n_out // LANES * LANES
    w, bias = at + from_row * n_out, at + n_in * n_out
    t, rest = tail + from_row * LANES, tail + n_in * LANES
    if whole:
        if how == 0:
            product_then(source, start, row, column, weights, w, n_out, target, to, wide,
                         tall, whole, depth, weights, bias, target, distance)  # fmt: skip
        elif how == 1:
            product_add_then(source, start, row, column, weights, w, n_out, target, to, wide,
                             tall, whole, depth, weights, bias, target, distance)  # fmt: skip
        else:
            product_relu_then(source, start, row, column, weights, w, n_out, target, to, wide,
                         tall, whole, depth, weights, bias, target, distance)  # fmt: skip
    if wide > whole:
        if how == 0:
            product(source, start, row, column, tails, t, LANES, target, to + whole, wide,
                    tall, LANES, depth, tails, rest, target)  # fmt: skip
        elif how == 1:
            product_add(source, start, row, column, tails, t, LANES, target, to + whole, wide,
                        tall, LANES, depth, tails, rest, target)  # fmt: skip
        else:
            product_relu(source, start, row, column, tails, t, LANES, target, to + whole, wide,
                         tall, LANES, depth, tails, rest, target)  # fmt: skip


@njit(inline="always")
def _relu(values, start, count):
    for i in range(start, start + count, LANES):
        value = load(values, i, LANES)
        store(values, i, rectified(value))


@njit(cache=True, nogil=True)
def _layers(weights, base, tails, widths, starts, n_extra, n_waves, waves, inner, hidden,
            plane, tall, last, distance):  # fmt: skip
    """Layers 0 .. last - 1: outputs of layer l in plane l of `hidden`; no relu after the last."""
    for layer in range(last):
        at, tail = base + starts[layer, 0], starts[layer, 1]
        n_in, n_out = widths[layer], widths[layer + 1]
        to = layer * plane
        final = layer == widths.size - 2
        if layer == 0:
            _layer(weights, at, tails, tail, n_in, n_out, waves, 0, 1, CHUNK, n_extra, n_waves,
                   hidden, to, tall, 0, distance)  # fmt: skip
            if n_extra:
                _layer(weights, at, tails, tail, n_in, n_out, inner, 0, n_extra, 1, 0, n_extra,
                       hidden, to, tall, 1, distance)  # fmt: skip
            if not final:
                _relu(hidden, to, tall * _pad(n_out))
        elif final:
            _layer(weights, at, tails, tail, n_in, n_out, hidden, (layer - 1) * plane, _pad(n_in),
                   1, 0, n_in, hidden, to, tall, 0, distance)  # fmt: skip
        else:
            _layer(weights, at, tails, tail, n_in, n_out, hidden, (layer - 1) * plane, _pad(n_in),
                   1, 0, n_in, hidden, to, tall, 2, distance)  # fmt: skip


@njit(cache=True, nogil=True)
def _forward(first, last, x, extra, columns, y, weights, offsets, widths, dim, octaves, bounds):
    depth = widths.size - 1
    n_waves = dim * (2 * octaves + 1)
    n_extra, n_out = widths[0] - n_waves, widths[-1]
    starts = np.empty((depth, 2), np.int64)
    tails = np.zeros(_plan(widths, starts), np.float32)
    size = starts[depth - 1, 0] + (widths[-2] + 1) * n_out
    plane = CHUNK * _pad(widths[1:].max())
    waves = np.zeros(n_waves * CHUNK, np.float32)
    inner = np.zeros(max(1, n_extra) * CHUNK, np.float32)
    hidden = np.zeros(depth * plane, np.float32)
    for network in range(bounds[first], bounds[last]):
        if offsets[network] == offsets[network + 1]:
            continue
        base = network * size
        distance = _distance(offsets, network, bounds[last]) * size
        _pack(weights, base, widths, starts, tails)
        for row in range(offsets[network], offsets[network + 1], CHUNK):
            rows = min(CHUNK, offsets[network + 1] - row)
            _encode(x, row, rows, dim, octaves, waves)
            if n_extra:
                _copy(extra, row * columns, columns, inner, 0, n_extra, rows, n_extra)
            _layers(weights, base, tails, widths, starts, n_extra, n_waves, waves, inner,
                    hidden, plane, _tall(rows), depth, distance)  # fmt: skip
            _copy(hidden, (depth - 1) * plane, _pad(n_out), y, row * n_out, n_out, rows, n_out)


@njit(cache=True, nogil=True)
def _share(offsets, tasks):
    """Bounds [tasks + 1] of runs of networks with about the same number of rows."""
    count = offsets.size - 1
    used = 0
    for network in range(count):
        used += offsets[network + 1] > offsets[network]
    total = offsets[count] + FIXED * used
    bounds = np.full(tasks + 1, count, np.int64)
    bounds[0] = 0
    task, cost = 1, 0
    for network in range(count):
        if offsets[network + 1] > offsets[network]:
            cost += offsets[network + 1] - offsets[network] + FIXED
        while task < tasks and cost * tasks >= total * task:
            bounds[task] = network + 1
            task += 1
    return bounds


@njit(inline="always")
def _transpose(source, start, rows, columns, target, to):
    """Into target [columns, pad(rows)]: source [rows, columns], transposed."""
    tall = _pad(rows)
    for r in range(rows):
        for c in range(columns):
            target[to + c * tall + r] = source[start + r * columns + c]


@njit(inline="always")
def _wave_gradient(slopes, wide, waves, dx, row, rows, dim, octaves):
    """The gradient in x from that in the octaves, slopes [row, wide]."""
    channels = 2 * octaves + 1
    for r in range(rows):
        for axis in range(dim):
            here = axis * channels
            total, scale = slopes[r * wide + here], np.float32(1)
            for k in range(octaves):
                c, s = here + 1 + k, here + 1 + octaves + k
                change = waves[c * CHUNK + r] * slopes[r * wide + s]
                change -= waves[s * CHUNK + r] * slopes[r * wide + c]
                total += scale * change
                scale *= np.float32(2)
            dx[(row + r) * dim + axis] = total


@njit(inline="always")
def _weight_gradient(source, start, channel, row, dz, dw, at, sums, tail, from_row, count, n_out,
                     rows):  # fmt: skip
    """Adds source^T dz to rows `from_row` .. + count of a matrix in dw, and to its tail in sums."""
    wide, whole = _pad(n_out), n_out // LANES * LANES
    if whole:
        product_add(source, start, channel, row, dz, 0, wide, dw, at + from_row * n_out, n_out,
                    count, whole, rows, _ZERO, 0, dw)  # fmt: skip
    if wide > whole:
        product_add(source, start, channel, row, dz, whole, wide, sums, tail + from_row * LANES,
                    LANES, count, LANES, rows, _ZERO, 0, sums)  # fmt: skip


@njit(inline="always")
def _bias_gradient(dz, n_out, rows, dw, at, sums, tail):
    """Adds the sum of rows of dz to dw, and what fills no whole vector to sums."""
    wide, whole = _pad(n_out), n_out // LANES * LANES
    for j in range(0, wide, LANES):
        total = load(dz, j, LANES)
        for r in range(1, rows):
            total = total + load(dz, r * wide + j, LANES)
        if j < whole:
            store(dw, at + j, total + load(dw, at + j, LANES))
        else:
            store(sums, tail, total + load(sums, tail, LANES))


@njit(cache=True, nogil=True)
def _backward(first, last, grad, x, extra, columns, dx, dextra, dw, weights, offsets, widths, dim,
              octaves, need_x, need_extra, bounds):  # fmt: skip
    depth = widths.size - 1
    n_waves = dim * (2 * octaves + 1)
    n_extra, n_out = widths[0] - n_waves, widths[-1]
    starts = np.empty((depth, 2), np.int64)
    n_tails = _plan(widths, starts)
    tails = np.zeros(n_tails, np.float32)
    sums = np.zeros(n_tails, np.float32)
    size = starts[depth - 1, 0] + (widths[-2] + 1) * n_out
    widest = _pad(widths.max())
    plane = CHUNK * widest
    waves = np.zeros(n_waves * CHUNK, np.float32)
    inner = np.zeros(max(1, n_extra) * CHUNK, np.float32)
    hidden = np.zeros(max(1, depth - 1) * plane, np.float32)
    dz = np.zeros(plane, np.float32)
    other = np.zeros(plane, np.float32)
    turned = np.zeros((depth + 1) * widest * widest, np.float32)
    for network in range(bounds[first], bounds[last]):
        if offsets[network] == offsets[network + 1]:
            continue
        base = network * size
        distance = _distance(offsets, network, bounds[last]) * size
        _pack(weights, base, widths, starts, tails)
        sums[:] = 0
        for layer in range(1, depth):
            _transpose(weights, base + starts[layer, 0], widths[layer], widths[layer + 1],
                       turned, layer * widest * widest)  # fmt: skip
        if need_extra and n_extra:
            _transpose(weights, base, n_extra, widths[1], turned, 0)
        if need_x:
            _transpose(weights, base + n_extra * widths[1], n_waves, widths[1],
                       turned, depth * widest * widest)  # fmt: skip
        for row in range(offsets[network], offsets[network + 1], CHUNK):
            rows = min(CHUNK, offsets[network + 1] - row)
            tall = _tall(rows)
            _encode(x, row, rows, dim, octaves, waves)
            if n_extra:
                _copy(extra, row * columns, columns, inner, 0, n_extra, rows, n_extra)
            _layers(weights, base, tails, widths, starts, n_extra, n_waves, waves, inner,
                    hidden, plane, tall, depth - 1, distance)  # fmt: skip
            wide = _pad(n_out)
            dz[: rows * wide] = 0
            _copy(grad, row * n_out, n_out, dz, 0, wide, rows, n_out)
            for layer in range(depth - 1, -1, -1):
                at, tail = base + starts[layer, 0], starts[layer, 1]
                n_in, n_out_here = widths[layer], widths[layer + 1]
                wide = _pad(n_out_here)
                if layer > 0:
                    _weight_gradient(hidden, (layer - 1) * plane, 1, _pad(n_in), dz, dw, at, sums,
                                     tail, 0, n_in, n_out_here, rows)  # fmt: skip
                else:
                    _weight_gradient(waves, 0, CHUNK, 1, dz, dw, at, sums, tail, n_extra, n_waves,
                                     n_out_here, rows)  # fmt: skip
                    if n_extra:
                        _weight_gradient(inner, 0, 1, n_extra, dz, dw, at, sums, tail, 0, n_extra,
                                         n_out_here, rows)  # fmt: skip
                _bias_gradient(dz, n_out_here, rows, dw, at + n_in * n_out_here,
                               sums, tail + n_in * LANES)  # fmt: skip
                if layer > 0:
                    # Planes of hidden values have the layout of the result: they are its mask.
                    gate = hidden[(layer - 1) * plane : layer * plane]
                    product_mask(dz, 0, wide, 1, turned, layer * widest * widest, _pad(n_in),
                                 other, 0, _pad(n_in), tall, _pad(n_in), n_out_here,
                                 _ZERO, 0, gate)  # fmt: skip
                    dz, other = other, dz
            wide = _pad(widths[1])
            if need_extra and n_extra:
                own = _pad(n_extra)
                product(dz, 0, wide, 1, turned, 0, own, other, 0, own,
                        tall, own, widths[1], _ZERO, 0, other)  # fmt: skip
                _copy(other, 0, own, dextra, row * columns, columns, rows, n_extra)
            if need_x:
                own = _pad(n_waves)
                product(dz, 0, wide, 1, turned, depth * widest * widest, own, other, 0, own,
                        tall, own, widths[1], _ZERO, 0, other)  # fmt: skip
                _wave_gradient(other, own, waves, dx, row, rows, dim, octaves)
        for layer in range(depth):
            n_out_here = widths[layer + 1]
            rest = n_out_here % LANES
            if rest:
                to = base + starts[layer, 0] + n_out_here - rest
                _copy(sums, starts[layer, 1], LANES, dw, to, n_out_here, widths[layer] + 1, rest)


@njit(cache=True, nogil=True)
def _sort(network, order, offsets):
    """A counting sort; `offsets` comes in as zeros."""
    count = offsets.size - 1
    for i in range(network.size):
        offsets[network[i] + 1] += 1
    for g in range(count):
        offsets[g + 1] += offsets[g]
    place = offsets[:count].copy()
    for i in range(network.size):
        order[place[network[i]]] = i
        place[network[i]] += 1


def group(network: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """See `bank.group`."""
    order = np.empty(network.numel(), np.int64)
    offsets = np.zeros(count + 1, np.int64)
    _sort(network.contiguous().numpy(), order, offsets)
    return torch.from_numpy(order), torch.from_numpy(offsets)


def _shape(x: Tensor, offsets: Tensor, widths: list[int], octaves: int) -> tuple:
    assert max(widths) <= WIDEST, widths
    return offsets.contiguous().numpy(), np.array(widths, np.int64), x.shape[1], octaves


def forward(
    x: Tensor, extra: Tensor, weights: Tensor, offsets: Tensor, widths: list[int], octaves: int
) -> Tensor:
    """See `bank.bank`."""
    y = dispatch.new(x.shape[0], widths[-1])
    if y.numel():
        shape, tasks = _shape(x, offsets, widths, octaves), dispatch.threads()
        parallel.run(
            _forward, tasks, dispatch.flat(x), dispatch.flat(extra), extra.shape[1],
            dispatch.flat(y), dispatch.flat(weights), *shape, _share(shape[0], tasks),
        )  # fmt: skip
    return y


def backward(
    grad: Tensor,
    x: Tensor,
    extra: Tensor,
    weights: Tensor,
    offsets: Tensor,
    widths: list[int],
    octaves: int,
    need_x: bool,
    need_extra: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """See `bank.bank_backward`; columns of `extra` that aren't used get 0."""
    dx = dispatch.new(*x.shape) if need_x else x.new_empty(0)
    dextra = torch.zeros_like(extra) if need_extra else x.new_empty(0)
    dw = torch.zeros_like(weights)
    if x.shape[0]:
        shape, tasks = _shape(x, offsets, widths, octaves), dispatch.threads()
        arrays = [dispatch.flat(t) for t in (dx, dextra, dw, weights)]
        parallel.run(
            _backward, tasks, dispatch.flat(grad), dispatch.flat(x), dispatch.flat(extra),
            extra.shape[1], *arrays, *shape, need_x, need_extra, _share(shape[0], tasks),
        )  # fmt: skip
    return dx, dextra, dw
