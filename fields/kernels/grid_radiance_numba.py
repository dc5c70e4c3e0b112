"""The CPU kernels of `grid_radiance`: ROWS points at a time go the whole way, in cache.

The pieces are the kernels of the grid, the perceptron and the harmonics themselves. The way back
computes hidden values again, but keeps the features of the grid, which cost most to find. Each
task has its own sums of weight gradients; the table's gradient is added up by level at the end.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from polyfield.backends import dispatch, parallel
from polyfield.backends.exponential import exponential
from polyfield.backends.jit import njit
from polyfield.backends.parallel import call
from polyfield.backends.simd import LANES, clamp, load, splat, store
from polyfield.encodings.grid_table import GridTable
from polyfield.encodings.kernels.hash_grid_numba import backward_table, encode, geometry
from polyfield.encodings.kernels.placement_numba import place
from polyfield.encodings.kernels.spherical_harmonics_numba import harmonics
from polyfield.fields.kernels.mlp_numba import CHUNK, add_up, apply, packed, pull_back, widest
from polyfield.fields.networks.activations import LIMIT

ROWS = 4 * CHUNK
"""Points at a time."""
# Literals would be types of their own.
_FIRST, _ONE, _ROWS, _YES = np.int64(0), np.int64(1), np.int64(ROWS), np.bool_(True)
_ANY = np.empty(0, np.float32)
_LOW, _HIGH, _TOP = np.float32(-LIMIT), np.float32(LIMIT), np.float32(2 * LIMIT)

Network = tuple[Tensor, list[int]]


@njit(inline="always")
def _vectors(values, count, low, high):
    """The exponential of values[:count], clamped to low..high before, in place.

    Whole vectors are written.
    """
    for at in range(0, count, LANES):
        held = clamp(load(values, at, LANES), splat(low, LANES), splat(high, LANES))
        store(values, at, exponential(held, LANES))


@njit(inline="always")
def _seen(harmonics_at, v, at, directions, first, rows, outputs, degree, view, seen):
    """Inputs of the colour network: [v, SH(direction)] of rows into `seen`."""
    bands = degree * degree
    width = outputs + bands
    given = (_FIRST, _ONE, directions[3 * first : 3 * (first + rows)], view, degree)
    if not call(harmonics_at, given):
        raise MemoryError
    for r in range(rows):
        for c in range(outputs):
            seen[r * width + c] = v[at + r * outputs + c]
        for c in range(bands):
            seen[r * width + outputs + c] = view[r * bands + c]


@njit(cache=True, nogil=True)
def _forward(
    first, last, x, directions, density, rgb, v, encoded, low, inverse_size, contracted, degree,
    per_length, table, scales, resolutions, sizes, begins, hashed, smooth, dims, like,
    one, one_widths, one_layers, one_width, two, two_widths, two_layers, two_width, encode_at,
    apply_at, harmonics_at,
):  # fmt: skip
    n, width, outputs = density.size, scales.size * len(like), one_widths[-1]
    points = np.empty(3 * ROWS, np.float32)
    view = np.empty(degree * degree * ROWS, np.float32)
    seen = np.empty((outputs + degree * degree) * ROWS, np.float32)
    answer = np.empty(3 * ROWS + LANES, np.float32)
    for block in range(first, last):
        begin = block * ROWS
        rows = min(ROWS, n - begin)
        chunks = (rows + CHUNK - 1) // CHUNK
        for r in range(rows):
            i = 3 * (begin + r)
            place(x[i], x[i + 1], x[i + 2], low, inverse_size, contracted, points, 3 * r)
        features = encoded[begin * width : (begin + rows) * width]
        given = (_FIRST, _ONE, points[: 3 * rows], features, table, scales,
                 resolutions, sizes, begins, hashed, smooth, dims, like, _ROWS)  # fmt: skip
        if not call(encode_at, given):
            raise MemoryError
        feature = v[begin * outputs : (begin + rows) * outputs]
        given = (_FIRST, chunks, features, feature, one, one_widths, one_layers, one_width)
        if not call(apply_at, given):
            raise MemoryError
        _seen(
            harmonics_at, v, begin * outputs, directions, begin, rows, outputs, degree, view, seen
        )
        inputs = seen[: rows * (outputs + degree * degree)]
        given = (_FIRST, chunks, inputs, answer, two, two_widths, two_layers, two_width)
        if not call(apply_at, given):
            raise MemoryError
        for i in range(3 * rows):
            answer[i] = -answer[i]
        _vectors(answer, 3 * rows, -_TOP - _TOP, _TOP + _TOP)
        for i in range(3 * rows):
            rgb[3 * begin + i] = np.float32(1) / (np.float32(1) + answer[i])
        for r in range(rows):
            answer[r] = feature[r * outputs]
        _vectors(answer, rows, -_TOP - _TOP, _TOP)
        for r in range(rows):
            density[begin + r] = answer[r] * per_length


@njit(cache=True, nogil=True)
def _backward(
    first, last, of_density, of_rgb, of_v, x, directions, rgb, v, encoded, points, of_encoded, low,
    inverse_size, contracted, degree, per_length, one, one_turned, one_widths, one_layers,
    one_width, one_sums, two, two_turned, two_widths, two_layers, two_width, two_sums, pull_back_at,
    harmonics_at,
):  # fmt: skip
    n, width, outputs = of_density.size, one_widths[0], one_widths[-1]
    inputs = outputs + degree * degree
    view = np.empty(degree * degree * ROWS, np.float32)
    seen, of_seen = np.empty(inputs * ROWS, np.float32), np.empty(inputs * ROWS, np.float32)
    of_answer, of_feature = np.empty(3 * ROWS, np.float32), np.empty(outputs * ROWS, np.float32)
    slope = np.empty(ROWS + LANES, np.float32)
    blocks, tasks = (n + ROWS - 1) // ROWS, one_sums.shape[0]
    for task in range(first, last):
        mine_one, mine_two = one_sums[task : task + 1], two_sums[task : task + 1]
        for block in range(task * blocks // tasks, (task + 1) * blocks // tasks):
            begin = block * ROWS
            rows = min(ROWS, n - begin)
            for r in range(rows):
                i = 3 * (begin + r)
                place(x[i], x[i + 1], x[i + 2], low, inverse_size, contracted, points, i)
            for i in range(3 * rows):
                value = rgb[3 * begin + i]
                of_answer[i] = of_rgb[3 * begin + i] * value * (np.float32(1) - value)
            _seen(
                harmonics_at,
                v,
                begin * outputs,
                directions,
                begin,
                rows,
                outputs,
                degree,
                view,
                seen,
            )
            given = (_FIRST, _ONE, of_answer[: 3 * rows], seen[: inputs * rows],
                     of_seen[: inputs * rows], two, two_turned, two_widths,
                     two_layers, two_width, mine_two, _YES)  # fmt: skip
            if not call(pull_back_at, given):
                raise MemoryError
            for r in range(rows):
                slope[r] = v[(begin + r) * outputs]
            _vectors(slope, rows, _LOW, _HIGH)
            for r in range(rows):
                for c in range(outputs):
                    of_feature[r * outputs + c] = of_seen[r * inputs + c]
                of_feature[r * outputs] += of_density[begin + r] * slope[r] * per_length
            if of_v.size:
                for i in range(rows * outputs):
                    of_feature[i] += of_v[begin * outputs + i]
            given = (_FIRST, _ONE, of_feature[: rows * outputs], encoded[begin *
                     width : (begin + rows) * width], of_encoded[begin * width :
                     (begin + rows) * width], one, one_turned, one_widths,
                     one_layers, one_width, mine_one, _YES)  # fmt: skip
            if not call(pull_back_at, given):
                raise MemoryError


def _box(bounds: Tensor, contracted: bool) -> tuple[np.ndarray, np.ndarray, bool]:
    return bounds[0].numpy(), (1 / (bounds[1] - bounds[0])).numpy(), contracted


def forward(
    x: Tensor,
    directions: Tensor,
    grid: GridTable,
    box: tuple[Tensor, bool],
    degree: int,
    networks: tuple[Network, Network],
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """See `grid_radiance._grid_radiance`."""
    (one, one_widths), (two, two_widths) = networks
    n = len(x)
    density, rgb, v = dispatch.new(n), dispatch.new(n, 3), dispatch.new(n, one_widths[-1])
    encoded = dispatch.new(n, one_widths[0])
    if n:
        shape_one, matrices_one, _, layers_one = packed(one, one_widths, False)
        shape_two, matrices_two, _, layers_two = packed(two, two_widths, False)
        shape = geometry(grid.levels, grid.features, grid.smooth)
        width_one, width_two = widest(one_widths), widest(two_widths)
        parallel.run(
            _forward, -(-n // ROWS), dispatch.flat(x), dispatch.flat(directions),
            dispatch.flat(density), dispatch.flat(rgb), dispatch.flat(v), dispatch.flat(encoded),
            *_box(*box), degree, np.float32(1 / float((box[0][1] - box[0][0]).max())),
            dispatch.flat(grid.table), *shape, matrices_one, shape_one, layers_one, width_one,
            matrices_two, shape_two, layers_two, width_two,
            parallel.address_of(encode, _ANY, _ANY, _ANY, *shape, _ROWS),
            parallel.address_of(apply, _ANY, _ANY, matrices_one, shape_one, layers_one, width_one),
            parallel.address_of(harmonics, _ANY, _ANY, degree),
        )  # fmt: skip
    return density, rgb, v, encoded


def backward(
    grads: list[Tensor],
    found: list[Tensor],
    x: Tensor,
    directions: Tensor,
    grid: GridTable,
    box: tuple[Tensor, bool],
    degree: int,
    networks: tuple[Network, Network],
    need_table: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """See `grid_radiance._grid_radiance_backward`."""
    (one, one_widths), (two, two_widths) = networks
    _, rgb, v, encoded = found
    nothing = x.new_empty(0)
    if not len(x):
        of_table = torch.zeros_like(grid.table) if need_table else nothing
        return of_table, torch.zeros_like(one), torch.zeros_like(two)
    shape_one, matrices_one, turned_one, layers_one = packed(one, one_widths, False)
    shape_two, matrices_two, turned_two, layers_two = packed(two, two_widths, False)
    tasks = dispatch.threads()
    sums_one = np.zeros((tasks, matrices_one.size), np.float32)
    sums_two = np.zeros((tasks, matrices_two.size), np.float32)
    pull_back_at = parallel.address_of(
        pull_back, _ANY, _ANY, _ANY, matrices_one, turned_one, shape_one, layers_one,
        widest(one_widths), sums_one, True,
    )  # fmt: skip
    points, of_encoded = dispatch.new(*x.shape), dispatch.new(*encoded.shape)
    parallel.run(
        _backward, tasks, *(dispatch.flat(g) for g in grads), dispatch.flat(x),
        dispatch.flat(directions), dispatch.flat(rgb), dispatch.flat(v), dispatch.flat(encoded),
        dispatch.flat(points), dispatch.flat(of_encoded), *_box(*box), degree,
        np.float32(1 / float((box[0][1] - box[0][0]).max())), matrices_one, turned_one, shape_one,
        layers_one, widest(one_widths), sums_one, matrices_two, turned_two, shape_two, layers_two,
        widest(two_widths), sums_two, pull_back_at,
        parallel.address_of(harmonics, _ANY, _ANY, degree),
    )  # fmt: skip
    of_one, of_two = torch.empty_like(one), torch.empty_like(two)
    add_up(sums_one, shape_one, False, layers_one, dispatch.flat(of_one))
    add_up(sums_two, shape_two, False, layers_two, dispatch.flat(of_two))
    if not need_table:
        return nothing, of_one, of_two
    of_table = backward_table(
        of_encoded, points, grid.table, grid.levels, grid.features, grid.smooth
    )
    return of_table, of_one, of_two
