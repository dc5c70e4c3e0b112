"""Dense multiresolution grid: the hash grid without a cap on its levels, so that nothing is shared.

It is tiny-cuda-nn's grid of type "dense". The op and its symbols are in kernels/hash_grid.py.
"""

from __future__ import annotations

from dataclasses import dataclass

from polyfield.encodings.errors import InputError
from polyfield.encodings.hash_grid import HashGridEncoding
from polyfield.encodings.kernels.hash_grid import Levels

MOST = 1 << 27
"""Most values of a dense grid: half a gigabyte, and three times that for the optimiser."""


@dataclass(frozen=True)
class DenseGrid:
    """Features at the corners of grids of growing resolution, every corner with its own."""

    levels: int = 4
    """L, number of grids."""
    features: int = 4
    """F, values an entry: 1, 2, 4 or 8."""
    base_resolution: int = 16
    """Resolution of the coarsest grid."""
    finest_resolution: int = 64
    """Resolution of the finest grid; each is finer than the last by the same factor."""

    def build(self, in_dim: int) -> HashGridEncoding:
        """The module for d = in_dim in 2, 3, 4."""
        if in_dim not in (2, 3, 4):
            raise InputError(
                "2, 3 or 4 coordinates for DenseGrid", str(in_dim), "use another encoding"
            )
        if self.features not in (1, 2, 4, 8):
            raise InputError("features of 1, 2, 4 or 8", str(self.features), "pick one of these")
        if self.levels < 1:
            raise InputError("levels >= 1", str(self.levels), "raise it")
        if not 1 <= self.base_resolution <= self.finest_resolution:
            raise InputError(
                "1 <= base_resolution <= finest_resolution",
                f"{self.base_resolution} and {self.finest_resolution}",
                "change them",
            )
        growth = 1.0
        if self.levels > 1:
            growth = (self.finest_resolution / self.base_resolution) ** (1 / (self.levels - 1))
        # A cap that no level below MOST reaches.
        levels = Levels.make(in_dim, self.levels, self.base_resolution, growth, 31)
        if levels.entries * self.features > MOST or any(levels.hashed):
            raise InputError(
                f"a dense grid of at most {MOST} values",
                str(levels.entries * self.features),
                "lower finest_resolution, or use HashGrid",
            )
        return HashGridEncoding(levels, self.features, smooth=False)
