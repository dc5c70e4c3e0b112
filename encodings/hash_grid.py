"""Multiresolution hash grid encoding (Mueller et al.

2022). The op and its symbols are in kernels/hash_grid.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from polyfield.encodings.base import Encoding
from polyfield.encodings.errors import InputError
from polyfield.encodings.kernels.hash_grid import Levels, hash_grid


@dataclass(frozen=True)
class HashGrid:
    """Features at the corners of grids of growing resolution.

    Fine grids share entries by hashing.
    """

    levels: int = 16
    """L, number of grids."""
    features: int = 2
    """F, values an entry: 1, 2, 4 or 8."""
    log2_size: int = 19
    """Entries of a level are capped at 2^log2_size."""
    base_resolution: int = 16
    """Resolution of the coarsest grid."""
    finest_resolution: int = 2048
    """Resolution of the finest grid; each is finer than the last by the same factor."""
    interpolation: Literal["linear", "smoothstep"] = "linear"
    """Weights between corners. Smoothstep has a continuous gradient in the coordinates."""

    def build(self, in_dim: int) -> HashGridEncoding:
        """The module for d = in_dim in 2, 3, 4."""
        if in_dim not in (2, 3, 4):
            raise InputError(
                "2, 3 or 4 coordinates for HashGrid", str(in_dim), "use another encoding"
            )
        if self.features not in (1, 2, 4, 8):
            raise InputError("features of 1, 2, 4 or 8", str(self.features), "pick one of these")
        if self.levels < 1 or not 1 <= self.log2_size <= 24:
            raise InputError(
                "levels >= 1 and log2_size from 1 to 24",
                f"levels {self.levels}, log2_size {self.log2_size}",
                "change them",
            )
        if not 1 <= self.base_resolution <= self.finest_resolution:
            raise InputError(
                "1 <= base_resolution <= finest_resolution",
                f"{self.base_resolution} and {self.finest_resolution}",
                "change them",
            )
        growth = 1.0
        if self.levels > 1:
            growth = (self.finest_resolution / self.base_resolution) ** (1 / (self.levels - 1))
        levels = Levels.make(in_dim, self.levels, self.base_resolution, growth, self.log2_size)
        return HashGridEncoding(levels, self.features, self.interpolation == "smoothstep")


class HashGridEncoding(Encoding):
    """x in [0,1]^d -> L * F features, coarse levels first."""

    def __init__(self, levels: Levels, features: int, smooth: bool) -> None:
        super().__init__()
        self.in_dim, self.out_dim = levels.dim, len(levels.scales) * features
        self.levels, self.features, self.smooth = levels, features, smooth
        # U(-1e-4, 1e-4): Mueller et al. 2022, section 4.
        self.table = nn.Parameter(torch.empty(levels.entries * features).uniform_(-1e-4, 1e-4))

    def tables(self) -> list[nn.Parameter]:
        """The grid entries."""
        return [self.table]

    def forward(self, x: Float[Tensor, "*n d"]) -> Float[Tensor, "*n c"]:
        """Features of x in [0,1]^d (clamped)."""
        values = hash_grid(
            x.reshape(-1, self.in_dim), self.table, self.levels, self.features, self.smooth
        )
        return values.view(*x.shape[:-1], self.out_dim)
