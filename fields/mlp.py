"""A small perceptron as a module. The op, its layout and symbols are in kernels/mlp.py."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from polyfield.fields.kernels import mlp as kernel


class MLP(nn.Module):
    """ReLU perceptron with one flat parameter vector, tiny-cuda-nn's layout."""

    def __init__(self, widths: list[int], bias: bool = False) -> None:
        """Layers of widths [in, hidden ..., out].

        Weights Xavier-uniform as in tiny-cuda-nn, biases 0.
        """
        super().__init__()
        self.widths, self.bias = list(widths), bias
        self.weights = nn.Parameter(torch.zeros(kernel.size(self.widths, bias)))
        with torch.no_grad():
            for matrix, _ in kernel.layers(self.weights, self.widths, bias):
                matrix.uniform_(-1, 1).mul_(math.sqrt(6 / sum(matrix.shape)))

    def forward(self, x: Float[Tensor, "*n i"]) -> Float[Tensor, "*n o"]:
        """Outputs of the last layer, without an activation."""
        flat = kernel.mlp(x.reshape(-1, self.widths[0]), self.weights, self.widths, self.bias)
        return flat.view(*x.shape[:-1], self.widths[-1])
