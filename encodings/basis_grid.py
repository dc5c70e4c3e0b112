"""The basis of DiF-Grid (Chen et al. 2023), as Gaussian neural fields use it (Bouzidi et al. 2025).

Symbols: level l has a grid of resolution R_l and C_l channels, tiled f_l times along each axis: it
is read at the sawtooth u = 2 ((f_l x) mod 1) - 1 in [-1,1] of x in [0,1], linearly interpolated,
cells centred (PyTorch's align_corners=False), border values beyond. A point's features are those of
all levels side by side; tiles of different sizes tell points apart that share a place in some.

The released GNF code tiles as often as the grid is fine (f = R) and overlooks its own frequencies
2 ... 8, which are Factor Fields'; neither multiplies with a coefficient grid here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from polyfield.encodings.base import Encoding
from polyfield.errors import InputError
from polyfield.ranges import Count, Range, check


@dataclass(frozen=True)
class BasisGrid:
    """Small grids, each tiled over the domain at its own frequency."""

    channels: Annotated[tuple[int, ...], Range(1, 64), Count(1, 32)] = (4, 4, 4, 2, 2, 2)
    """C, values of a grid's entry, by level."""
    resolutions: Annotated[tuple[int, ...], Range(1, 4096), Count(1, 32)] = (
        32, 51, 70, 89, 108, 128,
    )  # fmt: skip
    """R, cells of a grid along an axis, by level."""
    frequencies: Annotated[tuple[float, ...], Range(0, 1e6, above=True), Count(1, 32)] = (
        2.0, 3.2, 4.4, 5.6, 6.8, 8.0,
    )  # fmt: skip
    """F, tiles along an axis, by level."""

    def build(self, in_dim: int) -> BasisGridEncoding:
        """The module for d = in_dim in 1, 2, 3."""
        check(self)
        if in_dim not in (1, 2, 3):
            raise InputError("1 to 3 coordinates for BasisGrid", str(in_dim), "use another one")
        counts = {len(self.channels), len(self.resolutions), len(self.frequencies)}
        if len(counts) > 1:
            raise InputError(
                "channels, resolutions and frequencies of as many levels",
                f"{len(self.channels)}, {len(self.resolutions)} and {len(self.frequencies)}",
                "give each level one of each",
            )
        return BasisGridEncoding(self.channels, self.resolutions, self.frequencies, in_dim)


class BasisGridEncoding(Encoding):
    """x in [0,1]^d -> sum of C features, level by level."""

    frequencies: Tensor

    def __init__(
        self,
        channels: tuple[int, ...],
        resolutions: tuple[int, ...],
        frequencies: tuple[float, ...],
        in_dim: int,
    ) -> None:
        super().__init__()
        self.in_dim, self.out_dim = in_dim, sum(channels)
        self.ordered = list(resolutions) == sorted(resolutions)
        # Axes of a grid are [channel, (z, y,) x].
        self.grids = nn.ParameterList(
            torch.randn(c, *[r] * in_dim) for c, r in zip(channels, resolutions, strict=True)
        )
        self.register_buffer("frequencies", torch.tensor(frequencies), persistent=False)

    def tables(self) -> list[nn.Parameter]:
        """The grids."""
        return list(self.grids)

    def forward(self, x: Float[Tensor, "*n d"]) -> Float[Tensor, "*n c"]:
        """Features of x in [0,1]^d."""
        flat = x.reshape(-1, self.in_dim)
        tiled = flat * self.frequencies[:, None, None]
        u = (tiled - tiled.detach().floor()) * 2 - 1
        grids = list(self.grids)
        if self.in_dim == 1:
            # Torch has no grid of one axis: the only row of an image.
            u, grids = torch.cat([u, torch.zeros_like(u)], -1), [g[:, None] for g in grids]
        # grid_sample wants [1, (1,) 1, n, d] and gives [1, c, (1,) 1, n].
        axes = u.shape[-1]
        found = [
            functional.grid_sample(
                grid[None],
                place.view(*[1] * axes, -1, axes),
                padding_mode="border",
                align_corners=False,
            ).view(grid.shape[0], -1)
            for grid, place in zip(grids, u, strict=True)
        ]
        return torch.cat(found).T.reshape(*x.shape[:-1], self.out_dim)
