"""A plain ReLU network of any width (as in Tancik et al. 2020, behind an encoding).

`Perceptron` is the fused one for small widths.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from polyfield.fields.stack import Stack, widths


@dataclass(frozen=True)
class Relu:
    """ReLU layers with biases and PyTorch's initial values, linear outputs."""

    hidden: int = 256
    """Width of the hidden layers."""
    layers: int = 3
    """Number of hidden layers."""

    def build(self, in_dim: int, out_dim: int) -> Stack:
        """The module. The released picture networks end in a sigmoid; ours are linear."""
        return Stack(widths(in_dim, self.hidden, self.layers, out_dim), torch.relu)
