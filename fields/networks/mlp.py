"""A small ReLU perceptron. The op, its layout and symbols are in kernels/mlp.py."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

import torch
from jaxtyping import Float
from torch import Tensor, nn

from polyfield.encodings.shader_pass import Passes
from polyfield.errors import InputError
from polyfield.fields.base import Network
from polyfield.fields.kernels import mlp as kernel
from polyfield.fields.networks.layer_pass import layer_pass
from polyfield.ranges import Range, check


@dataclass(frozen=True)
class Perceptron:
    """ReLU layers as in tiny-cuda-nn, linear outputs."""

    hidden: Annotated[int, Range(1, 8192)] = 64
    """Width of the hidden layers."""
    layers: Annotated[int, Range(0, 64)] = 2
    """Number of hidden layers."""
    bias: bool = False
    """Whether layers have biases (tiny-cuda-nn's have none)."""

    def build(self, in_dim: int, out_dim: int) -> MLP:
        """A network of in_dim features and out_dim values; torch draws its first weights."""
        check(self)
        return MLP([in_dim, *[self.hidden] * self.layers, out_dim], self.bias)


class MLP(Network):
    """ReLU perceptron with one flat parameter vector, tiny-cuda-nn's layout."""

    def __init__(self, widths: list[int], bias: bool = False) -> None:
        """Layers of widths [in, hidden ..., out].

        Weights Xavier-uniform as in tiny-cuda-nn, biases 0.

        Raises:
            InputError: a width below 1.
        """
        super().__init__()
        if min(widths) < 1:
            given = ", ".join(map(str, widths))
            raise InputError("layers of at least 1 unit", given, "raise hidden, feature or layers")
        self.in_dim, self.out_dim = widths[0], widths[-1]
        self.widths, self.bias = list(widths), bias
        self.weights = nn.Parameter(torch.zeros(kernel.size(self.widths, bias)))
        with torch.no_grad():
            for matrix, _ in kernel.layers(self.weights, self.widths, bias):
                matrix.uniform_(-1, 1).mul_(math.sqrt(6 / sum(matrix.shape)))

    def forward(self, x: Float[Tensor, "*n i"]) -> Float[Tensor, "*n o"]:
        """Outputs of the last layer, without an activation."""
        flat = kernel.mlp(x.reshape(-1, self.widths[0]), self.weights, self.widths, self.bias)
        return flat.view(*x.shape[:-1], self.widths[-1])

    def perceptron(self) -> tuple[Float[Tensor, "p"], list[int], bool]:
        """All of it."""
        return self.weights, self.widths, self.bias

    def passes(self) -> Passes:
        """One a layer."""
        *hidden, last = kernel.layers(self.weights, self.widths, self.bias)
        return (*(layer_pass(*layer, "relu") for layer in hidden), layer_pass(*last, "none"))


@torch.no_grad()
def like_torch(network: MLP) -> MLP:
    """Weights and biases uniform within 1 / sqrt(inputs), as torch starts a linear layer."""
    for matrix, bias in kernel.layers(network.weights, network.widths, network.bias):
        bound = 1 / math.sqrt(matrix.shape[1])
        matrix.uniform_(-bound, bound)
        if bias is not None:
            bias.uniform_(-bound, bound)
    return network
