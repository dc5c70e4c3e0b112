"""A grid and a perceptron behind it as one op: y = mlp(grid(x)).

Source: Mueller et al. 2022, section 3. The grid and its symbols are in
encodings/kernels/hash_grid.py, the perceptron's in mlp.py.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from polyfield.backends import dispatch
from polyfield.backends.ops import no_gradient, op
from polyfield.encodings.grid_table import GridTable
from polyfield.encodings.kernels.hash_grid import Levels
from polyfield.fields.kernels.mlp import mlp

Perceptron = tuple[Float[Tensor, "p"], list[int], bool]
"""Weights, widths of the layers, and whether they have biases; see mlp.py."""


def reference(
    x: Float[Tensor, "n d"], grid: GridTable, network: Perceptron
) -> Float[Tensor, "n o"]:
    """The op composed of two: any dtype and device, gradients in x too."""
    return mlp(grid(x), *network)


def grid_mlp(x: Float[Tensor, "n d"], grid: GridTable, network: Perceptron) -> Float[Tensor, "n o"]:
    """Outputs of the perceptron for points in [0,1]^d (clamped).

    Without a gradient to come, and with one in x, the two run one after the other.
    """
    weights, widths, bias = network
    learned = torch.is_grad_enabled() and (grid.table.requires_grad or weights.requires_grad)
    if not learned or x.requires_grad or not dispatch.use_numba(x, grid.table, weights):
        return reference(x, grid, network)
    levels = grid.levels
    y: Tensor = _grid_mlp(
        x, grid.table, weights, list(levels.scales), list(levels.resolutions), list(levels.sizes),
        grid.features, grid.smooth, widths, bias,
    )[0]  # fmt: skip
    return y


@op("polyfield::grid_mlp", "cpu")
def _grid_mlp(
    x: Tensor,
    table: Tensor,
    weights: Tensor,
    scales: list[float],
    resolutions: list[int],
    sizes: list[int],
    features: int,
    smooth: bool,
    widths: list[int],
    bias: bool,
) -> tuple[Tensor, Tensor]:
    """Outputs, and the features of the grid, which the way back needs."""
    levels = Levels(x.shape[1], tuple(scales), tuple(resolutions), tuple(sizes))
    grid = GridTable(table, levels, features, smooth)
    return dispatch.kernel(__name__, x).forward(x, grid, (weights, widths, bias))


@torch.library.register_fake(_grid_mlp)
def _(
    x: Tensor,
    table: Tensor,
    weights: Tensor,
    scales: list[float],
    resolutions: list[int],
    sizes: list[int],
    features: int,
    smooth: bool,
    widths: list[int],
    bias: bool,
) -> tuple[Tensor, Tensor]:
    return x.new_empty(x.shape[0], widths[-1]), x.new_empty(x.shape[0], widths[0])


@op("polyfield::grid_mlp_backward", "cpu")
def _grid_mlp_backward(
    grad: Tensor,
    x: Tensor,
    table: Tensor,
    weights: Tensor,
    encoded: Tensor,
    scales: list[float],
    resolutions: list[int],
    sizes: list[int],
    features: int,
    smooth: bool,
    widths: list[int],
    bias: bool,
    need_table: bool,
) -> tuple[Tensor, Tensor]:
    """Gradients in the table, empty where it isn't needed, and in the weights."""
    levels = Levels(x.shape[1], tuple(scales), tuple(resolutions), tuple(sizes))
    grid = GridTable(table, levels, features, smooth)
    return dispatch.kernel(__name__, x).backward(
        grad, x, encoded, grid, (weights, widths, bias), need_table
    )


@torch.library.register_fake(_grid_mlp_backward)
def _(
    grad: Tensor,
    x: Tensor,
    table: Tensor,
    weights: Tensor,
    encoded: Tensor,
    scales: list[float],
    resolutions: list[int],
    sizes: list[int],
    features: int,
    smooth: bool,
    widths: list[int],
    bias: bool,
    need_table: bool,
) -> tuple[Tensor, Tensor]:
    of_table = torch.empty_like(table) if need_table else x.new_empty(0)
    return of_table, torch.empty_like(weights)


no_gradient(_grid_mlp_backward)


def _remember(ctx, inputs, output) -> None:  # type: ignore[no-untyped-def]
    x, table, weights, *ctx.shape = inputs
    ctx.save_for_backward(x, table, weights, output[1])
    ctx.set_materialize_grads(False)


def _backward(ctx, grad: Tensor | None, _: Tensor | None):  # type: ignore[no-untyped-def]
    if grad is None:
        return (None,) * 10
    needed = ctx.needs_input_grad[1:3]
    found = _grid_mlp_backward(grad.contiguous(), *ctx.saved_tensors, *ctx.shape, needed[0])
    wanted = (g if need else None for g, need in zip(found, needed, strict=True))
    return None, *wanted, *[None] * 7


torch.library.register_autograd(_grid_mlp, _backward, setup_context=_remember)
