"""FINER (Liu et al. 2024): sines whose frequency grows with |z|. For coordinates in [-1,1].

Symbols: z = W x + b, h = sin(w0 (|z| + 1) z). Large first biases spread the frequencies. The
released code holds |z| + 1 constant in the backward pass; here the gradient is the formula's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from jaxtyping import Float
from torch import Tensor

from polyfield.fields.kernels.waves import wave
from polyfield.fields.networks.stack import Stack, sine_weights, widths
from polyfield.ranges import Range, check


@dataclass(frozen=True)
class Finer:
    """Layers of sin(w0 (|z| + 1) z), SIREN's initial weights."""

    hidden: Annotated[int, Range(1, 8192)] = 256
    """Width of the hidden layers."""
    layers: Annotated[int, Range(1, 64)] = 4
    """Number of hidden layers, the first included."""
    frequency: Annotated[float, Range(0, 1e6, above=True)] = 30.0
    """w0 of every layer."""
    first_bias: Annotated[float, Range(0, 1e6)] = 0.0
    """k: first biases from U(-k, k); 0 leaves PyTorch's, as the released image script does."""

    def build(self, in_dim: int, out_dim: int) -> Stack:
        """A network of in_dim features and out_dim values; torch draws its first weights."""
        check(self)
        frequency = self.frequency

        def activation(z: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
            return wave(z, "finer", frequency)

        stack = Stack(widths(in_dim, self.hidden, self.layers, out_dim), activation)
        if self.first_bias > 0:
            with torch.no_grad():
                stack.layers()[0].bias.uniform_(-self.first_bias, self.first_bias)
        return sine_weights(stack, frequency)
