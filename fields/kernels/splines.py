"""A layer of B-splines and SiLU, a learned function of one variable on every edge, as one op.

    y_o = sum_i w_oi SiLU(x_i) + sum_j c_oij B_j(x_i)

Symbols: layer i -> o; G cells of width h = 2/G in [-1,1], order k, B_j the G + k B-splines on the
grid extended by k cells. A point lies in one cell, where k + 1 splines are not 0: the kernel
multiplies by these alone.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from polyfield.backends import dispatch
from polyfield.backends.ops import op


def b_splines(x: Float[Tensor, "*n"], cells: int, order: int) -> Float[Tensor, "*n b"]:
    """The cells + order B-splines at x, 0 beyond the extended grid.

    They sum to 1 in [-1,1]. On equal cells de Boor's recursion has constant denominators and only
    order + 1 splines are not 0, so these alone are worked out.
    """
    total = cells + 2 * order
    t = (x + 1) * (cells / 2) + order
    cell = t.detach().floor().clamp(0, total - 1)
    inside = (t >= 0) & (t < total)
    r = t - cell
    local = [torch.ones_like(r)]
    for d in range(1, order + 1):
        carried, raised = torch.zeros_like(r), []
        for j, value in enumerate(local):
            share = value / d
            raised.append(carried + (j + 1 - r) * share)
            carried = (r + (d - 1 - j)) * share
        local = [*raised, carried]
    values = torch.stack(local, -1) * inside[..., None]
    at = cell.long()[..., None] + torch.arange(order + 1, device=x.device)
    spread = values.new_zeros(*x.shape, total + order).scatter(-1, at, values)
    return spread[..., order : order + cells + order]


def reference(
    x: Float[Tensor, "n i"],
    base: Float[Tensor, "o i"],
    weights: Float[Tensor, "o i b"],
    cells: int,
    order: int,
) -> Float[Tensor, "n o"]:
    """The op in plain torch: any dtype and device, differentiable any number of times."""
    curves = functional.linear(b_splines(x, cells, order).flatten(1), weights.flatten(1))
    return functional.linear(functional.silu(x), base) + curves


def splines(
    x: Float[Tensor, "n i"],
    base: Float[Tensor, "o i"],
    weights: Float[Tensor, "o i b"],
    cells: int,
    order: int,
) -> Float[Tensor, "n o"]:
    """Apply the layer to rows of x.

    Args:
        x: [n, i]; in [-1,1], beyond the extended grid all splines are 0.
        base: w, [o, i].
        weights: c, [o, i, cells + order].
        cells: G.
        order: k, 1 or more.

    Returns:
        [n, o].
    """
    if dispatch.use_numba(x, base, weights):
        return _splines(x, base, weights, cells, order)
    return reference(x, base, weights, cells, order)


@op("polyfield::splines", "cpu")
def _splines(x: Tensor, base: Tensor, weights: Tensor, cells: int, order: int) -> Tensor:
    from polyfield.fields.kernels import splines_numba

    return splines_numba.forward(x, base, weights, cells, order)


@torch.library.register_fake(_splines)
def _(x: Tensor, base: Tensor, weights: Tensor, cells: int, order: int) -> Tensor:
    return x.new_empty(x.shape[0], weights.shape[0])


@op("polyfield::splines_backward", "cpu")
def _splines_backward(
    grad: Tensor, x: Tensor, base: Tensor, weights: Tensor, cells: int, order: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of sum(grad * splines(x)) in x, base and weights."""
    from polyfield.fields.kernels import splines_numba

    return splines_numba.backward(grad, x, base, weights, cells, order)


@torch.library.register_fake(_splines_backward)
def _(
    grad: Tensor, x: Tensor, base: Tensor, weights: Tensor, cells: int, order: int
) -> tuple[Tensor, Tensor, Tensor]:
    return torch.empty_like(x), torch.empty_like(base), torch.empty_like(weights)


def _remember(ctx, inputs, output) -> None:  # type: ignore[no-untyped-def]
    x, base, weights, *ctx.numbers = inputs
    ctx.save_for_backward(x, base, weights)


def _backward(ctx, grad: Tensor):  # type: ignore[no-untyped-def]
    return *_splines_backward(grad, *ctx.saved_tensors, *ctx.numbers), None, None


def _remember_backward(ctx, inputs, output) -> None:  # type: ignore[no-untyped-def]
    grad, x, base, weights, *ctx.numbers = inputs
    ctx.save_for_backward(grad, x, base, weights)


def _backward_twice(ctx, *along: Tensor):  # type: ignore[no-untyped-def]
    """Gradients of the gradients, by the reference: losses on slopes need them."""
    with torch.enable_grad():
        leaves = [tensor.detach().requires_grad_() for tensor in ctx.saved_tensors]
        grad, *wanted = leaves
        y = reference(*wanted, *ctx.numbers)
        first = torch.autograd.grad(y, wanted, grad, create_graph=True)
        found = torch.autograd.grad(first, leaves, along, allow_unused=True)
    return *found, None, None


torch.library.register_autograd(_splines, _backward, setup_context=_remember)
torch.library.register_autograd(
    _splines_backward, _backward_twice, setup_context=_remember_backward
)
