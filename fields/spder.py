"""SPDER (Shah and Sitawarin 2023): a damped sine, sin(z) sqrt|z|. For coordinates in [-1,1].

Symbols: z = w0 (W x + b). The derivative cos(z) sqrt|z| + sin(z) sign(z) / (2 sqrt|z|) is 0 at
z = 0, where automatic differentiation multiplies infinity by 0; it is written out here.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from polyfield.fields.stack import Stack, sine_weights, widths

TINY = 1e-30
"""Least |z| under a root: its square root is a normal float32."""


@dataclass(frozen=True)
class Spder:
    """Layers of sin(z) sqrt|z|, SIREN's initial values (the pictures' activation, not sound's)."""

    hidden: int = 256
    """Width of the hidden layers."""
    layers: int = 5
    """Number of hidden layers, the first included."""
    frequency: float = 30.0
    """w0 of every layer."""

    def build(self, in_dim: int, out_dim: int) -> Stack:
        """The module."""
        scales = [self.frequency] * self.layers
        stack = Stack(widths(in_dim, self.hidden, self.layers, out_dim), damped_sine, scales)
        return sine_weights(stack, self.frequency)


class _DampedSine(torch.autograd.Function):
    @staticmethod
    def forward(ctx, z: Tensor) -> Tensor:  # type: ignore[no-untyped-def]
        ctx.save_for_backward(z)
        return z.sin() * z.abs().sqrt()

    @staticmethod
    def backward(ctx, grad: Tensor) -> Tensor:  # type: ignore[no-untyped-def]
        (z,) = ctx.saved_tensors
        root = z.abs().clamp(min=TINY).sqrt()
        return grad * (z.cos() * root + z.sin() * z.sign() / (2 * root))


def damped_sine(z: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """Sin(z) sqrt|z|, its gradient finite everywhere."""
    return _DampedSine.apply(z)
