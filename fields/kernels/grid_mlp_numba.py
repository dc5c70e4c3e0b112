"""The CPU kernels of `grid_mlp`: ROWS points at a time go through both while in cache."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from polyfield.backends import dispatch, parallel
from polyfield.backends.jit import njit
from polyfield.backends.parallel import call
from polyfield.encodings.grid_table import GridTable
from polyfield.encodings.kernels.hash_grid_numba import backward_table, encode, geometry
from polyfield.fields.kernels.grid_mlp import Perceptron
from polyfield.fields.kernels.mlp_numba import CHUNK, add_up, apply, packed, pull_back, widest

ROWS = 4 * CHUNK
"""Points at a time."""
# Literals would be types of their own.
_FIRST, _ONE, _ROWS = np.int64(0), np.int64(1), np.int64(ROWS)
_ANY = np.empty(0, np.float32)


@njit(cache=True, nogil=True)
def _forward(
    first, last, x, y, encoded, table, scales, resolutions, sizes, begins, hashed, smooth, dims,
    like, matrices, widths, layers, scratch_width, encode_at, apply_at,
):  # fmt: skip
    d, width, outputs = len(dims), widths[0], widths[-1]
    n = x.size // d
    for block in range(first, last):
        begin = block * ROWS
        end = min(n, begin + ROWS)
        features = encoded[begin * width : end * width]
        given = (_FIRST, _ONE, x[begin * d : end * d], features, table, scales,
                 resolutions, sizes, begins, hashed, smooth, dims, like, _ROWS)  # fmt: skip
        if not call(encode_at, given):
            raise MemoryError
        chunks = (end - begin + CHUNK - 1) // CHUNK
        given = (_FIRST, chunks, features, y[begin * outputs : end * outputs],
                 matrices, widths, layers, scratch_width)  # fmt: skip
        if not call(apply_at, given):
            raise MemoryError


def forward(x: Tensor, grid: GridTable, network: Perceptron) -> tuple[Tensor, Tensor]:
    """See `grid_mlp._grid_mlp`."""
    weights, widths, bias = network
    n = len(x)
    y, encoded = dispatch.new(n, widths[-1]), dispatch.new(n, widths[0])
    if n:
        shape, matrices, _, layers = packed(weights, widths, bias)
        levels, width = geometry(grid.levels, grid.features, grid.smooth), widest(widths)
        parallel.run(
            _forward, -(-n // ROWS), dispatch.flat(x), dispatch.flat(y), dispatch.flat(encoded),
            dispatch.flat(grid.table), *levels, matrices, shape, layers, width,
            parallel.address_of(encode, _ANY, _ANY, _ANY, *levels, _ROWS),
            parallel.address_of(apply, _ANY, _ANY, matrices, shape, layers, width),
        )  # fmt: skip
    return y, encoded


def backward(
    grad: Tensor,
    x: Tensor,
    encoded: Tensor,
    grid: GridTable,
    network: Perceptron,
    need_table: bool,
) -> tuple[Tensor, Tensor]:
    """See `grid_mlp._grid_mlp_backward`."""
    weights, widths, bias = network
    nothing = x.new_empty(0)
    if not len(x):
        return torch.zeros_like(grid.table) if need_table else nothing, torch.zeros_like(weights)
    shape, matrices, turned, layers = packed(weights, widths, bias)
    tasks = dispatch.threads()
    sums = np.zeros((tasks, matrices.size), np.float32)
    of_encoded = dispatch.new(*encoded.shape) if need_table else nothing
    of_weights = torch.empty_like(weights)
    parallel.run(
        pull_back, tasks, dispatch.flat(grad), dispatch.flat(encoded), dispatch.flat(of_encoded),
        matrices, turned, shape, layers, widest(widths), sums, need_table,
    )  # fmt: skip
    add_up(sums, shape, bias, layers, dispatch.flat(of_weights))
    if not need_table:
        return nothing, of_weights
    of_table = backward_table(of_encoded, x, grid.table, grid.levels, grid.features, grid.smooth)
    return of_table, of_weights
