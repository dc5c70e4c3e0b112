"""What is infinitely far: a colour for every direction, behind a scene that has no end.

A small network on spherical harmonics of the direction, as Rematas et al. 2022 (Urban Radiance
Fields, section 4.3) put one behind their rays: color(d) = sigmoid(network(SH(d))). Without it the
field has to build clouds at the rim of its contracted space.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from jaxtyping import Float
from torch import Tensor, nn

from polyfield.encodings.spherical_harmonics import SphericalHarmonics
from polyfield.fields.networks.mlp import MLP
from polyfield.ranges import Range, check


@dataclass(frozen=True)
class Sky:
    """A network of the direction."""

    degree: Annotated[int, Range(1, 4)] = 4
    """Of the spherical harmonics."""
    hidden: Annotated[int, Range(1, 1024)] = 32
    """Width of the hidden layer."""

    def build(self) -> SkyNetwork:
        """A sky of middle grey; torch draws its first weights."""
        check(self)
        return SkyNetwork(self)


class SkyNetwork(nn.Module):
    """Directions -> colours."""

    def __init__(self, config: Sky) -> None:
        super().__init__()
        self.direction = SphericalHarmonics(config.degree).build(3)
        self.network = MLP([self.direction.out_dim, config.hidden, 3], bias=True)

    def forward(self, directions: Float[Tensor, "*n 3"]) -> Float[Tensor, "*n 3"]:
        """Colours in [0, 1] of unit directions, in the colour space of the scene."""
        return torch.sigmoid(self.network(self.direction((directions + 1) / 2)))
