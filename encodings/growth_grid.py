"""The hash grid of `HashGrid`, told by the factor between its levels in place of the finest one.

Files of instant-ngp and tiny-cuda-nn have the factor, in float32: a last bit of it decides the
resolution of levels, and so where all others begin. The op is in kernels/hash_grid.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from polyfield.encodings.hash_grid import HashGridEncoding
from polyfield.encodings.kernels.hash_grid import Levels
from polyfield.errors import InputError
from polyfield.ranges import OneOf, Range, check

FINEST = float(1 << 22)
"""Largest scale of a level."""


@dataclass(frozen=True)
class GrowthGrid:
    """A hash grid whose levels are finer by a given factor, linear weights."""

    levels: Annotated[int, Range(1, 32)] = 8
    """L, number of grids."""
    features: Annotated[int, OneOf((1, 2, 4, 8))] = 4
    """F, values an entry: 1, 2, 4 or 8."""
    log2_size: Annotated[int, Range(1, 24)] = 19
    """Entries of a level are capped at 2^log2_size."""
    base_resolution: Annotated[int, Range(1, 1 << 20)] = 16
    """Resolution of the coarsest grid."""
    growth: Annotated[float, Range(1, 1024)] = 2.0
    """b, how many times finer each level is than the last; rounded to float32."""

    def build(self, in_dim: int) -> HashGridEncoding:
        """The module for d = in_dim from 1 to 4."""
        check(self)
        return HashGridEncoding(self.geometry(in_dim), self.features, False)

    def geometry(self, in_dim: int) -> Levels:
        """The levels for d = in_dim.

        Raises:
            InputError: there are no such grids.
        """
        if in_dim not in (1, 2, 3, 4):
            raise InputError("1 to 4 coordinates for a grid", str(in_dim), "use another encoding")
        if self.base_resolution * self.growth ** (self.levels - 1) > FINEST:
            raise InputError(
                f"grids of at most {FINEST:.0f} cells an axis", "finer ones", "lower growth"
            )
        return Levels.make(in_dim, self.levels, self.base_resolution, self.growth, self.log2_size)
