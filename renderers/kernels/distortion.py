"""How spread the weights of rays are, as one op: mip-NeRF 360's distortion.

Source: Barron et al. 2022 (mip-NeRF 360, eq. 15), in linear time by running sums as in Sun et al.
2022 (DVGO v2). Symbols, for the samples i of one ray, front to back: [a_i, b_i] its interval, w_i
its weight (see `composite`), s(t) = t / (t + L), which is in [0, 1) however far t is, m_i the
middle of s(a_i) and s(b_i). The result is the mean over rays of

    sum_ij w_i w_j |m_i - m_j| + 1/3 sum_i w_i^2 (s(b_i) - s(a_i)).

`offsets` [r + 1] bound each ray's samples in the packed arrays.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from polyfield.backends import dispatch
from polyfield.backends.ops import no_gradient, op
from polyfield.renderers.kernels.composite import ray_index, weights


def reference(
    density: Float[Tensor, "n"],
    start: Float[Tensor, "n"],
    end: Float[Tensor, "n"],
    offsets: Int64[Tensor, "r1"],
    length: float,
) -> Float[Tensor, ""]:
    """The op in plain torch: any dtype and device, differentiable any number of times."""
    weight, _ = weights(density, end - start, offsets)
    ray = ray_index(offsets, len(density))
    near, far = start / (start + length), end / (end + length)
    middle = (near + far) / 2
    before, moment = _before(weight, offsets, ray), _before(weight * middle, offsets, ray)
    # Each pair once: all j before i are nearer.
    pairs = 2 * weight * (middle * before - moment)
    alone = weight.square() * (far - near) / 3
    return (pairs + alone).sum() / max(1, len(offsets) - 1)


def _before(
    value: Float[Tensor, "n"], offsets: Int64[Tensor, "r1"], ray: Int64[Tensor, "n"]
) -> Float[Tensor, "n"]:
    """The sum over the samples of the same ray that come before each."""
    # A running sum over all rays loses digits in float32, so it is carried in float64.
    total = torch.cumsum(value, 0, dtype=torch.float64)
    start = torch.cat([total.new_zeros(1), total])[offsets[:-1]]
    return (total - value - start[ray]).to(value.dtype)


def distortion(
    density: Float[Tensor, "n"],
    start: Float[Tensor, "n"],
    end: Float[Tensor, "n"],
    offsets: Int64[Tensor, "r1"],
    length: float,
) -> Float[Tensor, ""]:
    """The distortion of packed samples, the mean over rays; 0 where there are no samples.

    The fast kernel has no gradient in start and end: where one needs it, the reference runs.

    Args:
        density: [n], >= 0, per world unit.
        start: [n], t where each interval begins, world units.
        end: [n], t where it ends.
        offsets: [r + 1], non-decreasing from 0 to n.
        length: L, world units.
    """
    placed = start.requires_grad or end.requires_grad
    if placed or not dispatch.use_numba(density, start, end):
        return reference(density, start, end, offsets, length)
    return _distortion(density, start, end, offsets, length)


@op("polyfield::distortion", "cpu")
def _distortion(
    density: Tensor, start: Tensor, end: Tensor, offsets: Tensor, length: float
) -> Tensor:
    from polyfield.renderers.kernels import distortion_numba

    return distortion_numba.forward(density, start, end, offsets, length)


@torch.library.register_fake(_distortion)
def _(density: Tensor, start: Tensor, end: Tensor, offsets: Tensor, length: float) -> Tensor:
    return density.new_empty(())


@op("polyfield::distortion_backward", "cpu")
def _distortion_backward(
    grad: Tensor, density: Tensor, start: Tensor, end: Tensor, offsets: Tensor, length: float
) -> Tensor:
    """Gradient of grad * distortion(...) in density [n]."""
    from polyfield.renderers.kernels import distortion_numba

    return distortion_numba.backward(grad, density, start, end, offsets, length)


@torch.library.register_fake(_distortion_backward)
def _(
    grad: Tensor, density: Tensor, start: Tensor, end: Tensor, offsets: Tensor, length: float
) -> Tensor:
    return torch.empty_like(density)


no_gradient(_distortion_backward)


def _remember(ctx, inputs, output) -> None:  # type: ignore[no-untyped-def]
    *tensors, ctx.length = inputs
    ctx.save_for_backward(*tensors)


def _backward(ctx, grad: Tensor):  # type: ignore[no-untyped-def]
    return _distortion_backward(grad, *ctx.saved_tensors, ctx.length), None, None, None, None


torch.library.register_autograd(_distortion, _backward, setup_context=_remember)
