"""The radiance field of instant-ngp's own files, number by number.

As fields/radiance.py, but in that program's coordinates and units: its axes are the user's turned
by one place, and its densities are per edge of its unit cube, of which the box may be several long.
Source: Mueller et al. 2022, section 5.4 and E. Symbols: u in [0,1]^3 a point of the box, a the axes
in its order; v = density network(grid(u_a)); density = exp(v_0) per cube; rgb = sigmoid(colour
network([v, SH(d_a)])).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Annotated

import torch
from jaxtyping import Float
from torch import Tensor, nn

from polyfield.encodings.base import Encoding
from polyfield.encodings.domain import Domain
from polyfield.encodings.growth_grid import GrowthGrid
from polyfield.encodings.spherical_harmonics import SphericalHarmonics
from polyfield.fields.base import RadianceField, RadianceSample
from polyfield.fields.networks.activations import truncated_exp
from polyfield.fields.networks.mlp import MLP
from polyfield.ranges import Range, check


@dataclass(frozen=True)
class NgpRadiance:
    """Instant-ngp's field as its snapshots hold it."""

    position: GrowthGrid = field(default_factory=GrowthGrid)
    """The grid."""
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
    feature: Annotated[int, Range(1, 1024)] = 16
    """Outputs of the density network; the first is the log-density."""
    cycled: bool = True
    """Whether its x, y, z are the user's y, z, x."""
    cubes: Annotated[float, Range(1e-6, 1e6)] = 1.0
    """Unit cubes along the box's longest edge: densities are per cube."""

    def build(self, domain: Domain) -> NgpRadianceField:
        """A field over a domain; torch draws its first parameters."""
        check(self)
        position = self.position.build(3)
        direction = SphericalHarmonics(self.degree).build(3)
        density = MLP([position.out_dim, *[self.hidden] * self.density_layers, self.feature])
        seen = self.feature + direction.out_dim
        color = MLP([seen, *[self.color_hidden] * self.color_layers, 3])
        return NgpRadianceField(domain, (position, direction), (density, color), self)


class NgpRadianceField(RadianceField):
    """Two perceptrons on a grid and on harmonics, in turned axes."""

    def __init__(
        self,
        domain: Domain,
        encodings: tuple[Encoding, Encoding],
        networks: tuple[MLP, MLP],
        config: NgpRadiance,
    ) -> None:
        super().__init__()
        self.domain, (self.position, self.direction) = domain, encodings
        self.density_network, self.color_network = networks
        self._turn = -1 if config.cycled else 0
        self._shift = math.log(config.cubes)

    def groups(self) -> dict[str, list[nn.Parameter]]:
        """The grid, and both networks."""
        networks = [*self.density_network.parameters(), *self.color_network.parameters()]
        return {"table": self.position.tables(), "network": networks}

    def _feature(self, x: Float[Tensor, "*n 3"]) -> Float[Tensor, "*n k"]:
        return self.density_network(self.position(self.domain(x).roll(self._turn, -1)))

    def geometry(self, x: Float[Tensor, "*n 3"]) -> tuple[Tensor, Tensor | None]:
        """Log-density and the feature v."""
        v = self._feature(x)
        return v[..., 0] + self._shift, v

    def forward(
        self, x: Float[Tensor, "*n 3"], directions: Float[Tensor, "*n 3"]
    ) -> RadianceSample:
        """Density and colour at world points x seen along unit directions."""
        v = self._feature(x)
        view = self.direction((directions.roll(self._turn, -1) + 1) / 2)
        rgb = torch.sigmoid(self.color_network(torch.cat([v, view], -1)))
        log_density = v[..., 0] + self._shift
        return RadianceSample(truncated_exp(log_density) / self.domain.length, rgb, log_density, v)

    def intermediate_features(self, x: Float[Tensor, "n d"]) -> tuple[Tensor, ...]:
        """What the grid has on its way, and the feature v."""
        *shallow, last = self.position.intermediate_features(self.domain(x).roll(self._turn, -1))
        return *shallow, last, self.density_network(last)
