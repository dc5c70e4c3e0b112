"""Fourier analysis networks (Dong et al. 2024): layers that are partly sines and cosines.

Symbols: h = [cos(Wp x), sin(Wp x), gelu(Wg x + b)]; cosine and sine share Wp (which has a bias in
the released code, and so here). Published without an interval; [-1,1] is used here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from polyfield.errors import InputError
from polyfield.fields.base import Network
from polyfield.fields.networks.linear import Linear
from polyfield.ranges import Range, check


@dataclass(frozen=True)
class Fan:
    """A linear embedding, Fourier layers, and a linear layer."""

    hidden: Annotated[int, Range(4, 8192)] = 256
    """Width of the hidden layers."""
    layers: Annotated[int, Range(1, 64)] = 3
    """Number of Fourier layers."""
    periodic: Annotated[float, Range(0, 0.5, above=True, below=True)] = 0.25
    """Share of a layer that is cosines; as many are sines, the rest is GELU."""

    def build(self, in_dim: int, out_dim: int) -> FanNetwork:
        """A network of in_dim features and out_dim values; torch draws its first weights."""
        check(self)
        waves = int(self.hidden * self.periodic)
        if waves < 1 or 2 * waves >= self.hidden:
            raise InputError(
                f"periodic from {1 / self.hidden:g} to below 0.5", f"{self.periodic:g}", "use 0.25"
            )
        return FanNetwork((in_dim, out_dim), self.hidden, waves, self.layers)


class FanNetwork(Network):
    """Embedding, Fourier layers, linear layer; PyTorch's initial values."""

    def __init__(self, dims: tuple[int, int], hidden: int, waves: int, layers: int) -> None:
        """`dims` are inputs and outputs, `waves` the cosines of a layer."""
        super().__init__()
        self.in_dim, self.out_dim = dims
        self.waves = waves
        self.embedding = Linear(self.in_dim, hidden)
        # Wp and Wg in one matrix.
        self.hidden = nn.ModuleList(Linear(hidden, hidden - waves) for _ in range(layers))
        self.last = Linear(hidden, self.out_dim)

    def forward(self, x: Float[Tensor, "*n i"]) -> Float[Tensor, "*n o"]:
        """Outputs of the last layer."""
        h = self.embedding(x)
        for layer in self.hidden:
            z = layer(h)
            p, g = z[..., : self.waves], z[..., self.waves :]
            h = torch.cat([p.cos(), p.sin(), functional.gelu(g)], -1)
        return self.last(h)
