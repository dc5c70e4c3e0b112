"""An occupancy grid: where there may be something, kept up to date while training.

Source: Mueller et al. 2022, section E.2. Symbols: R cells an axis over the domain's unit cube; s
the sampling step in a cell; a cell's value is a decaying maximum of the density seen in it; the
cell is occupied if value * s > min(threshold, mean of value * s).

One random point of a cell may miss what the eye sees there: every so often the corners of all cells
are looked at, and at the end of training everything is looked at thoroughly, once.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Annotated

import torch
from jaxtyping import Bool, Float, UInt8
from torch import Tensor
from torch.nn import functional

from polyfield.devices import Rows, move, uniform
from polyfield.encodings.domain import Domain
from polyfield.fields.probe import Probe
from polyfield.ranges import Range, check
from polyfield.renderers.intervals import Intervals
from polyfield.renderers.kernels.march import Lattice, clearance, entry, march
from polyfield.renderers.kernels.reach import Limits, Marching, reach
from polyfield.renderers.samplers import Density, Handover, Sampler, cell_of
from polyfield.scenes.rays import Rays

CHUNK = 1 << 17
"""Cells looked at at once."""
LOOKS = 4
"""Points of every cell looked at when training has ended, besides its corners."""
FADE = 0.25
"""What remains of values when all corners are looked at: old ones are fog that has gone."""
BESIDE = 3
"""How many times as many points are looked at in empty cells beside occupied ones, in the end:
there bites out of silhouettes would be."""
FOG = 0.5
"""Share of the mean thickness that fog is thinner than."""
ASKED = 64
"""Cells an axis at most when the grid is told what to leave out."""


@dataclass(frozen=True)
class OccupancyGrid:
    """Fixed steps, kept where a grid says there may be something."""

    resolution: Annotated[int, Range(1, 256)] = 128
    """R, cells an axis."""
    steps: Annotated[int, Range(1, 1 << 16)] = 1024
    """Steps on the diagonal of the domain's unit cube: the box, or twice that for all of space."""
    cone: Annotated[float, Range(0, 1)] = 0.0
    """Growth of the step with distance; instant-ngp uses 1/256 for large scenes."""
    limit: Annotated[int, Range(1, 1 << 16)] = 1024
    """Most samples on a ray."""
    threshold: Annotated[float, Range(0, 1e6)] = 0.01
    """Optical thickness of a step below which a cell counts as empty."""
    decay: Annotated[float, Range(0, 1)] = 0.95
    """What remains of a cell's value each time it is looked at again."""
    every: Annotated[int, Range(1, 10**6)] = 16
    """Training steps between updates."""
    points: Annotated[int, Range(1, 1 << 24)] = 32768
    """Cells looked at in an update."""
    sweep: Annotated[int, Range(0, 10**9)] = 256
    """Training steps in which every cell is looked at for the first time."""
    corners: Annotated[int, Range(0, 10**9)] = 256
    """Training steps between looks at the corners of all cells. 0 never looks, nor at the end."""
    prune: Annotated[float, Range(0, 1)] = 1e-4
    """Training leaves out samples that less than this share of light reaches. 0 keeps all."""
    thin: Annotated[float, Range(0, 1)] = 0.0
    """Training leaves out samples of less than this optical thickness: fog. 0 keeps all; of a field
    that is fog everywhere, as each begins, half of the mean counts."""

    def following(self, teacher: Handover, whole: bool) -> OccupancyGrid:
        """The same grid with another's march; with its cells too where `whole`."""
        cells = len(teacher.value) if whole else self.resolution
        return replace(
            self,
            resolution=cells,
            steps=teacher.steps,
            cone=teacher.cone,
            limit=teacher.limit,
            threshold=teacher.threshold,
            thin=min(1.0, self.thin * self.steps / teacher.steps),
        )

    def build(self, domain: Domain) -> OccupancySampler:
        """A sampler of the rays through a domain."""
        check(self)
        return OccupancySampler(domain, self)


class OccupancySampler(Sampler):
    """Marches rays through the occupied cells.

    The grid is part of the model: it is saved with it.
    """

    value: Float[Tensor, "R R R"]
    occupied: Bool[Tensor, "R R R"]
    clear: UInt8[Tensor, "B B B"]
    steps: Float[Tensor, "R R R"]
    kept: Bool[Tensor, "R R R"] | None
    """Cells that may ever be occupied; None for all."""

    def __init__(self, domain: Domain, config: OccupancyGrid) -> None:
        super().__init__()
        self.domain, self.config, self.cells = domain, config, config.resolution
        cells = (config.resolution,) * 3
        # A cell never looked at has an infinite value, so it is occupied.
        self.register_buffer("value", torch.full(cells, math.inf))
        self.register_buffer("occupied", torch.ones(cells, dtype=torch.bool))
        self.register_buffer("clear", clearance(self.occupied), persistent=False)
        self.register_buffer("steps", self._steps(), persistent=False)
        self._near: Tensor | None = None
        self._mean = 0.0
        self.register_buffer("kept", None, persistent=False)

    def _steps(self) -> Float[Tensor, "R R R"]:
        """The sampling step in the middle of each cell, world units."""
        return self.domain.stretch(self._middles(self.config.resolution)) * self.lattice.step

    def _middles(self, resolution: int) -> Float[Tensor, "R R R 3"]:
        """World points in the middle of so many cells an axis."""
        axis = (torch.arange(resolution) + 0.5) / resolution
        unit = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), -1)
        return self.domain.inverse(unit.to(self.domain.bounds.device))

    def _load_from_state_dict(self, *args, **kwargs) -> None:  # type: ignore[no-untyped-def]
        super()._load_from_state_dict(*args, **kwargs)
        self.clear, self._near = clearance(self.occupied), None
        self._mean = self._mean_of(self.value * self.steps)

    @property
    def lattice(self) -> Lattice:
        """The steps of the march, world units."""
        diagonal = math.sqrt(3) * self.domain.span
        return Lattice(diagonal / self.config.steps, self.config.cone, self.config.limit)

    def forward(
        self, rays: Rays, density: Probe | None, generator: torch.Generator | Rows | None = None
    ) -> Intervals:
        """Intervals in occupied cells.

        With a generator (training) and a density, only those that light reaches.
        """
        begin, leave = entry(rays.origins, rays.directions, rays.near, rays.far, self.domain)
        jitter = torch.full_like(begin, 0.5)
        if generator is not None:
            jitter = uniform((len(rays),), generator, begin.device)
        limits = Limits(self.config.prune, min(self.config.thin, FOG * self._mean))
        if density is None or generator is None or limits == Limits(0):
            return self._march(rays, begin, leave, jitter, self.lattice)
        marching = Marching((self.occupied, self.clear), self.domain, self.lattice)
        return reach(rays, (begin, leave), jitter, marching, density, limits)

    def next_intervals(
        self, rays: Rays, begin: Float[Tensor, "r"], limit: int, density: Density
    ) -> Intervals:
        """The next `limit` occupied intervals beyond t = begin."""
        enter, leave = entry(rays.origins, rays.directions, rays.near, rays.far, self.domain)
        lattice = Lattice(self.lattice.step, self.lattice.cone, limit)
        jitter = torch.zeros_like(enter)
        return self._march(rays, torch.maximum(enter, begin), leave, jitter, lattice)

    def _march(
        self, rays: Rays, begin: Tensor, leave: Tensor, jitter: Tensor, lattice: Lattice
    ) -> Intervals:
        cells = (self.occupied, self.clear)
        return Intervals(
            *march(
                rays.origins, rays.directions, (begin, leave), jitter, cells, self.domain, lattice
            )
        )

    def occupied_points(self) -> tuple[Float[Tensor, "n 3"], Float[Tensor, "n"]] | None:
        """Middles of the occupied cells, and their values; None where there are none."""
        cells = (self.occupied & self.value.isfinite()).nonzero()
        if not len(cells):
            return None
        x = self.domain.inverse((cells + 0.5) / self.config.resolution)
        return x, self.value[tuple(cells.T)]

    def is_occupied(self, x: Float[Tensor, "n 3"]) -> Bool[Tensor, "n"]:
        """Whether a world point's cell is occupied."""
        return self.occupied[cell_of(x, self.domain, self.config.resolution)]

    def is_near_occupied(self, x: Float[Tensor, "n 3"]) -> Bool[Tensor, "n"]:
        """Whether a world point's cell, or one that touches it, is occupied."""
        return self._near_occupied()[cell_of(x, self.domain, self.config.resolution)]

    def _near_occupied(self) -> Bool[Tensor, "R R R"]:
        """Cells that are occupied or touch one that is."""
        if self._near is None or self._near.device != self.occupied.device:
            near = functional.max_pool3d(self.occupied[None, None].float(), 3, 1, 1)
            self._near = near[0, 0] > 0
        return self._near

    def handover(self) -> Handover:
        """Its march, and the density of its cells."""
        c = self.config
        return Handover(c.steps, c.cone, c.limit, c.threshold, self.value)

    @torch.no_grad()
    def adopt(self, value: Float[Tensor, "R R R"]) -> None:
        """Take over the density of every cell, world units, as if all had been looked at."""
        self.value.copy_(value)
        self._decide()

    @torch.no_grad()
    def keep_only(self, keep: Callable[[Float[Tensor, "n 3"]], Bool[Tensor, " n"]]) -> None:
        """Keep the cells whose middle, or that of a neighbour, is kept; the others stay empty.

        Of a fine grid blocks of cells are asked for.
        """
        cells = self.config.resolution
        coarse = min(cells, ASKED)
        found = keep(self._middles(coarse).reshape(-1, 3)).reshape(1, 1, coarse, coarse, coarse)
        found = functional.max_pool3d(found.float(), 3, 1, 1)
        self.kept = functional.interpolate(found, (cells,) * 3)[0, 0] > 0
        self._decide()

    @torch.no_grad()
    def refresh(self, density: Density, step: int) -> None:
        """Look at some cells again, every `every` steps.

        In the first `sweep` steps, each cell once; later half of the points fall anywhere and half
        in occupied cells. Every `corners` steps all corners of cells are looked at too.
        Random numbers depend on the step alone.
        """
        config = self.config
        if step % config.every:
            return
        generator = torch.Generator().manual_seed(step)
        total, device = config.resolution**3, self.value.device
        if step < config.sweep:
            rounds = max(1, config.sweep // config.every)
            cells = torch.arange(step // config.every, total, rounds, device=device)
        else:
            half = config.points // 2
            anywhere = move(torch.randint(total, (half,), generator=generator), device)
            full = self.occupied.view(-1).nonzero()[:, 0]
            pick = move(torch.randint(max(1, len(full)), (half,), generator=generator), device)
            cells = torch.cat([anywhere, full[pick] if len(full) else anywhere]).unique()
        self._look(density, cells, generator, config.decay)
        # In the step where corners are due, or the first one after it.
        if config.corners and step > config.sweep and step % config.corners < config.every:
            self._look_at_corners(density, FADE)
        self._decide()

    @torch.no_grad()
    def settle(self, density: Density) -> None:
        """Look at all there is, thoroughly, and forget what was there before: training has ended.

        A rendering through the grid then lacks nothing that the eye would see.
        """
        if not self.config.corners:
            return
        generator = torch.Generator().manual_seed(0)
        cells = torch.arange(self.value.numel(), device=self.value.device)
        self.value.zero_()
        self._look_at_corners(density, 1.0)
        for _ in range(LOOKS):
            self._look(density, cells, generator, 1.0)
        self._decide()
        for _ in range(BESIDE * LOOKS):
            beside = (self._near_occupied() & ~self.occupied).view(-1).nonzero()[:, 0]
            self._look(density, beside, generator, 1.0)
            self._decide()

    def _look(
        self, density: Density, cells: Tensor, generator: torch.Generator, decay: float
    ) -> None:
        """Take the density at a random point of each cell into its value, which decays before."""
        r, values = self.config.resolution, self.value.view(-1)
        for part in cells.split(CHUNK):
            corner = torch.stack([part // (r * r), part // r % r, part % r], -1)
            unit = (corner + uniform((len(part), 3), generator, part.device)) / r
            seen = density(self.domain.inverse(unit))
            old = values[part]
            old = torch.where(old.isinf(), torch.zeros_like(old), old * decay)
            values[part] = torch.maximum(old, seen)

    def _look_at_corners(self, density: Density, decay: float) -> None:
        """Take the greatest density at the corners of each cell into its value, which decays."""
        r, device = self.config.resolution, self.value.device
        axis = torch.arange(r + 1, device=device) / r
        layer: Tensor | None = None
        # A layer of corners at a time, or several: so many points as of cells elsewhere.
        together = max(1, CHUNK // (r + 1) ** 2)
        for first in range(0, r + 1, together):
            unit = torch.stack(
                torch.meshgrid(axis[first : first + together], axis, axis, indexing="ij"), -1
            )
            seen = density(self.domain.inverse(unit.reshape(-1, 3))).view(unit.shape[:-1])
            for side in (1, 2):
                low, high = seen.narrow(side, 0, r), seen.narrow(side, 1, r)
                seen = torch.maximum(low, high)
            stacked = seen if layer is None else torch.cat([layer, seen])
            cells = torch.maximum(stacked[:-1], stacked[1:])
            begin = first if layer is None else first - 1
            old = self.value[begin : begin + len(cells)]
            torch.where(old.isinf(), cells, torch.maximum(old * decay, cells), out=old)
            layer = seen[-1:]

    def _decide(self) -> None:
        """Which cells are occupied, by their values."""
        if self.kept is not None:
            self.value[~self.kept] = 0
        thickness = self.value * self.steps
        self._mean = self._mean_of(thickness)
        self.occupied.copy_(thickness > min(self.config.threshold, self._mean))
        self.clear, self._near = clearance(self.occupied), None

    def _mean_of(self, thickness: Float[Tensor, "R R R"]) -> float:
        """The mean of cells that were looked at and may be occupied; 0 if there are none."""
        finite = thickness.isfinite()
        known = thickness[finite if self.kept is None else finite & self.kept]
        return float(known.mean()) if known.numel() else 0.0
