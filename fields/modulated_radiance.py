"""A NeRF whose layers are modulated by planes and by the viewing direction (CAM, Lee et al. 2024).

Symbols: layer l of the L-layer trunk turns h into relu(gamma_l * (W_l h + b_l) + beta_l); gamma_l
and beta_l are products of three planes of scalars over xy, xz and yz of u in [0,1]^3, as in the
authors' nerfacc code: without a norm. The hidden layer of colour is modulated likewise by a grid
over azimuth and elevation of the direction, as in their mip-NeRF.

Their code is mended in three places. Two of the beta planes start at 1, one at 0: three zeros
have no gradient. Elevation uses the whole grid, and azimuth wraps around. The grids are a group of
their own, for the tenfold rate that was meant. Directions modulate colour alone, so that density
depends on nothing but position, and density is an exponential, as in our other fields.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Annotated

import torch
from jaxtyping import Float
from torch import Tensor, nn

from polyfield.encodings import EncodingConfig
from polyfield.encodings.base import Encoding
from polyfield.encodings.domain import Domain
from polyfield.encodings.frequency import Frequency
from polyfield.errors import InputError
from polyfield.fields.base import RadianceField, RadianceSample
from polyfield.fields.kernels.modulate import modulate
from polyfield.fields.modulated import lookup
from polyfield.fields.networks.activations import truncated_exp
from polyfield.fields.networks.linear import Linear
from polyfield.ranges import Range, check

PLANES = ((0, 1), (0, 2), (1, 2))


@dataclass(frozen=True)
class ModulatedRadiance:
    """NeRF's network, its layers scaled and shifted by planes and its colour by directions."""

    position: EncodingConfig = field(default_factory=Frequency)
    """Encoding of the point."""
    direction: EncodingConfig = field(default_factory=lambda: Frequency(octaves=4))
    """Encoding of the viewing direction."""
    hidden: Annotated[int, Range(1, 8192)] = 256
    """Width of the trunk."""
    layers: Annotated[int, Range(1, 64)] = 8
    """L, layers of the trunk."""
    skip: Annotated[int, Range(0, 63)] = 4
    """The trunk sees the point again after this many layers; 0 for never."""
    color_hidden: Annotated[int, Range(1, 8192)] = 128
    """Width of the one hidden layer of colour."""
    planes: Annotated[int, Range(2, 8192)] = 512
    """Nodes of a plane, an axis."""
    azimuths: Annotated[int, Range(1, 4096)] = 10
    """Nodes of the direction's grid around the z axis."""
    elevations: Annotated[int, Range(2, 4096)] = 3
    """Nodes of the direction's grid from -z to z."""

    def build(self, domain: Domain) -> ModulatedRadianceField:
        """A field over a domain; torch draws its first parameters."""
        check(self)
        if self.skip >= self.layers:
            raise InputError(
                "a skip below layers, or 0 for none", f"{self.skip} of {self.layers}", "change it"
            )
        position, direction = self.position.build(domain.dim), self.direction.build(3)
        return ModulatedRadianceField(self, domain, position, direction)


def _linear(n_in: int, n_out: int) -> Linear:
    """Xavier-uniform weights, biases 0: eight layers without a norm keep their scale."""
    layer = Linear(n_in, n_out)
    nn.init.xavier_uniform_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


class ModulatedRadianceField(RadianceField):
    """A trunk, a density head and a colour branch.

    `planes` [3, 2L, R, R] and `sphere` [2, azimuths, elevations] hold gammas, then betas.
    """

    def __init__(
        self, config: ModulatedRadiance, domain: Domain, position: Encoding, direction: Encoding
    ) -> None:
        super().__init__()
        self.domain, self.position, self.direction = domain, position, direction
        self.takes_errors, self.takes_points = position.takes_errors, position.takes_points
        self.skip = config.skip
        width, seen = config.hidden, position.out_dim
        self.trunk = nn.ModuleList(
            _linear(seen if i == 0 else width + seen * (i == config.skip), width)
            for i in range(config.layers)
        )
        self.density_head, self.feature = _linear(width, 1), _linear(width, width)
        self.color_hidden = _linear(width + direction.out_dim, config.color_hidden)
        self.color = _linear(config.color_hidden, 3)
        planes = torch.ones(3, 2 * config.layers, config.planes, config.planes)
        planes[2, config.layers :] = 0
        self.planes = nn.Parameter(planes)
        sphere = torch.ones(2, config.azimuths, config.elevations)
        sphere[1] = 0
        self.sphere = nn.Parameter(sphere)

    def groups(self) -> dict[str, list[nn.Parameter]]:
        """The encodings' tables, the grids of the modulation, and everything else."""
        tables = self.position.tables() + self.direction.tables()
        modulation = [self.planes, self.sphere]
        held = {id(p) for p in tables + modulation}
        network = [p for p in self.parameters() if id(p) not in held]
        return {"table": tables, "network": network, "modulation": modulation}

    def _trunk(self, x: Float[Tensor, "n 3"]) -> Float[Tensor, "n k"]:
        u = self.domain(x)
        seen = h = self.position(u)
        sides = torch.stack([u[:, axes] for axes in PLANES])
        scale, shift = lookup(self.planes, sides).prod(0).chunk(2)
        for i, (layer, gamma, beta) in enumerate(zip(self.trunk, scale, shift, strict=True)):
            h = torch.cat([h, seen], -1) if i == self.skip and i > 0 else h
            h = modulate(layer(h), gamma, beta, False)
        return h

    def density(self, x: Float[Tensor, "*n 3"]) -> Float[Tensor, "*n"]:
        """Density per world unit, without the feature of colour."""
        v = self.density_head(self._trunk(x.reshape(-1, 3)))
        return (v.exp() / self.domain.length).view(x.shape[:-1])

    def geometry(self, x: Float[Tensor, "*n 3"]) -> tuple[Tensor, Tensor | None]:
        """Log-density and the feature of colour."""
        h = self._trunk(x.reshape(-1, 3))
        feature = self.feature(h)
        shape = x.shape[:-1]
        return self.density_head(h).view(shape), feature.view(*shape, feature.shape[-1])

    def forward(
        self, x: Float[Tensor, "*n 3"], directions: Float[Tensor, "*n 3"]
    ) -> RadianceSample:
        """Density and colour at world points x seen along unit directions."""
        h = self._trunk(x.reshape(-1, 3))
        flat = directions.reshape(-1, 3)
        feature = self.feature(h)
        seen = torch.cat([feature, self.direction((flat + 1) / 2)], -1)
        scale, shift = self._modulation_of(flat)
        rgb = self.color(modulate(self.color_hidden(seen), scale, shift, False)).sigmoid()
        s = self.density_head(h).view(x.shape[:-1])
        density = truncated_exp(s) / self.domain.length
        feature = feature.view(*x.shape[:-1], feature.shape[-1])
        return RadianceSample(density, rgb.view(x.shape), s, feature)

    def intermediate_features(self, x: Float[Tensor, "n d"]) -> tuple[Tensor, ...]:
        """The trunk's outputs."""
        return (self._trunk(x),)

    def _modulation_of(
        self, directions: Float[Tensor, "n 3"]
    ) -> tuple[Float[Tensor, "n"], Float[Tensor, "n"]]:
        """Gamma and beta of directions; the grid's first azimuth is also the one after its last."""
        x, y, z = directions.unbind(-1)
        azimuth = torch.atan2(y, x) / (2 * math.pi) + 0.5
        elevation = torch.atan2(z, torch.hypot(x, y)) / math.pi + 0.5
        around = torch.cat([self.sphere, self.sphere[:, :1]], 1)
        found = lookup(around[None], torch.stack([azimuth, elevation], -1)[None])[0]
        return found[0], found[1]

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
