"""Features of a point from its K nearest anisotropic radial kernels, as one op.

    q_k = sum_{i <= j} s_kij (x_i - c_ki)(x_j - c_kj);  phi_k = 1 / (1 + q_k)
    p_k = phi_k / (sum_k phi_k + 1e-8), the sum without a gradient, or p_k = phi_k
    f_j = sum_k w_kj sin(p_k m_j), or sum_k w_kj p_k

Source: Chen et al. 2023 (NeuRBF), sections 3.2 and 3.3, and its released code. Symbols: c_k centre;
s_k shape, the upper triangle row by row of the matrix A of the quadratic form, off-diagonal entries
doubled; w_k the C weights of a kernel; m_j multiplier of channel j. Centres and shapes are frozen:
they get no gradient.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from polyfield.backends import dispatch
from polyfield.backends.ops import no_gradient, op

EPS = 1e-8


def pairs(dim: int) -> list[tuple[int, int]]:
    """The axes i <= j of each value of a shape."""
    return [(i, j) for i in range(dim) for j in range(i, dim)]


def shares(
    x: Float[Tensor, "n d"],
    index: Int64[Tensor, "n K"],
    centres: Float[Tensor, "M d"],
    shapes: Float[Tensor, "M s"],
    normalise: bool,
) -> Float[Tensor, "n K"]:
    """The p of each neighbour, in plain torch."""
    offset = x[:, None, :] - centres[index]
    shape = shapes[index]
    form = torch.zeros_like(offset[..., 0])
    for at, (i, j) in enumerate(pairs(x.shape[1])):
        form = form + shape[..., at] * offset[..., i] * offset[..., j]
    phi = 1 / (1 + form)
    return phi / (phi.detach().sum(-1, keepdim=True) + EPS) if normalise else phi


def reference(
    x: Float[Tensor, "n d"],
    index: Int64[Tensor, "n K"],
    kernels: tuple[Tensor, Tensor],
    weights: Float[Tensor, "M C"],
    multipliers: Float[Tensor, "m"],
    normalise: bool,
) -> Float[Tensor, "n C"]:
    """The op in plain torch: any dtype and device, differentiable in x and the weights."""
    share = shares(x, index, *kernels, normalise)[..., None]
    wave = (share * multipliers).sin() if multipliers.numel() else share
    return (weights[index] * wave).sum(1)


def rbf(
    x: Float[Tensor, "n d"],
    index: Int64[Tensor, "n K"],
    kernels: tuple[Tensor, Tensor],
    weights: Float[Tensor, "M C"],
    multipliers: Float[Tensor, "m"],
    normalise: bool = True,
) -> Float[Tensor, "n C"]:
    """Features from the neighbours of each point.

    The fast kernel has no gradient in x: where x needs one, the reference runs.

    Args:
        x: [n, d], d = 2 or 3.
        index: [n, K] the kernels near each point.
        kernels: centres [M, d] and shapes [M, d (d + 1) / 2].
        weights: [M, C].
        multipliers: [C] m, or empty for features without sines.
        normalise: divide by the sum over neighbours.

    Returns:
        [n, C].
    """
    if x.requires_grad or not dispatch.use_numba(x, *kernels, weights, multipliers):
        return reference(x, index, kernels, weights, multipliers, normalise)
    features, _ = _rbf(x, index, *kernels, weights, multipliers, normalise)
    return features


@op("polyfield::rbf", "cpu")
def _rbf(
    x: Tensor,
    index: Tensor,
    centres: Tensor,
    shapes: Tensor,
    weights: Tensor,
    multipliers: Tensor,
    normalise: bool,
) -> tuple[Tensor, Tensor]:
    """Features [n, C], and the p [n, K] that the backward pass needs."""
    from polyfield.encodings.kernels import rbf_numba

    return rbf_numba.forward(x, index, centres, shapes, weights, multipliers, normalise, EPS)


@torch.library.register_fake(_rbf)
def _(
    x: Tensor,
    index: Tensor,
    centres: Tensor,
    shapes: Tensor,
    weights: Tensor,
    multipliers: Tensor,
    normalise: bool,
) -> tuple[Tensor, Tensor]:
    return x.new_empty(x.shape[0], weights.shape[1]), x.new_empty(index.shape)


@op("polyfield::rbf_backward", "cpu")
def _rbf_backward(
    grad: Tensor, index: Tensor, share: Tensor, multipliers: Tensor, count: int
) -> Tensor:
    """Gradient of sum(grad * rbf(...)) in the weights [count, C]."""
    from polyfield.encodings.kernels import rbf_numba

    return rbf_numba.backward(grad, index, share, multipliers, count)


@torch.library.register_fake(_rbf_backward)
def _(grad: Tensor, index: Tensor, share: Tensor, multipliers: Tensor, count: int) -> Tensor:
    return grad.new_empty(count, grad.shape[1])


no_gradient(_rbf_backward)


def _remember(ctx, inputs, output) -> None:  # type: ignore[no-untyped-def]
    _, index, _, _, weights, multipliers, _ = inputs
    ctx.count = weights.shape[0]
    ctx.save_for_backward(index, output[1], multipliers)
    ctx.mark_non_differentiable(output[1])


def _backward(ctx, grad: Tensor, _):  # type: ignore[no-untyped-def]
    index, share, multipliers = ctx.saved_tensors
    dweights = _rbf_backward(grad.contiguous(), index, share, multipliers, ctx.count)
    return None, None, None, None, dweights, None, None


torch.library.register_autograd(_rbf, _backward, setup_context=_remember)
