"""Multiresolution hash grid encoding (Mueller et al.

2022). The op and its symbols are in kernels/hash_grid.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from polyfield.encodings.base import Encoding
from polyfield.encodings.grid_table import GridTable
from polyfield.encodings.kernels.hash_grid import Levels, hash_grid
from polyfield.encodings.shader_pass import Number, Passes, ShaderPass
from polyfield.errors import InputError
from polyfield.ranges import OneOf, Range


@dataclass(frozen=True)
class HashGrid:
    """Features at the corners of grids of growing resolution.

    Fine grids share entries by hashing.
    """

    levels: Annotated[int, Range(1, 32)] = 16
    """L, number of grids."""
    features: Annotated[int, OneOf((1, 2, 4, 8))] = 2
    """F, values an entry: 1, 2, 4 or 8."""
    log2_size: Annotated[int, Range(1, 24)] = 19
    """Entries of a level are capped at 2^log2_size."""
    base_resolution: Annotated[int, Range(1, 1 << 20)] = 16
    """Resolution of the coarsest grid."""
    finest_resolution: Annotated[int, Range(1, 1 << 20)] = 2048
    """Resolution of the finest grid; each is finer than the last by the same factor."""
    interpolation: Literal["linear", "smoothstep"] = "linear"
    """Weights between corners. Smoothstep has a continuous gradient in the coordinates."""

    def build(self, in_dim: int) -> HashGridEncoding:
        """The module for d = in_dim from 1 to 4."""
        levels = self.geometry(in_dim)
        return HashGridEncoding(levels, self.features, self.interpolation == "smoothstep")

    def geometry(self, in_dim: int) -> Levels:
        """The levels for d = in_dim."""
        if not 1 <= self.log2_size <= 24:
            raise InputError("log2_size from 1 to 24", str(self.log2_size), "change it")
        resolutions = (self.base_resolution, self.finest_resolution)
        return grids(in_dim, self.levels, self.features, resolutions, self.log2_size)


def grids(
    in_dim: int, count: int, features: int, resolutions: tuple[int, int], log2_size: int
) -> Levels:
    """Grids of growing resolution, from the coarsest to the finest by equal factors.

    Raises:
        InputError: the kernels have no such grids.
    """
    if in_dim not in (1, 2, 3, 4):
        raise InputError("1 to 4 coordinates for a grid", str(in_dim), "use another encoding")
    if features not in (1, 2, 4, 8):
        raise InputError("features of 1, 2, 4 or 8", str(features), "pick one of these")
    if count < 1:
        raise InputError("levels >= 1", str(count), "raise it")
    coarsest, finest = resolutions
    if not 1 <= coarsest <= finest:
        raise InputError(
            "1 <= base_resolution <= finest_resolution", f"{coarsest} and {finest}", "change them"
        )
    return Levels.make(in_dim, count, coarsest, growth(count, resolutions), log2_size)


def growth(count: int, resolutions: tuple[int, int]) -> float:
    """The factor between `count` levels from the coarsest to the finest resolution."""
    coarsest, finest = resolutions
    return (finest / coarsest) ** (1 / (count - 1)) if count > 1 else 1.0


class HashGridEncoding(Encoding):
    """x in [0,1]^d -> L * F features, coarse levels first."""

    ordered = True

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

    def grid_table(self) -> GridTable:
        """All of it."""
        return GridTable(self.table, self.levels, self.features, self.smooth)

    def passes(self) -> Passes | None:
        """One, that looks entries up."""
        if self.in_dim != 2:
            return None
        levels, starts = self.levels, [0]
        for size in levels.sizes:
            starts.append(starts[-1] + size)
        columns = zip(levels.resolutions, levels.sizes, starts, levels.hashed, strict=False)
        numbers: dict[str, Number] = {
            "features": self.features,
            "levels": len(levels.scales),
            "smoothed": self.smooth,
            "scales": list(levels.scales),
            "shapes": [int(value) for shape in columns for value in shape],
        }
        texels = self.table.detach().float().cpu().view(-1, min(self.features, 4))
        return (ShaderPass("grid", self.out_dim, numbers, texels, is_table=True),)

    def intermediate_features(self, x: Float[Tensor, "n d"]) -> tuple[Tensor, ...]:
        """The coarser third of the levels, two thirds, all of them."""
        values, levels = self(x), len(self.levels.scales)
        counts = dict.fromkeys(max(1, levels * part // 3) for part in (1, 2, 3))
        return tuple(values[:, : count * self.features] for count in counts)
