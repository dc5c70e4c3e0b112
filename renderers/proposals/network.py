"""A small field of density alone, that proposes where samples are taken."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from jaxtyping import Float
from torch import Tensor, nn

from polyfield.encodings.floor_grid import FloorGrid
from polyfield.encodings.growth_grid import GrowthGrid
from polyfield.fields.networks.activations import truncated_exp
from polyfield.fields.networks.mlp import MLP
from polyfield.ranges import Range


def _small() -> GrowthGrid:
    return GrowthGrid(levels=5, features=2, log2_size=17, base_resolution=16, growth=1.6817929)


@dataclass(frozen=True)
class ProposalNetwork:
    """A grid and a perceptron with one output, the log-density."""

    position: GrowthGrid | FloorGrid = field(default_factory=_small)
    """The grid."""
    hidden: Annotated[int, Range(1, 8192)] = 16
    """Width of the hidden layers."""
    layers: Annotated[int, Range(0, 64)] = 1
    """Hidden layers."""

    def build(self) -> ProposalDensity:
        """The module; torch draws its first parameters."""
        position = self.position.build(3)
        network = MLP([position.out_dim, *[self.hidden] * self.layers, 1], bias=True)
        return ProposalDensity(position, network)


class ProposalDensity(nn.Module):
    """Points of the unit cube -> density, where the network's 0 is 1."""

    def __init__(self, position: nn.Module, network: MLP) -> None:
        super().__init__()
        self.position, self.network = position, network

    def forward(self, u: Float[Tensor, "*n 3"]) -> Float[Tensor, "*n"]:
        """Density at points of [0,1]^3."""
        return truncated_exp(self.network(self.position(u))[..., 0])
