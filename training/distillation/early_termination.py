"""A field asked along rays front to back: hardly a sample is asked that no light reaches."""

from __future__ import annotations

from dataclasses import replace

import torch

from polyfield.fields.base import RadianceField, RadianceSample
from polyfield.renderers.intervals import Intervals
from polyfield.renderers.volume import points, transmittance
from polyfield.scenes.rays import Rays
from polyfield.training.distillation.student_subsampling import at

LIGHT = 1e-4
"""Share of light below which a sample is left out, as `OccupancyGrid.prune`."""
ENDS = (6, 18)
"""A ray's samples after which its light is looked at."""


@torch.no_grad()
def ask_until_opaque(
    field: RadianceField, rays: Rays, intervals: Intervals
) -> tuple[Intervals, RadianceSample]:
    """The samples that light reaches, and what the field says there.

    Args:
        field: Asked once a sample, without gradient.
        rays: [r].
        intervals: Of the rays, none left out yet.

    Returns:
        (some of the intervals, the field at their middles).
    """
    n, ray = len(intervals), intervals.ray
    rank = torch.arange(n, device=ray.device) - intervals.offsets[ray]
    thickness = intervals.start.new_zeros(intervals.n_rays)
    density = intervals.start.new_zeros(n)
    place = torch.full_like(ray, -1)
    parts: list[RadianceSample] = []
    asked = begin = 0
    for end in (*ENDS, n + ENDS[-1]):
        lit = (rank >= begin) & (rank < end) & (torch.exp(-thickness) > LIGHT)[ray]
        index = lit.nonzero()[:, 0]
        begin = end
        if not len(index) and parts:
            continue
        some = intervals.keep(lit)
        found = field(*points(rays, some))
        thickness.index_add_(0, some.ray, found.density * some.length)
        density[index] = found.density
        place[index] = torch.arange(asked, asked + len(index), device=ray.device)
        asked += len(index)
        parts.append(found)
    kept = (place >= 0) & (transmittance(density, intervals) > LIGHT)
    result = replace(intervals.keep(kept), marched=intervals.offsets.diff())
    return result, at(_joined(parts), place[kept])


def _joined(parts: list[RadianceSample]) -> RadianceSample:
    """The samples of all parts."""
    features = [part.feature for part in parts if part.feature is not None]
    deferred = [part.deferred for part in parts if part.deferred is not None]
    return RadianceSample(
        torch.cat([part.density for part in parts]),
        torch.cat([part.rgb for part in parts]),
        torch.cat([part.log_density for part in parts]),
        torch.cat(features) if features else None,
        torch.cat(deferred) if deferred else None,
    )
