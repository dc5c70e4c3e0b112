"""The network of NeRF, one and without a finer second: KiloNeRF's teacher.

Source: Mildenhall et al. 2020, figure 7, and the released code of Reiser et al. 2021. Symbols: p in
[-1,1]^3 the point, d the direction, pe octaves without pi; h = trunk(pe(p)); density = max(a, 0) of
a = W h + b per half of the box's longest edge; rgb = sigmoid(W relu(W [W h + b, pe(d)] + b) + b).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from jaxtyping import Float
from torch import Tensor, nn

from polyfield.encodings.domain import Domain
from polyfield.fields.base import RadianceField, RadianceSample
from polyfield.fields.networks.activations import leaky_density, log_density
from polyfield.fields.networks.linear import Linear
from polyfield.fields.networks.mlp import MLP, like_torch
from polyfield.fields.networks.octaves import octaves, width
from polyfield.fields.networks.trunk import Trunk
from polyfield.ranges import Range, check


@dataclass(frozen=True)
class PlainNerf:
    """NeRF's network: eight layers, a density, a feature, and one layer that sees directions."""

    octaves: Annotated[int, Range(0, 32)] = 10
    """Octaves of the point."""
    direction_octaves: Annotated[int, Range(0, 32)] = 4
    """Octaves of the direction."""
    trunk: Annotated[int, Range(1, 8192)] = 256
    """Width of the layers."""
    layers: Annotated[int, Range(2, 64)] = 8
    """Layers before density and feature."""
    skip: Annotated[int, Range(1, 63)] = 5
    """Layer, counted from 0, that sees the encoded point again."""
    color_hidden: Annotated[int, Range(1, 8192)] = 128
    """Width of the layer that sees directions."""

    def build(self, domain: Domain) -> PlainNerfField:
        """A field over a domain; torch draws its first parameters."""
        check(self)
        return PlainNerfField(domain, self)


class PlainNerfField(RadianceField):
    """595,844 values as published."""

    def __init__(self, domain: Domain, config: PlainNerf) -> None:
        super().__init__()
        self.domain, self.config = domain, config
        seen, view = width(domain.dim, config.octaves), width(3, config.direction_octaves)
        self.trunk = Trunk(seen, config.trunk, config.layers, config.skip, config.trunk)
        self.density_head = Linear(config.trunk, 1)
        self.feature = Linear(config.trunk, config.trunk)
        self.color = like_torch(MLP([config.trunk + view, config.color_hidden, 3], bias=True))

    def groups(self) -> dict[str, list[nn.Parameter]]:
        """Everything is network."""
        return {"network": list(self.parameters())}

    def _trunk(self, x: Float[Tensor, "n 3"]) -> Float[Tensor, "n k"]:
        return self.trunk(octaves(self.domain(x) * 2 - 1, self.config.octaves)).relu()

    def density(self, x: Float[Tensor, "*n 3"]) -> Float[Tensor, "*n"]:
        """Density per world unit."""
        a = self.density_head(self._trunk(x.reshape(-1, 3)))[:, 0]
        return (leaky_density(a) * (2 / self.domain.length)).view(x.shape[:-1])

    def geometry(self, x: Float[Tensor, "*n 3"]) -> tuple[Tensor, Tensor | None]:
        """Log-density per box length, and the feature."""
        h = self._trunk(x.reshape(-1, 3))
        s = log_density(self.density_head(h)[:, 0] * 2)
        feature = self.feature(h)
        return s.view(x.shape[:-1]), feature.view(*x.shape[:-1], feature.shape[-1])

    def forward(
        self, x: Float[Tensor, "*n 3"], directions: Float[Tensor, "*n 3"]
    ) -> RadianceSample:
        """Density and colour at world points x seen along unit directions."""
        h = self._trunk(x.reshape(-1, 3))
        view = octaves(directions.reshape(-1, 3), self.config.direction_octaves)
        feature, a = self.feature(h), self.density_head(h)[:, 0]
        rgb = self.color(torch.cat([feature, view], -1)).sigmoid()
        density = leaky_density(a) * (2 / self.domain.length)
        shape = x.shape[:-1]
        return RadianceSample(
            density.view(shape),
            rgb.view(x.shape),
            log_density(a * 2).view(shape),
            feature.view(*shape, feature.shape[-1]),
        )

    def intermediate_features(self, x: Float[Tensor, "n d"]) -> tuple[Tensor, ...]:
        """The trunk before its skip and at its end."""
        seen = octaves(self.domain(x) * 2 - 1, self.config.octaves)
        before, end = self.trunk.intermediate_features(seen)
        return before, end.relu()
