"""Activations with a bounded gradient."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

LIMIT = 15.0
"""exp(15) is 3.3e6; beyond it gradients are those at the limit (instant-ngp)."""


class _TruncatedExp(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:  # type: ignore[no-untyped-def]
        ctx.save_for_backward(x)
        return x.clamp(max=2 * LIMIT).exp()

    @staticmethod
    def backward(ctx, grad: Tensor) -> Tensor:  # type: ignore[no-untyped-def]
        (x,) = ctx.saved_tensors
        return grad * x.clamp(-LIMIT, LIMIT).exp()


def truncated_exp(x: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """Exp(x) with the gradient of exp(clamp(x, -15, 15)): one bad sample can't blow up a step."""
    return _TruncatedExp.apply(x)
