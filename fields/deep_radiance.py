"""PVD's deep radiance field: a deep network takes the place of instant-ngp's grid.

Source: Fang et al. 2023 (PVD), released code. Symbols: p in [-1,1]^3 the point; e = trunk of
octaves(p), without an activation; then the two networks of `Radiance` on e. Heads and feature are
those of `Radiance`, so that a pair of the two shares them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from jaxtyping import Float
from torch import Tensor

from polyfield.encodings import EncodingConfig
from polyfield.encodings.base import Encoding
from polyfield.encodings.domain import Domain
from polyfield.encodings.spherical_harmonics import SphericalHarmonics
from polyfield.fields.networks.mlp import MLP
from polyfield.fields.networks.octaves import octaves, width
from polyfield.fields.networks.trunk import Trunk
from polyfield.fields.radiance import RadianceMLPField
from polyfield.ranges import Range, check


@dataclass(frozen=True)
class DeepRadiance:
    """Octaves and a deep network -> density and a feature; these and the direction -> colour."""

    octaves: Annotated[int, Range(0, 32)] = 10
    """Octaves of the positional encoding, without pi."""
    trunk: Annotated[int, Range(1, 8192)] = 256
    """Width of the deep network."""
    layers: Annotated[int, Range(2, 64)] = 8
    """Linear layers of the deep network."""
    skip: Annotated[int, Range(1, 63)] = 4
    """Layer, counted from 0, that sees the encoded point again."""
    out: Annotated[int, Range(1, 4096)] = 28
    """Outputs of the deep network."""
    direction: EncodingConfig = field(default_factory=SphericalHarmonics)
    """Encoding of the viewing direction."""
    hidden: Annotated[int, Range(1, 8192)] = 64
    """Width of the layers behind the deep network."""
    feature: Annotated[int, Range(1, 1024)] = 16
    """Outputs of the density network; the first is the log-density."""

    def build(self, domain: Domain) -> RadianceMLPField:
        """A field over a domain; torch draws its first parameters."""
        check(self)
        deep = DeepEncoding(
            domain.dim,
            self.octaves,
            Trunk(width(domain.dim, self.octaves), self.trunk, self.layers, self.skip, self.out),
        )
        direction = self.direction.build(3)
        density = MLP([self.out, self.hidden, self.feature])
        color = MLP([self.feature + direction.out_dim, self.hidden, self.hidden, 3])
        return RadianceMLPField(domain, deep, direction, density, color)


class DeepEncoding(Encoding):
    """x in [0,1]^d -> what the deep network makes of octaves of p = 2x - 1."""

    def __init__(self, in_dim: int, count: int, trunk: Trunk) -> None:
        super().__init__()
        self.in_dim, self.out_dim, self.count = in_dim, trunk.out_dim, count
        self.trunk = trunk

    def forward(self, x: Float[Tensor, "*n d"]) -> Float[Tensor, "*n c"]:
        """Features of x."""
        last = self.intermediate_features(x.reshape(-1, self.in_dim))[-1]
        return last.view(*x.shape[:-1], self.out_dim)

    def intermediate_features(self, x: Float[Tensor, "n d"]) -> tuple[Tensor, ...]:
        """The trunk before its skip and at its end."""
        return self.trunk.intermediate_features(octaves(x * 2 - 1, self.count))
