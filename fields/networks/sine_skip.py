"""The network behind NeuRBF's features: sines are added to the first layer's outputs.

    h = W_0 x + b_0;  h_1 = h + sin(h w);  then ReLU layers, linear outputs

Source: the released code of Chen et al. 2023 (NeuRBF). Symbols: w_j the multiplier of unit j,
log-spaced.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

import torch
from jaxtyping import Float
from torch import Tensor

from polyfield.fields.base import Network
from polyfield.fields.kernels.sine_skip import sine_skip
from polyfield.fields.networks.mlp import MLP, like_torch
from polyfield.ranges import Range, check


@dataclass(frozen=True)
class SineSkip:
    """Units of the first layer add their own sine; then ReLU layers, with biases."""

    hidden: Annotated[int, Range(1, 8192)] = 64
    """Width of the hidden layers."""
    layers: Annotated[int, Range(1, 64)] = 2
    """Number of hidden layers, the first one included."""
    waves: Annotated[tuple[float, float], Range(0, 1e6, above=True)] = (10.0, 100.0)
    """Multipliers of the first and the last unit (released code: 30, 300 for shapes)."""

    def build(self, in_dim: int, out_dim: int) -> SineSkipNetwork:
        """A network of in_dim features and out_dim values; torch draws its first weights."""
        check(self)
        first = MLP([in_dim, self.hidden], bias=True)
        rest = MLP([self.hidden] * self.layers + [out_dim], bias=True)
        steps = torch.linspace(math.log2(self.waves[0]), math.log2(self.waves[1]), self.hidden)
        return SineSkipNetwork(first, rest, steps.exp2())


class SineSkipNetwork(Network):
    """rest(h + sin(h w)) of h = first(x)."""

    multipliers: Float[Tensor, "h"]

    def __init__(self, first: MLP, rest: MLP, multipliers: Float[Tensor, "h"]) -> None:
        super().__init__()
        self.in_dim, self.out_dim = first.in_dim, rest.out_dim
        self.first, self.rest = first, rest
        self.register_buffer("multipliers", multipliers, persistent=False)
        for part in (first, rest):
            like_torch(part)

    def forward(self, x: Float[Tensor, "*n i"]) -> Float[Tensor, "*n o"]:
        """Outputs of the last layer, without an activation."""
        h = self.first(x)
        return self.rest(sine_skip(h.view(-1, h.shape[-1]), self.multipliers).view(h.shape))
