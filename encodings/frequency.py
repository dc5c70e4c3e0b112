"""Positional encoding (Mildenhall et al. 2020, eq. 4).

Symbols: x in [0,1]^d is mapped to p = 2x - 1; F octaves; features sin(2^k pi p_j), cos(2^k pi p_j)
    for k < F.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

import torch
from jaxtyping import Float
from torch import Tensor

from polyfield.encodings.base import Encoding
from polyfield.encodings.shader_pass import Passes, ShaderPass
from polyfield.ranges import Range, check


@dataclass(frozen=True)
class Frequency:
    """Sines and cosines of octaves of the coordinates."""

    octaves: Annotated[int, Range(1, 32)] = 10
    """F, number of octaves."""
    identity: bool = True
    """Also pass the coordinates (in [-1,1]) on."""

    def build(self, in_dim: int) -> FrequencyEncoding:
        """The module for d = in_dim."""
        check(self)
        return FrequencyEncoding(in_dim, self.octaves, self.identity)


class FrequencyEncoding(Encoding):
    """Channels: [p] if identity, then for each octave sin of all axes, cos of all axes."""

    ordered = True

    scales: Tensor

    def __init__(self, in_dim: int, octaves: int, identity: bool) -> None:
        super().__init__()
        self.in_dim = in_dim
        self.octaves, self.identity = octaves, identity
        self.out_dim = in_dim * (2 * octaves + int(identity))
        scales = math.pi * 2.0 ** torch.arange(octaves)
        self.register_buffer("scales", scales, persistent=False)

    def forward(self, x: Float[Tensor, "*n d"]) -> Float[Tensor, "*n c"]:
        """Features of x in [0,1]^d."""
        p = x * 2 - 1
        angles = p[..., None, :] * self.scales.to(x.dtype)[:, None]
        waves = torch.stack([angles.sin(), angles.cos()], -2).flatten(-3)
        return torch.cat([p, waves], -1) if self.identity else waves

    def passes(self) -> Passes | None:
        """One."""
        if self.in_dim != 2:
            return None
        numbers = {"identity": self.identity, "octaves": self.octaves}
        return (ShaderPass("octaves", self.out_dim, numbers),)
