"""Volume rendering of packed samples as one op.

Source: Mildenhall et al. 2020, eq. 3 (Max 1995). Symbols, for the samples i of one ray, front to
back: density s_i, length d_i, optical thickness a_i = s_i d_i, transmittance
T_i = exp(-sum_{j<i} a_j), weight w_i = T_i (1 - exp(-a_i)), value v_i. The result is sum_i w_i v_i
and sum_i w_i. `offsets` [r + 1] bound each ray's samples in the packed arrays.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from polyfield.backends import dispatch
from polyfield.backends.ops import no_gradient, op


def ray_index(offsets: Int64[Tensor, "r1"], n: int) -> Int64[Tensor, "n"]:
    """The ray of each packed sample; with n, their number, the host need not wait for a GPU."""
    counts = offsets.diff()
    rays = torch.arange(len(counts), device=counts.device)
    return torch.repeat_interleave(rays, counts, output_size=n)


def weights(
    density: Float[Tensor, "n"], length: Float[Tensor, "n"], offsets: Int64[Tensor, "r1"]
) -> tuple[Float[Tensor, "n"], Float[Tensor, "n"]]:
    """Weight and transmittance of each sample, in plain torch."""
    ray = ray_index(offsets, len(density))
    # exp(-200) is 0 in float32; a larger thickness would drown those of the rays after it.
    thickness = (density * length).clamp(max=200)
    # A running sum over all rays loses digits in float32, so it is carried in float64.
    total = torch.cumsum(thickness, 0, dtype=torch.float64)
    before = total - thickness
    start = torch.cat([total.new_zeros(1), total])[offsets[:-1]]
    transmittance = torch.exp(start[ray] - before).to(density.dtype)
    return transmittance * -torch.expm1(-thickness), transmittance


def reference(
    values: Float[Tensor, "n c"],
    density: Float[Tensor, "n"],
    length: Float[Tensor, "n"],
    offsets: Int64[Tensor, "r1"],
) -> tuple[Float[Tensor, "r c"], Float[Tensor, "r"]]:
    """The op in plain torch: any dtype and device, differentiable any number of times."""
    weight, _ = weights(density, length, offsets)
    ray, rays = ray_index(offsets, len(density)), len(offsets) - 1
    total = values.new_zeros(rays, values.shape[1]).index_add(0, ray, weight[:, None] * values)
    opacity = weight.new_zeros(rays).index_add(0, ray, weight)
    # Rounding may lead a hair beyond 1; gradients are those of the sum.
    return total, opacity - (opacity.detach() - 1).clamp(min=0)


def composite(
    values: Float[Tensor, "n c"],
    density: Float[Tensor, "n"],
    length: Float[Tensor, "n"],
    offsets: Int64[Tensor, "r1"],
) -> tuple[Float[Tensor, "r c"], Float[Tensor, "r"]]:
    """Blend packed samples front to back.

    Args:
        values: [n, c], what is blended (colour, depth ...).
        density: [n], >= 0, per world unit.
        length: [n], world units. Has no gradient.
        offsets: [r + 1], non-decreasing from 0 to n.

    Returns:
        (blended values [r, c], opacity [r] in [0, 1]).
    """
    if length.requires_grad or not dispatch.fast(__name__, values, density, length):
        return reference(values, density, length, offsets)
    return _composite(values, density, length, offsets)


@op("polyfield::composite")
def _composite(
    values: Tensor, density: Tensor, length: Tensor, offsets: Tensor
) -> tuple[Tensor, Tensor]:
    return dispatch.kernel(__name__, values, density).forward(values, density, length, offsets)


@torch.library.register_fake(_composite)
def _(values: Tensor, density: Tensor, length: Tensor, offsets: Tensor) -> tuple[Tensor, Tensor]:
    rays = offsets.shape[0] - 1
    return values.new_empty(rays, values.shape[1]), values.new_empty(rays)


@op("polyfield::composite_backward")
def _composite_backward(
    grad: Tensor,
    grad_opacity: Tensor,
    values: Tensor,
    density: Tensor,
    length: Tensor,
    offsets: Tensor,
) -> tuple[Tensor, Tensor]:
    """Gradients in values [n, c] and density [n]."""
    kernel = dispatch.kernel(__name__, values, density)
    return kernel.backward(grad, grad_opacity, values, density, length, offsets)


@torch.library.register_fake(_composite_backward)
def _(
    grad: Tensor,
    grad_opacity: Tensor,
    values: Tensor,
    density: Tensor,
    length: Tensor,
    offsets: Tensor,
) -> tuple[Tensor, Tensor]:
    return torch.empty_like(values), torch.empty_like(density)


no_gradient(_composite_backward)


def _remember(ctx, inputs, output) -> None:  # type: ignore[no-untyped-def]
    ctx.save_for_backward(*inputs)


def _backward(ctx, grad: Tensor, grad_opacity: Tensor):  # type: ignore[no-untyped-def]
    dvalues, ddensity = _composite_backward(
        grad.contiguous(), grad_opacity.contiguous(), *ctx.saved_tensors
    )
    return dvalues, ddensity, None, None


torch.library.register_autograd(_composite, _backward, setup_context=_remember)
