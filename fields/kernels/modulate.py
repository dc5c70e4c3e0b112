"""CAM's layer behind its matrix as one op: standardise each row, scale, shift, ReLU.

    m = mean_c h;  v = mean_c (h - m)^2;  n = (h - m) / sqrt(v + EPS), or n = h without `normalize`
    y = max(gamma n + beta, 0)

Symbols: h [n, C] rows of features; gamma, beta [n] a scale and a shift for each row. Source: Lee et
al. 2024 (CAM), figure 2.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from polyfield.backends import dispatch
from polyfield.backends.ops import no_gradient, op

EPS = 1e-5
"""Of the standardisation, as torch's."""


def reference(
    h: Float[Tensor, "n c"], gamma: Float[Tensor, "n"], beta: Float[Tensor, "n"], normalize: bool
) -> Float[Tensor, "n c"]:
    """The op in plain torch: any dtype and device, differentiable any number of times."""
    if normalize:
        h = functional.layer_norm(h, h.shape[-1:], eps=EPS)
    return torch.addcmul(beta[:, None], h, gamma[:, None]).relu()


def modulate(
    h: Float[Tensor, "n c"], gamma: Float[Tensor, "n"], beta: Float[Tensor, "n"], normalize: bool
) -> Float[Tensor, "n c"]:
    """Apply the layer's second half."""
    if not dispatch.use_numba(h, gamma, beta):
        return reference(h, gamma, beta, normalize)
    return _modulate(h, gamma, beta, normalize)


@op("polyfield::modulate", "cpu")
def _modulate(h: Tensor, gamma: Tensor, beta: Tensor, normalize: bool) -> Tensor:
    from polyfield.fields.kernels import modulate_numba

    return modulate_numba.forward(h, gamma, beta, normalize, EPS)


@torch.library.register_fake(_modulate)
def _(h: Tensor, gamma: Tensor, beta: Tensor, normalize: bool) -> Tensor:
    return h.new_empty(h.shape)


@op("polyfield::modulate_backward", "cpu")
def _modulate_backward(
    grad: Tensor, h: Tensor, gamma: Tensor, beta: Tensor, normalize: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of sum(grad * modulate(...)) in h, gamma and beta."""
    from polyfield.fields.kernels import modulate_numba

    return modulate_numba.backward(grad, h, gamma, beta, normalize, EPS)


@torch.library.register_fake(_modulate_backward)
def _(
    grad: Tensor, h: Tensor, gamma: Tensor, beta: Tensor, normalize: bool
) -> tuple[Tensor, Tensor, Tensor]:
    return h.new_empty(h.shape), gamma.new_empty(gamma.shape), beta.new_empty(beta.shape)


no_gradient(_modulate_backward)


def _remember(ctx, inputs, output) -> None:  # type: ignore[no-untyped-def]
    h, gamma, beta, ctx.normalize = inputs
    ctx.save_for_backward(h, gamma, beta)


def _backward(ctx, grad: Tensor):  # type: ignore[no-untyped-def]
    return *_modulate_backward(grad, *ctx.saved_tensors, ctx.normalize), None


torch.library.register_autograd(_modulate, _backward, setup_context=_remember)
