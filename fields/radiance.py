"""Instant-ngp's radiance field: an encoding, a density network, a colour network.

Source: Mueller et al. 2022, section 5.4. Symbols: v [n, k] = density network(encoding(x));
log-density = v_0; rgb = sigmoid(colour network([v, SH(direction)])).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

import torch
from jaxtyping import Float
from torch import Tensor, nn

from polyfield.encodings import EncodingConfig
from polyfield.encodings.base import Encoding
from polyfield.encodings.domain import Domain
from polyfield.encodings.hash_grid import HashGrid
from polyfield.encodings.spherical_harmonics import SphericalHarmonics
from polyfield.fields.base import RadianceField, RadianceSample
from polyfield.fields.kernels.grid_radiance import GridRadiance, grid_radiance
from polyfield.fields.networks.activations import truncated_exp
from polyfield.fields.networks.mlp import MLP
from polyfield.fields.probe import GridDensity
from polyfield.ranges import Range, check


@dataclass(frozen=True)
class Radiance:
    """Position encoding -> density and a feature; feature and direction encoding -> colour."""

    position: EncodingConfig = field(default_factory=HashGrid)
    """Encoding of the point."""
    direction: EncodingConfig = field(default_factory=SphericalHarmonics)
    """Encoding of the viewing direction."""
    hidden: Annotated[int, Range(1, 8192)] = 64
    """Width of all hidden layers."""
    density_layers: Annotated[int, Range(0, 64)] = 1
    """Hidden layers of the density network."""
    color_layers: Annotated[int, Range(0, 64)] = 2
    """Hidden layers of the colour network."""
    feature: Annotated[int, Range(1, 1024)] = 16
    """k, outputs of the density network; the first is the log-density."""

    def build(self, domain: Domain) -> RadianceMLPField:
        """A field over a domain; torch draws its first parameters."""
        check(self)
        position, direction = self.position.build(domain.dim), self.direction.build(3)
        density = MLP([position.out_dim, *[self.hidden] * self.density_layers, self.feature])
        color = MLP([self.feature + direction.out_dim, *[self.hidden] * self.color_layers, 3])
        return RadianceMLPField(domain, position, direction, density, color)


class RadianceMLPField(RadianceField):
    """Two perceptrons on a position and a direction encoding."""

    def __init__(
        self, domain: Domain, position: Encoding, direction: Encoding, density: MLP, color: MLP
    ) -> None:
        super().__init__()
        self.domain, self.position, self.direction = domain, position, direction
        self.density_network, self.color_network = density, color
        self.takes_errors, self.takes_points = position.takes_errors, position.takes_points

    def groups(self) -> dict[str, list[nn.Parameter]]:
        """The encodings' tables, and everything else."""
        tables = self.position.tables() + self.direction.tables()
        held = {id(p) for p in tables}
        return {"table": tables, "network": [p for p in self.parameters() if id(p) not in held]}

    def geometry(self, x: Float[Tensor, "*n 3"]) -> tuple[Tensor, Tensor | None]:
        """Log-density and the feature v."""
        v = self.density_network(self.position(self.domain(x)))
        return v[..., 0], v

    def forward(
        self, x: Float[Tensor, "*n 3"], directions: Float[Tensor, "*n 3"]
    ) -> RadianceSample:
        """Density and colour at world points x seen along unit directions."""
        whole = self._as_one_op()
        if whole is not None:
            flat = x.reshape(-1, 3), directions.reshape(-1, 3)
            density, rgb, v = grid_radiance(*flat, whole)
            batch = x.shape[:-1]
            v = v.view(*batch, v.shape[-1])
            density, rgb = density.view(batch), rgb.view(*batch, 3)
            return RadianceSample(density, rgb, v[..., 0], v)
        v = self.density_network(self.position(self.domain(x)))
        view = self.direction((directions + 1) / 2)
        rgb = torch.sigmoid(self.color_network(torch.cat([v, view], -1)))
        density = truncated_exp(v[..., 0]) / self.domain.length
        return RadianceSample(density, rgb, v[..., 0], v)

    def grid_density(self) -> GridDensity | None:
        """The grid and the density network, where the encoding is one grid."""
        grid, network = self.position.grid_table(), self.density_network
        if grid is None:
            return None
        return GridDensity(self.domain, grid, network.weights, network.widths, network.bias)

    def _as_one_op(self) -> GridRadiance | None:
        """What the op of the whole field takes; None where encodings are others."""
        grid, degree = self.position.grid_table(), self.direction.harmonics()
        density, color = self.density_network, self.color_network
        if grid is None or degree is None or density.bias or color.bias:
            return None
        networks = (density.weights, density.widths), (color.weights, color.widths)
        return GridRadiance(self.domain, grid, degree, *networks)

    def intermediate_features(self, x: Float[Tensor, "n d"]) -> tuple[Tensor, ...]:
        """What the position encoding has on its way, and the feature v."""
        *shallow, last = self.position.intermediate_features(self.domain(x))
        return *shallow, last, self.density_network(last)

    def set_progress(self, t: float) -> None:
        """Hand on to the encodings."""
        self.position.set_progress(t)
        self.direction.set_progress(t)

    def update_error(self, x: Float[Tensor, "n d"], error: Float[Tensor, "n"]) -> None:
        """Hand on to the position encoding."""
        self.position.update_error(self.domain(x), error)

    def init_from_points(self, x: Float[Tensor, "n d"], weight: Float[Tensor, "n"]) -> None:
        """Hand on to the position encoding."""
        self.position.init_from_points(self.domain(x), weight)
