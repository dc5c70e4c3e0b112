"""Activations with a bounded gradient."""

from __future__ import annotations

import math

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
    """exp(x) with the gradient of exp(clamp(x, -15, 15)): one bad sample can't spoil a step."""
    return _TruncatedExp.apply(x)


LEAK = 0.01
"""Slope that a negative density is trained with (released code of KiloNeRF, where it distils)."""
LEAST = 1e-6
"""Densities below it count as it where a logarithm is asked for."""


class _LeakyDensity(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:  # type: ignore[no-untyped-def]
        ctx.save_for_backward(x)
        return x.clamp(min=0)

    @staticmethod
    def backward(ctx, grad: Tensor) -> Tensor:  # type: ignore[no-untyped-def]
        (x,) = ctx.saved_tensors
        return torch.where(x > 0, grad, grad * LEAK)


def leaky_density(x: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """Max(x, 0) with the gradient of a leaky ReLU: what has become empty can fill again."""
    return _LeakyDensity.apply(x)


class _LogDensity(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor) -> Tensor:  # type: ignore[no-untyped-def]
        ctx.save_for_backward(x)
        return x.clamp(min=LEAST).log()

    @staticmethod
    def backward(ctx, grad: Tensor) -> Tensor:  # type: ignore[no-untyped-def]
        (x,) = ctx.saved_tensors
        return grad / x.clamp(min=1)


def log_density(x: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """Log(max(x, LEAST)), with the gradient of the logarithm above 1 and of x below.

    At 0 a logarithm has no slope that can be used; below it there would be none.
    """
    return _LogDensity.apply(x)


class _Clip(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, low: float, high: float) -> Tensor:  # type: ignore[no-untyped-def]
        ctx.save_for_backward(x)
        ctx.low, ctx.high = low, high
        # Without a bound that is none: ONNX has no clamp at infinity.
        return x.clamp(low, None if math.isinf(high) else high)

    @staticmethod
    def backward(ctx, grad: Tensor):  # type: ignore[no-untyped-def]
        (x,) = ctx.saved_tensors
        # Descent goes against the gradient.
        away = ((x < ctx.low) & (grad > 0)) | ((x > ctx.high) & (grad < 0))
        return grad.masked_fill(away, 0), None, None


def clip(x: Float[Tensor, "*n"], low: float, high: float) -> Float[Tensor, "*n"]:
    """The values clipped to [low, high]; beyond it, the gradient that leads back in is kept.

    Without it a vertex whose density has fallen below 0 would stay empty for ever.
    """
    return _Clip.apply(x, low, high)
