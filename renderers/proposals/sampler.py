"""Samples along a ray where small networks of density propose them, round by round.

Source: Barron et al. 2022 (mip-NeRF 360), section 3.1. A first round of intervals is even in the
spacing; each network's weights of compositing decide the next round's; the last one's are those of
the field. For runs of programs that sample so; the networks come with them, and training leaves
them as they are.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

import torch
from jaxtyping import Float
from torch import Tensor, nn

from polyfield.devices import Rows, uniform
from polyfield.encodings.domain import Domain
from polyfield.fields.placement import Placed, Placement
from polyfield.fields.probe import Probe
from polyfield.ranges import Count, Range, check
from polyfield.renderers.intervals import Intervals
from polyfield.renderers.kernels.march import entry
from polyfield.renderers.proposals.histogram import Spacing, distances, even, resampled
from polyfield.renderers.proposals.network import ProposalDensity, ProposalNetwork
from polyfield.renderers.samplers import Density, Handover, Sampler
from polyfield.scenes.rays import Rays


def _two() -> tuple[ProposalNetwork, ...]:
    return ProposalNetwork(), ProposalNetwork()


@dataclass(frozen=True)
class Proposals:
    """Intervals where networks of density, one a round, expect the light to end."""

    networks: Annotated[tuple[ProposalNetwork, ...], Count(1, 8)] = field(default_factory=_two)
    """Of the rounds; the last one serves all rounds beyond it."""
    rounds: Annotated[tuple[Annotated[int, Range(1, 1 << 12)], ...], Count(1, 8)] = (256, 96)
    """Intervals of each round before the last."""
    samples: Annotated[int, Range(1, 1 << 12)] = 48
    """Intervals of the last round: where the field is asked."""
    far: Annotated[float, Range(1e-6, 1e6)] = 1000.0
    """Where rays end, units of the program."""
    spacing: Spacing = "piecewise"
    """The first round's: even up to 1 unit and in disparity beyond, or even all the way."""
    level: Annotated[float, Range(1e-6, 1e6)] = 1.0
    """Density where a network says 0, per unit of the program's."""
    opaque_end: bool = False
    """Whether the last sample of a ray takes all the light that is left."""
    placement: Placement = field(default_factory=Placement)
    """Where the program's coordinates lie."""

    def following(self, teacher: Handover, whole: bool) -> Proposals:
        """Itself: it marches through no grid."""
        return self

    def build(self, domain: Domain) -> ProposalSampler:
        """A sampler of the rays through a domain."""
        check(self)
        return ProposalSampler(domain, self)


class ProposalSampler(Sampler):
    """Resamples each ray by its networks; they are part of the model."""

    in_rounds = False

    def __init__(self, domain: Domain, config: Proposals) -> None:
        super().__init__()
        self.domain, self.config, self.opaque_end = domain, config, config.opaque_end
        self.networks = nn.ModuleList([network.build() for network in config.networks])
        self.requires_grad_(False)
        self.placed: Placed = config.placement.build(domain)

    @torch.no_grad()
    def forward(
        self, rays: Rays, density: Probe | None, generator: torch.Generator | Rows | None = None
    ) -> Intervals:
        """The last round's intervals; those outside a domain that has an end are left out."""
        unit, config = self.placed.unit, self.config
        near, far = rays.near * unit, (rays.far * unit).clamp(max=config.far)
        to_t = distances(config.spacing, near, far)
        borders = even(config.rounds[0], self._jitter(rays, generator), near)
        for number, count in enumerate((*config.rounds[1:], config.samples)):
            network = self.networks[min(number, len(self.networks) - 1)]
            assert isinstance(network, ProposalDensity)
            weights = self._weights(network, rays, to_t(borders))
            borders = resampled(borders, weights, count, self._jitter(rays, generator))
        t = to_t(borders) / unit
        return self._inside(rays, t[:, :-1], t[:, 1:], far > near)

    def next_intervals(
        self, rays: Rays, begin: Float[Tensor, "r"], limit: int, density: Density
    ) -> Intervals:
        """The next `limit` of the ray's intervals."""
        every = self(rays, None)
        # The middle: `begin` is the end of an interval, up to rounding.
        rest = every.keep(every.middle > begin[every.ray])
        rank = torch.arange(len(rest), device=begin.device) - rest.offsets[rest.ray]
        return rest.keep(rank < limit)

    @staticmethod
    def _jitter(
        rays: Rays, generator: torch.Generator | Rows | None
    ) -> Float[Tensor, "r 1"] | None:
        if generator is None:
            return None
        return uniform((len(rays), 1), generator, rays.near.device)

    def _weights(
        self, network: ProposalDensity, rays: Rays, t: Float[Tensor, "r m1"]
    ) -> Float[Tensor, "r m"]:
        """Light that ends in each interval, by a network; t in units of the program."""
        middle = (t[:, 1:] + t[:, :-1])[..., None] / (2 * self.placed.unit)
        x = rays.origins[:, None] + middle * rays.directions[:, None]
        place, inside = self.placed(x)
        found = network(place) * self.config.level * inside
        thickness = (t[:, 1:] - t[:, :-1]) * found
        before = thickness.cumsum(1) - thickness
        return ((1 - torch.exp(-thickness)) * torch.exp(-before)).nan_to_num(0)

    def _inside(self, rays: Rays, start: Tensor, end: Tensor, hit: Tensor) -> Intervals:
        """Packed, without those that have no length."""
        kept = hit[:, None] & (end > start)
        if not (self.domain.contracted or self.opaque_end):
            enter, leave = entry(rays.origins, rays.directions, rays.near, rays.far, self.domain)
            middle = (start + end) / 2
            kept = kept & (middle >= enter[:, None]) & (middle <= leave[:, None])
        offsets = torch.zeros(len(start) + 1, dtype=torch.int64, device=start.device)
        offsets[1:] = kept.sum(1).cumsum(0)
        return Intervals(offsets, start[kept], end[kept])
