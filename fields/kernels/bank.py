"""Many tiny perceptrons as one op: each row is for one of N networks of the same shape.

    h_0 = [extra, octaves(x)];  h_{l+1} = relu(h_l W_l + b_l);  y = h_L W_L + b_L

Source: Reiser et al. 2021 (KiloNeRF), section 3.3. Rows come sorted by network: those of network g
are offsets[g] .. offsets[g + 1] - 1. `weights` [N, p] has a row a network: for each layer W_l
[widths[l], widths[l+1]] row-major (inputs first, unlike `mlp`: products read it as it lies), then
b_l [widths[l+1]]. Networks without rows cost nothing and get a gradient of exactly 0.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from jaxtyping import Float, Int64
from torch import Tensor
from torch.nn import functional

from polyfield.backends import dispatch
from polyfield.backends.ops import no_gradient, op
from polyfield.fields.kernels.mlp import on_gpu
from polyfield.fields.networks.octaves import octaves as encode


def size(widths: list[int]) -> int:
    """p, values a network."""
    return sum(o * i + o for i, o in pairwise(widths))


def layers(weights: Float[Tensor, "*g p"], widths: list[int]) -> list[tuple[Tensor, Tensor]]:
    """Views of the parameters: (W [*g, in, out], b [*g, out]) of each layer."""
    views, at = [], 0
    for i, o in pairwise(widths):
        matrix = weights[..., at : at + i * o].unflatten(-1, (i, o))
        at += i * o
        views.append((matrix, weights[..., at : at + o]))
        at += o
    return views


def group(
    network: Int64[Tensor, "n"], count: int, fast: bool
) -> tuple[Int64[Tensor, "n"], Int64[Tensor, "m"]]:
    """Sort rows by network, stably.

    Args:
        network: number of each row's network, 0 to count - 1.
        count: N, how many networks there are.
        fast: whether to use the kernel, if there is one.

    Returns:
        The rows' numbers in sorted order, and offsets [N + 1].
    """
    if fast and network.device.type == "cpu":
        return _group(network, count)
    # Searched, not counted: torch's bincount makes the host wait for a GPU.
    ranked, order = network.sort(stable=True)
    bounds = torch.arange(count + 1, device=network.device)
    return order, torch.searchsorted(ranked, bounds)


@op("polyfield::bank_group", "cpu")
def _group(network: Tensor, count: int) -> tuple[Tensor, Tensor]:
    from polyfield.fields.kernels import bank_numba

    return bank_numba.group(network, count)


@torch.library.register_fake(_group)
def _(network: Tensor, count: int) -> tuple[Tensor, Tensor]:
    return torch.empty_like(network), network.new_empty(count + 1)


no_gradient(_group)


def reference(
    x: Float[Tensor, "n d"],
    extra: Float[Tensor, "n e"],
    weights: Float[Tensor, "g p"],
    offsets: Int64[Tensor, "m"],
    widths: list[int],
    octaves: int,
) -> Float[Tensor, "n o"]:
    """The op in plain torch: a loop over the networks that have rows."""
    waves = encode(x, octaves)
    inputs = torch.cat([extra[:, : widths[0] - waves.shape[1]], waves], -1)
    ends = offsets.tolist()
    # No rows, but tied to what the others depend on: without any rows gradients are 0.
    outputs = [(inputs[:0, :1] * weights[:1, :1]).expand(0, widths[-1])]
    # Not weights[g]: each such view would get a gradient as large as all networks together.
    for own, begin, end in zip(weights.unbind(), ends, ends[1:], strict=False):
        if begin == end:
            continue
        h = inputs[begin:end]
        stack = layers(own, widths)
        for matrix, offset in stack[:-1]:
            h = functional.relu(torch.addmm(offset, h, matrix))
        outputs.append(torch.addmm(stack[-1][1], h, stack[-1][0]))
    return torch.cat(outputs)


def bank(
    x: Float[Tensor, "n d"],
    extra: Float[Tensor, "n e"] | None,
    weights: Float[Tensor, "g p"],
    offsets: Int64[Tensor, "m"],
    widths: list[int],
    octaves: int,
) -> Float[Tensor, "n o"]:
    """Apply each row's network to it.

    Args:
        x: [n, d], coordinates that the networks see as octaves; rows sorted by network.
        extra: [n, e], further inputs: the first widths[0] - d (2 octaves + 1) columns are used;
            None if there are none.
        weights: [N, size(widths)], the layout of the module docstring.
        offsets: [N + 1], where each network's rows begin, and n.
        widths: input, hidden ..., output widths.
        octaves: F of the positional encoding of x.

    Returns:
        [n, widths[-1]].
    """
    extra = x.new_empty(x.shape[0], 0) if extra is None else extra
    if dispatch.use_numba(x, extra, weights) or on_gpu(__name__, x, weights, widths):
        return _bank(x, extra, weights, offsets, widths, octaves)
    return reference(x, extra, weights, offsets, widths, octaves)


@op("polyfield::bank")
def _bank(
    x: Tensor, extra: Tensor, weights: Tensor, offsets: Tensor, widths: list[int], octaves: int
) -> Tensor:
    kernel = dispatch.kernel(__name__, x, weights)
    return kernel.forward(x, extra, weights, offsets, widths, octaves)


@torch.library.register_fake(_bank)
def _(
    x: Tensor, extra: Tensor, weights: Tensor, offsets: Tensor, widths: list[int], octaves: int
) -> Tensor:
    return x.new_empty(x.shape[0], widths[-1])


@op("polyfield::bank_backward")
def _bank_backward(
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
    """Gradients in x, extra (an empty tensor for one that isn't needed) and weights."""
    kernel = dispatch.kernel(__name__, x, weights)
    return kernel.backward(grad, x, extra, weights, offsets, widths, octaves, need_x, need_extra)


@torch.library.register_fake(_bank_backward)
def _(
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
    return (
        torch.empty_like(x) if need_x else x.new_empty(0),
        torch.empty_like(extra) if need_extra else x.new_empty(0),
        torch.empty_like(weights),
    )


no_gradient(_bank_backward)


def _remember(ctx, inputs, output) -> None:  # type: ignore[no-untyped-def]
    x, extra, weights, offsets, ctx.widths, ctx.octaves = inputs
    ctx.save_for_backward(x, extra, weights, offsets)


def _backward(ctx, grad: Tensor):  # type: ignore[no-untyped-def]
    need_x, need_extra = ctx.needs_input_grad[:2]
    dx, dextra, dw = _bank_backward(
        grad.contiguous(), *ctx.saved_tensors, ctx.widths, ctx.octaves, need_x, need_extra
    )
    return (dx if need_x else None), (dextra if need_extra else None), dw, None, None, None


torch.library.register_autograd(_bank, _backward, setup_context=_remember)
