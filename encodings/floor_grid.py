"""The hash grid that nerfstudio computes with PyTorch alone: vertices at whole numbers, all hashed.

Facts of the program (field_components/encodings.py), for files that were trained with it. Symbols:
resolution r_l = floor(N_0 b^l), in float32; position p = x r_l of a point x in [0,1]^d; an entry is
xor_j (c_j prime_j) mod 2^T at every level, coarse ones too; linear weights between the corners.
`GrowthGrid` is tiny-cuda-nn's: half a cell further, and dense where it fits. In plain torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from jaxtyping import Float
from torch import Tensor, nn

from polyfield.encodings.base import Encoding
from polyfield.encodings.hash_grid import growth
from polyfield.encodings.kernels.hash_grid import corner_bits, corner_indices
from polyfield.errors import InputError
from polyfield.ranges import OneOf, Range, check


@dataclass(frozen=True)
class FloorGrid:
    """Grids whose vertices are at whole numbers of cells, each level hashed; linear weights."""

    levels: Annotated[int, Range(1, 32)] = 8
    """L, number of grids."""
    features: Annotated[int, OneOf((1, 2, 4, 8))] = 4
    """F, values an entry: 1, 2, 4 or 8."""
    log2_size: Annotated[int, Range(1, 24)] = 16
    """Each level has 2^log2_size entries."""
    base_resolution: Annotated[int, Range(1, 1 << 20)] = 16
    """Cells along an axis of the coarsest grid."""
    finest_resolution: Annotated[int, Range(1, 1 << 20)] = 1024
    """Cells of the finest one, but for rounding."""

    def build(self, in_dim: int) -> FloorGridEncoding:
        """The module for d = in_dim from 1 to 3.

        Raises:
            InputError: there are no such grids.
        """
        check(self)
        if in_dim not in (1, 2, 3):
            raise InputError("1 to 3 coordinates for FloorGrid", str(in_dim), "use HashGrid")
        if self.finest_resolution < self.base_resolution:
            raise InputError(
                "base_resolution <= finest_resolution",
                f"{self.base_resolution} and {self.finest_resolution}",
                "change them",
            )
        return FloorGridEncoding(in_dim, self)


class FloorGridEncoding(Encoding):
    """x in [0,1]^d -> L * F features, coarse levels first."""

    ordered = True

    def __init__(self, in_dim: int, config: FloorGrid) -> None:
        super().__init__()
        self.in_dim, self.out_dim = in_dim, config.levels * config.features
        self.features, self.entries = config.features, 1 << config.log2_size
        factor = growth(config.levels, (config.base_resolution, config.finest_resolution))
        # In float32, as the program works them out: it decides where a whole number is rounded to.
        powers = torch.tensor(factor, dtype=torch.float32) ** torch.arange(config.levels)
        self.resolutions = (config.base_resolution * powers).floor().long().tolist()
        values = config.levels * self.entries * config.features
        self.table = nn.Parameter(torch.empty(values).uniform_(-1e-3, 1e-3))

    def tables(self) -> list[nn.Parameter]:
        """The grid entries."""
        return [self.table]

    def forward(self, x: Float[Tensor, "*n d"]) -> Float[Tensor, "*n c"]:
        """Features of x in [0,1]^d (clamped)."""
        flat = x.reshape(-1, self.in_dim).clamp(0, 1)
        table = self.table.view(-1, self.features)
        bits, found = corner_bits(self.in_dim, x.device).bool(), []
        for level, resolution in enumerate(self.resolutions):
            position = flat * resolution
            cell = position.detach().floor()
            part = position - cell
            weight = torch.where(bits, part[:, None, :], 1 - part[:, None, :]).prod(-1)
            whole = cell.nan_to_num(0).to(torch.int64)
            index = corner_indices(whole, resolution, self.entries, True) + level * self.entries
            found.append((weight[..., None] * table[index]).sum(1))
        return torch.cat(found, -1).view(*x.shape[:-1], self.out_dim)

    def intermediate_features(self, x: Float[Tensor, "n d"]) -> tuple[Tensor, ...]:
        """The coarser third of the levels, two thirds, all of them."""
        values, levels = self(x), len(self.resolutions)
        counts = dict.fromkeys(max(1, levels * part // 3) for part in (1, 2, 3))
        return tuple(values[:, : count * self.features] for count in counts)
