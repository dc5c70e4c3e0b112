"""A ReLU network as PyTorch starts it (Tancik et al. 2020, behind an encoding).

`Perceptron` is the same with tiny-cuda-nn's initial values and, by default, without biases.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from polyfield.fields.networks.mlp import MLP, like_torch
from polyfield.fields.networks.stack import widths
from polyfield.ranges import Range, check


@dataclass(frozen=True)
class Relu:
    """ReLU layers with biases and PyTorch's initial values, linear outputs."""

    hidden: Annotated[int, Range(1, 8192)] = 256
    """Width of the hidden layers."""
    layers: Annotated[int, Range(1, 64)] = 3
    """Number of hidden layers."""

    def build(self, in_dim: int, out_dim: int) -> MLP:
        """A network of in_dim features and out_dim values; torch draws its first weights."""
        check(self)
        return like_torch(MLP(widths(in_dim, self.hidden, self.layers, out_dim), bias=True))
