"""The radiance field of nerfstudio's nerfacto and instant-ngp, number by number.

Facts of the program (fields/nerfacto_field.py, 50e0e3c of 2025-07). Symbols: u in [0,1]^3 a point
where the program sees it (placement.py), d a direction in its axes; [v_0, g] = density
network(grid(u)); density = level exp(v_0) per unit of the program's, 0 outside; rgb =
sigmoid(colour network([SH(d), g])). What the program adds to a colour's inputs and is the same for
all points (the appearance of an image, tiny-cuda-nn's padding) is in the first layer's biases.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Annotated

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from polyfield.encodings.base import Encoding
from polyfield.encodings.domain import Domain
from polyfield.encodings.floor_grid import FloorGrid
from polyfield.encodings.growth_grid import GrowthGrid
from polyfield.encodings.spherical_harmonics import SphericalHarmonics
from polyfield.fields.base import NOTHING, RadianceField, RadianceSample
from polyfield.fields.networks.activations import truncated_exp
from polyfield.fields.networks.mlp import MLP
from polyfield.fields.placement import Placed, Placement
from polyfield.ranges import Range, check


@dataclass(frozen=True)
class NerfactoRadiance:
    """Nerfstudio's field as its checkpoints hold it."""

    position: GrowthGrid | FloorGrid = field(default_factory=GrowthGrid)
    """The grid: tiny-cuda-nn's, or the one of PyTorch alone."""
    degree: Annotated[int, Range(1, 4)] = 4
    """Bands of the spherical harmonics of the viewing direction."""
    hidden: Annotated[int, Range(1, 8192)] = 64
    """Width of the hidden layers of the density network."""
    density_layers: Annotated[int, Range(0, 64)] = 1
    """Hidden layers of the density network."""
    color_hidden: Annotated[int, Range(1, 8192)] = 64
    """Width of the hidden layers of the colour network."""
    color_layers: Annotated[int, Range(0, 64)] = 2
    """Hidden layers of the colour network."""
    feature: Annotated[int, Range(1, 1024)] = 15
    """Outputs of the density network beside the log-density."""
    level: Annotated[float, Range(1e-6, 1e6)] = 1.0
    """Density where the network says 0, per unit of the program's."""
    placement: Placement = field(default_factory=Placement)
    """Where the program's coordinates lie."""

    def build(self, domain: Domain) -> NerfactoRadianceField:
        """A field over a domain; torch draws its first parameters."""
        check(self)
        position = self.position.build(3)
        direction = SphericalHarmonics(self.degree).build(3)
        inner = [self.hidden] * self.density_layers
        density = MLP([position.out_dim, *inner, 1 + self.feature], bias=True)
        seen = direction.out_dim + self.feature
        color = MLP([seen, *[self.color_hidden] * self.color_layers, 3], bias=True)
        return NerfactoRadianceField(domain, (position, direction), (density, color), self)


class NerfactoRadianceField(RadianceField):
    """Two perceptrons on a grid and on harmonics, where another program sees them."""

    def __init__(
        self,
        domain: Domain,
        encodings: tuple[Encoding, Encoding],
        networks: tuple[MLP, MLP],
        config: NerfactoRadiance,
    ) -> None:
        super().__init__()
        self.domain, (self.position, self.direction) = domain, encodings
        self.density_network, self.color_network = networks
        self.placed: Placed = config.placement.build(domain)
        self._shift = math.log(config.level * config.placement.extent)

    def groups(self) -> dict[str, list[nn.Parameter]]:
        """The grid, and both networks."""
        networks = [*self.density_network.parameters(), *self.color_network.parameters()]
        return {"table": self.position.tables(), "network": networks}

    def geometry(self, x: Float[Tensor, "*n 3"]) -> tuple[Tensor, Tensor | None]:
        """Log-density and the feature g."""
        place, inside = self.placed(x)
        v = self.density_network(self.position(place))
        return self._log_density(v, inside), v[..., 1:]

    def _log_density(
        self, v: Float[Tensor, "*n k"], inside: Bool[Tensor, "*n"]
    ) -> Float[Tensor, "*n"]:
        log_density = v[..., 0] + self._shift
        return torch.where(inside, log_density, torch.full_like(log_density, NOTHING))

    def forward(
        self, x: Float[Tensor, "*n 3"], directions: Float[Tensor, "*n 3"]
    ) -> RadianceSample:
        """Density and colour at world points x seen along unit directions."""
        log_density, feature = self.geometry(x)
        assert feature is not None
        view = self.direction((self.placed.directions(directions) + 1) / 2)
        rgb = torch.sigmoid(self.color_network(torch.cat([view, feature], -1)))
        density = truncated_exp(log_density) / self.domain.length
        return RadianceSample(density, rgb, log_density, feature)

    def intermediate_features(self, x: Float[Tensor, "n d"]) -> tuple[Tensor, ...]:
        """What the grid has on its way, and what the density network says."""
        *shallow, last = self.position.intermediate_features(self.placed(x)[0])
        return *shallow, last, self.density_network(last)
