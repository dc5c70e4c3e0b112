"""A small multi-layer perceptron as one op: ReLU between layers, none after the last.

    h_0 = x;  h_{l+1} = relu(W_l h_l + b_l);  y = W_L h_L + b_L

`weights` is one flat vector: for each layer W_l [widths[l+1], widths[l]] row-major, then b_l
[widths[l+1]] if `bias`.
This is the layout of tiny-cuda-nn's networks (which have no biases), so weights can move both ways.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from polyfield.backends import dispatch
from polyfield.backends.ops import op


def size(widths: list[int], bias: bool) -> int:
    """Values in `weights` for layers of these widths."""
    return sum(o * i + (o if bias else 0) for i, o in pairwise(widths))


def layers(
    weights: Float[Tensor, "p"], widths: list[int], bias: bool
) -> list[tuple[Tensor, Tensor | None]]:
    """Views of the flat vector: (W [out, in], b [out] or None) of each layer."""
    views, at = [], 0
    for i, o in pairwise(widths):
        matrix = weights[at : at + o * i].view(o, i)
        at += o * i
        views.append((matrix, weights[at : at + o] if bias else None))
        at += o if bias else 0
    return views


def reference(
    x: Float[Tensor, "n i"], weights: Float[Tensor, "p"], widths: list[int], bias: bool
) -> Float[Tensor, "n o"]:
    """The op in plain torch: any dtype and device, differentiable any number of times."""
    stack = layers(weights, widths, bias)
    for matrix, offset in stack[:-1]:
        x = functional.relu(functional.linear(x, matrix, offset))
    matrix, offset = stack[-1]
    return functional.linear(x, matrix, offset)


def on_gpu(op: str, x: Tensor, weights: Tensor, widths: list[int]) -> bool:
    """Whether the GPU kernel of `op`, this module or the bank's, runs and takes these widths.

    Wide layers are faster as torch's own products.
    """
    return dispatch.use_triton(op, x, weights) and dispatch.kernel(op, x, weights).fits(widths)


def mlp(
    x: Float[Tensor, "n i"], weights: Float[Tensor, "p"], widths: list[int], bias: bool = False
) -> Float[Tensor, "n o"]:
    """Apply the perceptron to rows of x.

    Args:
        x: [n, widths[0]].
        weights: [size(widths, bias)], the layout of the module docstring.
        widths: input, hidden ..., output widths.
        bias: whether each layer has a bias.

    Returns:
        [n, widths[-1]].
    """
    if dispatch.use_numba(x, weights) or on_gpu(__name__, x, weights, widths):
        return _mlp(x, weights, widths, bias)
    return reference(x, weights, widths, bias)


@op("polyfield::mlp")
def _mlp(x: Tensor, weights: Tensor, widths: list[int], bias: bool) -> Tensor:
    return dispatch.kernel(__name__, x, weights).forward(x, weights, widths, bias)


@torch.library.register_fake(_mlp)
def _(x: Tensor, weights: Tensor, widths: list[int], bias: bool) -> Tensor:
    return x.new_empty(x.shape[0], widths[-1])


@op("polyfield::mlp_backward")
def _mlp_backward(
    grad: Tensor, x: Tensor, weights: Tensor, widths: list[int], bias: bool, need_x: bool
) -> tuple[Tensor, Tensor]:
    """Gradients of sum(grad * mlp(x)) in x ([n, i], or empty unless need_x) and in weights [p]."""
    kernel = dispatch.kernel(__name__, x, weights)
    return kernel.backward(grad, x, weights, widths, bias, need_x)


@torch.library.register_fake(_mlp_backward)
def _(
    grad: Tensor, x: Tensor, weights: Tensor, widths: list[int], bias: bool, need_x: bool
) -> tuple[Tensor, Tensor]:
    return torch.empty_like(x) if need_x else x.new_empty(0), torch.empty_like(weights)


def _remember_backward(ctx, inputs, output) -> None:  # type: ignore[no-untyped-def]
    grad, x, weights, ctx.widths, ctx.bias, ctx.need_x = inputs
    ctx.save_for_backward(grad, x, weights)


def _backward_twice(ctx, along_x: Tensor, along_weights: Tensor):  # type: ignore[no-untyped-def]
    """Gradients of the gradients, by the reference: losses on derivatives need them."""
    with torch.enable_grad():
        leaves = [tensor.detach().requires_grad_() for tensor in ctx.saved_tensors]
        grad, x, weights = leaves
        y = reference(x, weights, ctx.widths, ctx.bias)
        wanted = [x, weights] if ctx.need_x else [weights]
        along = [along_x, along_weights] if ctx.need_x else [along_weights]
        first = torch.autograd.grad(y, wanted, grad, create_graph=True)
        found = torch.autograd.grad(first, leaves, along, allow_unused=True)
    return *found, None, None, None


torch.library.register_autograd(_mlp_backward, _backward_twice, setup_context=_remember_backward)


def _remember(ctx, inputs, output) -> None:  # type: ignore[no-untyped-def]
    x, weights, ctx.widths, ctx.bias = inputs
    ctx.save_for_backward(x, weights)


def _backward(ctx, grad: Tensor):  # type: ignore[no-untyped-def]
    x, weights = ctx.saved_tensors
    need_x = ctx.needs_input_grad[0]
    dx, dw = _mlp_backward(grad, x, weights, ctx.widths, ctx.bias, need_x)
    return (dx if need_x else None), dw, None, None


torch.library.register_autograd(_mlp, _backward, setup_context=_remember)
