"""Plenoxels: density and spherical harmonics at the vertices of a grid, and no network.

Source: Fridovich-Keil et al. 2022 (Plenoxels), released code. Symbols: R cells an axis of the
finest grid; s trilinear value of the density's vertices; density = max(s, 0) SCALE per box length;
rgb = clip(sum_k c_k SH_k(direction) + 0.5, 0, 1), c trilinear.

Plenoxels trains a coarse grid and then cuts its cells in eight. Here the grid is a sum of grids of
R, R / 2, R / 4 ... cells, and progress reveals the finer ones, which start at 0: the sum at the
moment of refinement is what the cut would give. The vertices of a coarse grid are vertices of the
finer ones, so that the sum is a trilinear grid of R cells, too. Parameters keep their shapes for
the optimiser and for resuming, and a coarse grid still moves many vertices at once later on.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

import torch
from jaxtyping import Float
from torch import Tensor, nn

from polyfield.encodings.domain import Domain
from polyfield.encodings.kernels.factored import Factors, factored
from polyfield.encodings.kernels.spherical_harmonics import MAX_DEGREE, spherical_harmonics
from polyfield.errors import InputError
from polyfield.fields.base import RadianceField, RadianceSample
from polyfield.fields.networks.activations import clip, log_density
from polyfield.ranges import Range, check

SCALE = 100.0
"""Density per box length of a vertex of value 1.

Values of density and of colour then are of one size, and one rate suits both: released rates are 30
for densities of some thousands and 0.01 for colours.
"""
MOST = 1 << 28
"""Most values of all grids together."""


@dataclass(frozen=True)
class Voxels:
    """Trilinear grids of density and of spherical harmonics."""

    cells: Annotated[int, Range(1, 1024)] = 64
    """R, cells an axis of the finest grid; Plenoxels goes from 256 to 512."""
    levels: Annotated[int, Range(1, 10)] = 3
    """Grids that are summed, each of half the cells of the next."""
    bands: Annotated[int, Range(1, MAX_DEGREE)] = 3
    """Bands of the harmonics, 1 to 4; Plenoxels has 3, that is degree 2."""
    grown: Annotated[float, Range(0, 1, below=True)] = 0.4
    """Share of training after which all grids are there."""
    density: Annotated[float, Range(0, 1e6, above=True)] = 0.1
    """Density at the start, per box length."""

    def build(self, domain: Domain) -> VoxelField:
        """A field over a domain; torch draws its first parameters."""
        check(self)
        step = 2 ** (self.levels - 1)
        if self.cells % step:
            raise InputError(
                "cells that 2^(levels - 1) divides",
                f"levels {self.levels}, cells {self.cells}",
                f"for instance cells {max(1, self.cells // step) * step}",
            )
        values = (self.cells + 1) ** 3 * (1 + 3 * self.bands**2)
        if values > MOST:
            raise InputError(f"at most {MOST} values", str(values), "lower cells or bands")
        return VoxelField(domain, self)


class VoxelField(RadianceField):
    """Grids of density and of colour, coarse ones first."""

    def __init__(self, domain: Domain, config: Voxels) -> None:
        super().__init__()
        self.domain, self.config = domain, config
        self.active = config.levels
        """Grids that count so far."""
        cells = [config.cells >> (config.levels - 1 - level) for level in range(config.levels)]
        modes = (((0, 1, 2),),)
        self._density = [Factors(modes, r + 1, 1, True, False) for r in cells]
        self._color = [Factors(modes, r + 1, 3 * config.bands**2, True, False) for r in cells]
        starts = [config.density / SCALE] + [0.0] * (config.levels - 1)
        self.density_grids = nn.ParameterList(
            torch.full((sum(f.sizes),), start)
            for f, start in zip(self._density, starts, strict=True)
        )
        self.color_grids = nn.ParameterList(torch.zeros(sum(f.sizes)) for f in self._color)

    def groups(self) -> dict[str, list[nn.Parameter]]:
        """The grids, in the group of tables."""
        return {"table": [*self.density_grids, *self.color_grids]}

    def set_progress(self, t: float) -> None:
        """Reveal finer grids at equal distances until the share `grown`."""
        levels, grown = self.config.levels, self.config.grown
        share = min(1.0, t / grown) if grown > 0 else 1.0
        self.active = 1 + int(share * (levels - 1) + 1e-9)

    def _value(self, v: Tensor, grids: nn.ParameterList, factors: list[Factors]) -> Tensor:
        """Sum of the active grids at points of the unit cube."""
        flat, found = v.reshape(-1, 3), None
        for grid, factor in zip(grids[: self.active], factors[: self.active], strict=True):
            value = factored(flat, grid, factor)
            found = value if found is None else found + value
        assert found is not None
        return found.view(*v.shape[:-1], factors[0].channels)

    def density(self, x: Float[Tensor, "*n 3"]) -> Float[Tensor, "*n"]:
        """Density per world unit."""
        value = self._value(self.domain(x), self.density_grids, self._density)[..., 0]
        return clip(value, 0, math.inf) * (SCALE / self.domain.length)

    def geometry(self, x: Float[Tensor, "*n 3"]) -> tuple[Tensor, Tensor | None]:
        """Log-density per box length; there is no feature."""
        return self._log(self.density(x)), None

    def _log(self, density: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
        """Log-density per box length of a density per world unit."""
        return log_density(density * self.domain.length)

    def forward(
        self, x: Float[Tensor, "*n 3"], directions: Float[Tensor, "*n 3"]
    ) -> RadianceSample:
        """Density and colour at world points x seen along unit directions."""
        harmonics = spherical_harmonics(directions.reshape(-1, 3), self.config.bands)
        c = self._value(self.domain(x), self.color_grids, self._color).view(
            -1, 3, harmonics.shape[-1]
        )
        rgb = ((c * harmonics[:, None]).sum(-1) + 0.5).view(x.shape)
        density = self.density(x)
        return RadianceSample(density, clip(rgb, 0, 1), self._log(density))

    def intermediate_features(self, x: Float[Tensor, "n d"]) -> tuple[Tensor, ...]:
        """Density and harmonics of each grid that counts so far, coarse ones first."""
        v = self.domain(x)
        grids = zip(self.density_grids, self._density, self.color_grids, self._color, strict=True)
        return tuple(
            torch.cat([factored(v, one, f), factored(v, two, g)], -1)
            for one, f, two, g in list(grids)[: self.active]
        )
