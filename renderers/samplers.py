"""Samplers choose where along a ray the field is asked.

They know nothing of a field but its density.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor, nn

from polyfield.devices import Rows, uniform
from polyfield.encodings.domain import Domain
from polyfield.errors import InputError
from polyfield.fields.probe import Probe
from polyfield.ranges import Range, check
from polyfield.renderers.intervals import Intervals
from polyfield.renderers.kernels.march import Lattice, entry
from polyfield.scenes.rays import Rays

Density = Callable[[Float[Tensor, "n 3"]], Float[Tensor, "n"]]
"""Density per world unit at world points."""


@dataclass(frozen=True)
class Handover:
    """What a sampler that keeps a grid can hand over to another."""

    steps: int
    """Steps on the diagonal."""
    cone: float
    """Growth of the step with distance."""
    limit: int
    """Most samples on a ray."""
    threshold: float
    """Optical thickness of a step below which a cell counts as empty."""
    value: Float[Tensor, "R R R"]
    """Density of every cell, world units."""


class Sampler(nn.Module, ABC):
    """Rays -> packed intervals."""

    domain: Domain
    cells: int | None = None
    """Cells along an axis of its grid; None where it keeps none."""
    in_rounds = True
    """Whether the first intervals of a ray cost less than all of them."""
    opaque_end = False
    """Whether the last sample of a ray takes all the light that is left, when it is drawn."""

    @abstractmethod
    def forward(
        self, rays: Rays, density: Probe | None, generator: torch.Generator | Rows | None = None
    ) -> Intervals:
        """Intervals along rays [r]; jittered if there is a generator, else always the same.

        Without a density none is left out for want of light.
        """

    @abstractmethod
    def next_intervals(
        self, rays: Rays, begin: Float[Tensor, "r"], limit: int, density: Density
    ) -> Intervals:
        """The first `limit` intervals of each ray beyond t = begin, without jitter.

        For rendering in rounds.
        """

    @property
    def lattice(self) -> Lattice | None:
        """The steps of the march, world units; None where they depend on the ray."""
        return None

    def occupied_points(self) -> tuple[Float[Tensor, "n 3"], Float[Tensor, "n"]] | None:
        """World points and the density seen there, if the sampler keeps such; else None."""
        return None

    def is_occupied(self, x: Float[Tensor, "n 3"]) -> Bool[Tensor, "n"]:
        """Whether there may be something at world points: elsewhere no sample is taken."""
        return torch.ones_like(x[:, 0], dtype=torch.bool)

    def is_near_occupied(self, x: Float[Tensor, "n 3"]) -> Bool[Tensor, "n"]:
        """Whether there may be something at world points, or next to them."""
        return torch.ones_like(x[:, 0], dtype=torch.bool)

    def handover(self) -> Handover | None:
        """What it knows, for another sampler; None if it keeps no grid of densities."""
        return None

    def adopt(self, value: Float[Tensor, "R R R"]) -> None:
        """Take over the density of every cell, world units.

        Raises:
            InputError: it keeps no such grid.
        """
        raise InputError("a sampler with an occupancy grid", type(self).__name__, "change it")

    def keep_only(self, keep: Callable[[Float[Tensor, "n 3"]], Bool[Tensor, " n"]]) -> None:  # noqa: B027
        """Never sample elsewhere than at world points that are kept, as far as it keeps a grid."""

    def refresh(self, density: Density, step: int) -> None:  # noqa: B027
        """Told before each training step; an occupancy grid keeps itself up to date here."""

    def settle(self, density: Density) -> None:  # noqa: B027
        """Told when training has ended; an occupancy grid looks at all there is once more."""


def cell_of(
    x: Float[Tensor, "n 3"], domain: Domain, resolution: int
) -> tuple[Int64[Tensor, "n"], ...]:
    """Indices, along each axis, of the cells that world points are in."""
    return (domain(x) * resolution).long().clamp(0, resolution - 1).unbind(1)


@dataclass(frozen=True)
class Uniform:
    """The same number of equal intervals on each ray, from where it enters the box to its exit."""

    samples: Annotated[int, Range(1, 1 << 16)] = 192
    """Intervals a ray."""

    def following(self, teacher: Handover, whole: bool) -> Uniform:
        """Itself: it marches through no grid."""
        return self

    def build(self, domain: Domain) -> UniformSampler:
        """A sampler of the rays through a domain."""
        check(self)
        if domain.contracted:
            raise InputError(
                "a bounded scene for the Uniform sampler", "an unbounded one", "use OccupancyGrid"
            )
        return UniformSampler(domain, self.samples)


class UniformSampler(Sampler):
    """Stratified samples (Mildenhall et al. 2020, eq. 2), as intervals."""

    def __init__(self, domain: Domain, samples: int) -> None:
        super().__init__()
        self.domain, self.samples = domain, samples

    def forward(
        self, rays: Rays, density: Probe | None, generator: torch.Generator | Rows | None = None
    ) -> Intervals:
        """Equal intervals on each ray that meets the box.

        Their borders move by less than one interval.
        """
        begin, leave = entry(rays.origins, rays.directions, rays.near, rays.far, self.domain)
        jitter: Tensor | float = 0.0
        if generator is not None:
            jitter = uniform((len(rays), 1), generator, begin.device) - 0.5
        return self._intervals(begin, leave, jitter, self.samples)

    def next_intervals(
        self, rays: Rays, begin: Float[Tensor, "r"], limit: int, density: Density
    ) -> Intervals:
        """The next `limit` of the ray's equal intervals."""
        enter, leave = entry(rays.origins, rays.directions, rays.near, rays.far, self.domain)
        every = self._intervals(enter, leave, 0.0, self.samples)
        # Half a step of slack: `begin` is the end of an interval, up to rounding.
        mask = every.middle > begin[every.ray]
        rest = every.keep(mask)
        rank = torch.arange(len(rest), device=begin.device) - rest.offsets[rest.ray]
        return rest.keep(rank < limit)

    @staticmethod
    def _intervals(begin: Tensor, leave: Tensor, jitter: Tensor | float, count: int) -> Intervals:
        hit = leave > begin
        step = ((leave - begin) / count)[:, None]
        number = torch.arange(count + 1, device=begin.device)
        borders = begin[:, None] + (number + jitter) * step
        borders = borders.clamp(begin[:, None], torch.maximum(leave, begin)[:, None])
        counts = torch.where(hit, count, 0)
        offsets = torch.zeros(len(begin) + 1, dtype=torch.int64, device=begin.device)
        offsets[1:] = counts.cumsum(0)
        return Intervals(offsets, borders[hit, :-1].reshape(-1), borders[hit, 1:].reshape(-1))
