"""The CPU kernels of `grid_mlp`: ROWS points at a time go through both while in cache."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from polyfield.backends import dispatch, parallel
from polyfield.backends.jit import njit
from polyfield.encodings.grid_table import GridTable
from polyfield.encodings.kernels.hash_grid_numba import backward_table, encode, geometry
from polyfield.fields.kernels.grid_mlp import Perceptron
from polyfield.fields.kernels.mlp_numba import CHUNK, add_up, apply, packed, pull_back, widest

ROWS = 4 * CHUNK
"""Points at a time."""


@njit(cache=True, nogil=True)
def _forward(
    first, last, x, y, encoded, table, scales, resolutions, sizes, begins, hashed, smooth, dims,
    like, matrices, widths, layers, scratch_width,
):  # fmt: skip
    d, width, outputs = len(dims), widths[0], widths[-1]
    n = x.size // d
    for block in range(first, last):
        begin = block * ROWS
        end = min(n, begin + ROWS)
        features = encoded[begin * width : end * width]
        encode(0, 1, x[begin * d : end * d], features, table, scales, resolutions, sizes, begins,
               hashed, smooth, dims, like, ROWS)  # fmt: skip
        apply(0, (end - begin + CHUNK - 1) // CHUNK, features, y[begin * outputs : end * outputs],
              matrices, widths, layers, scratch_width)  # fmt: skip


def forward(x: Tensor, grid: GridTable, network: Perceptron) -> tuple[Tensor, Tensor]:
    """See `grid_mlp._grid_mlp`."""
    weights, widths, bias = network
    n = len(x)
    y, encoded = dispatch.new(n, widths[-1]), dispatch.new(n, widths[0])
    if n:
        shape, matrices, _, layers = packed(weights, widths, bias)
        parallel.run(
            _forward, -(-n // ROWS), dispatch.flat(x), dispatch.flat(y), dispatch.flat(encoded),
            dispatch.flat(grid.table), *geometry(grid.levels, grid.features, grid.smooth),
            matrices, shape, layers, widest(widths),
        )  # fmt: skip
    return y, encoded


def backward(
    grad: Tensor, x: Tensor, encoded: Tensor, grid: GridTable, network: Perceptron
) -> tuple[Tensor, Tensor]:
    """See `grid_mlp._grid_mlp_backward`."""
    weights, widths, bias = network
    if not len(x):
        return torch.zeros_like(grid.table), torch.zeros_like(weights)
    shape, matrices, turned, layers = packed(weights, widths, bias)
    tasks = dispatch.threads()
    sums = np.zeros((tasks, matrices.size), np.float32)
    of_encoded, of_weights = dispatch.new(*encoded.shape), torch.empty_like(weights)
    parallel.run(
        pull_back, tasks, dispatch.flat(grad), dispatch.flat(encoded), dispatch.flat(of_encoded),
        matrices, turned, shape, layers, widest(widths), sums, True,
    )  # fmt: skip
    add_up(sums, shape, bias, layers, dispatch.flat(of_weights))
    of_table = backward_table(of_encoded, x, grid.table, grid.levels, grid.features, grid.smooth)
    return of_table, of_weights
