"""Field + rays -> pixels."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from polyfield.devices import Rows
from polyfield.fields.base import RadianceField, RadianceSample
from polyfield.renderers.intervals import Intervals
from polyfield.renderers.samplers import Sampler
from polyfield.renderers.tiles import joined, tiles
from polyfield.renderers.volume import RenderOutput, blend, points
from polyfield.scenes.rays import Rays

OPAQUE = 1e-3
"""Light left on a ray when an image stops following it (instant-ngp 1e-4, KiloNeRF 1e-2)."""
BATCH = 1 << 16
"""Rays rendered at once."""
ROUND = 1 << 17
"""Samples of a round, about: few of many rays, many of few."""
SHARE = (4, 32)
"""Fewest and most samples of a ray in a round."""
WHOLE = 1 << 13
"""Rays rendered at once where all their samples come in one round."""


class VolumeRenderer(nn.Module):
    """Asks a sampler where, a field what, and blends."""

    def __init__(self, sampler: Sampler) -> None:
        super().__init__()
        self.sampler = sampler

    def samples(
        self, field: RadianceField, rays: Rays, generator: torch.Generator | Rows | None = None
    ) -> tuple[RadianceSample, Intervals]:
        """What a field says along rays [r], with gradient in the rays too, and where."""
        intervals = self.sampler(rays.detach(), field.probe(), generator)
        x, directions = points(rays, intervals)
        sample: RadianceSample = field(x, directions)
        return sample, intervals

    @torch.no_grad()
    def picture(self, field: RadianceField, rays: Rays) -> RenderOutput:
        """Pixels of rays of any shape, without gradient, on the rays' device.

        In rounds, leaving out rays that have become opaque; the fewer remain, the further each
        goes.
        """
        size = BATCH if self.sampler.in_rounds else WHOLE
        return joined(tiles(lambda part: self._rounds(field, part), rays, size), rays.shape)

    def _rounds(self, field: RadianceField, rays: Rays) -> RenderOutput:
        seen: Tensor | None = None
        depth, light = torch.zeros_like(rays.near), torch.ones_like(rays.near)
        begin = torch.full_like(depth, -torch.inf)
        alive = torch.arange(len(rays), device=depth.device)
        behind: Tensor | None = None
        end, met = torch.zeros_like(depth), torch.zeros_like(depth, dtype=torch.bool)
        while len(alive):
            limit = min(max(ROUND // len(alive), SHARE[0]), SHARE[1])
            limit = limit if self.sampler.in_rounds else ROUND
            live = rays[alive]
            intervals = self.sampler.next_intervals(live, begin, limit, field.density)
            x, directions = points(live, intervals)
            sample = field(x, directions)
            part, opacity, middle = blend(sample.composited, sample.density, intervals)
            before = light[alive]
            seen = part.new_zeros(len(rays), part.shape[1]) if seen is None else seen
            seen[alive] += before[:, None] * part
            depth[alive] += before * opacity * middle
            light[alive] = before * (1 - opacity)
            counts = intervals.offsets.diff()
            last = (intervals.offsets[1:] - 1).clamp(min=0)
            if self.sampler.opaque_end:
                some, seen_last = alive[counts > 0], last[counts > 0]
                met[some] = True
                behind = torch.zeros_like(seen) if behind is None else behind
                behind[some] = sample.composited[seen_last]
                end[some] = intervals.middle[seen_last]
            more = (counts == limit) & (light[alive] > OPAQUE)
            begin = intervals.end[last[more]] if len(intervals) else begin[:0]
            alive = alive[more]
        assert seen is not None, "rays"
        if behind is not None:  # what is left of the light, where a ray's last sample takes it
            left = light * met
            seen, depth, light = seen + left[:, None] * behind, depth + left * end, light - left
        opacity = 1 - light
        color = field.shade(seen, opacity, rays.directions)
        return RenderOutput(color, opacity, depth / opacity.clamp(min=1e-6))
