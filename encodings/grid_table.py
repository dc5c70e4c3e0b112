"""What a grid encoding reads, for kernels that do more than encode in one pass."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from polyfield.encodings.kernels.hash_grid import Levels, hash_grid


@dataclass(frozen=True)
class GridTable:
    """A multiresolution grid: its entries and how they lie; see kernels/hash_grid.py."""

    table: Float[Tensor, "p"]
    """[levels.entries * features]."""
    levels: Levels
    features: int
    """F, values an entry."""
    smooth: bool
    """Weigh with smoothstep instead of linearly."""

    def __call__(self, x: Float[Tensor, "n d"]) -> Float[Tensor, "n c"]:
        """Features of points in [0,1]^d (clamped)."""
        return hash_grid(x, self.table, self.levels, self.features, self.smooth)
