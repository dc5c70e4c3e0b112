"""TensoRF: density and colour from factored grids, and a small network for the view.

Source: Chen et al. 2022 (TensoRF), released code. Symbols: f sum of all density factors at a point;
log-density = log(softplus(f + shift)) + log(scale); feature = basis colour factors (a matrix); PE
sines and cosines of 2^k v, k < F, without pi; rgb = sigmoid(network([feature, view, PE(feature),
PE(view)])).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Annotated

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from polyfield.encodings.base import Encoding
from polyfield.encodings.domain import Domain
from polyfield.encodings.factored import FactorConfig, VectorMatrix
from polyfield.fields.base import RadianceField, RadianceSample
from polyfield.fields.networks.mlp import MLP
from polyfield.ranges import Range, check

LINEAR = -15.0
"""Below this log(softplus(x)) is x, to float precision."""


@dataclass(frozen=True)
class FactoredRadiance:
    """Factors -> density; factors and a network -> colour."""

    density: FactorConfig = field(default_factory=VectorMatrix)
    """Factors whose sum is the density before its activation."""
    color: FactorConfig = field(default_factory=lambda: VectorMatrix(48, combine="concat"))
    """Factors of the colour."""
    feature: Annotated[int, Range(1, 1024)] = 27
    """Channels a matrix makes of the colour's factors."""
    octaves: Annotated[int, Range(0, 32)] = 2
    """F, octaves of feature and view that the network sees."""
    hidden: Annotated[int, Range(1, 8192)] = 128
    """Width of the network's two hidden layers."""
    shift: Annotated[float, Range(-1000, 1000)] = -10.0
    """Added before the softplus, so that space starts empty."""
    scale: Annotated[float, Range(0, 1e6, above=True)] = 75.0
    """Density per box length where the softplus is 1: released 25, in a box of edge 3."""

    def build(self, domain: Domain) -> FactoredRadianceField:
        """A field over a domain; torch draws its first parameters."""
        check(self)
        density, color = self.density.build(domain.dim), self.color.build(domain.dim)
        basis = MLP([color.out_dim, self.feature])
        seen = (self.feature + 3) * (1 + 2 * self.octaves)
        network = MLP([seen, self.hidden, self.hidden, 3], bias=True)
        return FactoredRadianceField(domain, self, density, color, basis, network)


def log_softplus(x: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """log(softplus(x)), finite for every finite x, and so is its gradient."""
    return torch.where(x > LINEAR, functional.softplus(x.clamp(min=LINEAR)).log(), x)


def waves(v: Float[Tensor, "*n k"], octaves: int) -> Float[Tensor, "*n c"]:
    """Sines of v_0, 2 v_0, ..., v_1, 2 v_1, ..., then their cosines."""
    scales = 2.0 ** torch.arange(octaves, device=v.device, dtype=v.dtype)
    angles = (v[..., None] * scales).flatten(-2)
    return torch.cat([angles.sin(), angles.cos()], -1)


class FactoredRadianceField(RadianceField):
    """Two sets of factors, a matrix and a network."""

    def __init__(
        self,
        domain: Domain,
        config: FactoredRadiance,
        density: Encoding,
        color: Encoding,
        basis: MLP,
        network: MLP,
    ) -> None:
        super().__init__()
        self.domain, self.config = domain, config
        self.density_factors, self.color_factors = density, color
        self.basis, self.network = basis, network

    def groups(self) -> dict[str, list[nn.Parameter]]:
        """The factors, and the matrix and the network."""
        return {
            "table": self.density_factors.tables() + self.color_factors.tables(),
            "network": [*self.basis.parameters(), *self.network.parameters()],
        }

    def _raw(self, v: Float[Tensor, "*n 3"]) -> Float[Tensor, "*n"]:
        """The sum f of all factors, shifted, at points of the unit cube."""
        return self.density_factors(v).sum(-1) + self.config.shift

    def _log(self, raw: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
        """Log-density of a raw sum."""
        return log_softplus(raw) + math.log(self.config.scale)

    def density(self, x: Float[Tensor, "*n 3"]) -> Float[Tensor, "*n"]:
        """Density per world unit, without the colour's factors."""
        scale = self.config.scale / self.domain.length
        return functional.softplus(self._raw(self.domain(x))) * scale

    def geometry(self, x: Float[Tensor, "*n 3"]) -> tuple[Tensor, Tensor | None]:
        """Log-density per box length and the colour's feature."""
        v = self.domain(x)
        return self._log(self._raw(v)), self.basis(self.color_factors(v))

    def forward(
        self, x: Float[Tensor, "*n 3"], directions: Float[Tensor, "*n 3"]
    ) -> RadianceSample:
        """Density and colour at world points x seen along unit directions."""
        feature = self.basis(self.color_factors(self.domain(x)))
        octaves = self.config.octaves
        seen = [feature, directions, waves(feature, octaves), waves(directions, octaves)]
        rgb = torch.sigmoid(self.network(torch.cat(seen, -1)))
        raw = self._raw(self.domain(x))
        density = functional.softplus(raw) * (self.config.scale / self.domain.length)
        return RadianceSample(density, rgb, self._log(raw), feature)

    def intermediate_features(self, x: Float[Tensor, "n d"]) -> tuple[Tensor, ...]:
        """The factors of the density, then those of the colour."""
        v = self.domain(x)
        return self.density_factors(v), self.color_factors(v)
