"""Dense multiresolution grid: the hash grid without a cap on its levels, so that nothing is shared.

It is tiny-cuda-nn's grid of type "dense". The op and its symbols are in kernels/hash_grid.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from polyfield.encodings.hash_grid import HashGridEncoding, grids
from polyfield.errors import InputError
from polyfield.ranges import OneOf, Range

MOST = 1 << 27
"""Most values of a dense grid: half a gigabyte, and three times that for the optimiser."""


@dataclass(frozen=True)
class DenseGrid:
    """Features at the corners of grids of growing resolution, every corner with its own."""

    levels: Annotated[int, Range(1, 32)] = 4
    """L, number of grids."""
    features: Annotated[int, OneOf((1, 2, 4, 8))] = 4
    """F, values an entry: 1, 2, 4 or 8."""
    base_resolution: Annotated[int, Range(1, 1 << 20)] = 16
    """Resolution of the coarsest grid."""
    finest_resolution: Annotated[int, Range(1, 1 << 20)] = 64
    """Resolution of the finest grid; each is finer than the last by the same factor."""

    def build(self, in_dim: int) -> HashGridEncoding:
        """The module for d = in_dim from 1 to 4."""
        # A cap that no level below MOST reaches.
        resolutions = (self.base_resolution, self.finest_resolution)
        levels = grids(in_dim, self.levels, self.features, resolutions, 31)
        if levels.entries * self.features > MOST or any(levels.hashed):
            raise InputError(
                f"a dense grid of at most {MOST} values",
                str(levels.entries * self.features),
                "lower finest_resolution, or use HashGrid",
            )
        return HashGridEncoding(levels, self.features, smooth=False)
