"""Samples of rays that light reaches, as one op: where training asks a field.

Symbols, for the samples i of one ray, front to back: optical thickness a_i = density x length,
light T_i = exp(-sum_{j<i} a_j). A sample is kept if T_i > prune and a_i >= thin: behind what is
opaque nothing is seen, and what is thin is fog that nobody should see. Without a gradient.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from polyfield.backends import dispatch
from polyfield.fields.probe import Probe
from polyfield.renderers.intervals import Intervals
from polyfield.renderers.kernels.composite import weights


@dataclass(frozen=True)
class Limits:
    """Which samples are kept."""

    prune: float
    """Share of light that must be left; 0 keeps all."""
    thin: float = 0.0
    """Optical thickness of a sample at least; 0 keeps all."""


@torch.no_grad()
def reference(
    origins: Float[Tensor, "r 3"],
    directions: Float[Tensor, "r 3"],
    intervals: Intervals,
    probe: Probe,
    limits: Limits,
) -> Intervals:
    """The op in plain torch: every sample is asked."""
    ray = intervals.ray
    x = torch.addcmul(origins[ray], intervals.middle[:, None], directions[ray])
    density = probe(x)
    light = weights(density, intervals.length, intervals.offsets)[1]
    # What is no number stays, so that training notices it.
    left_out = density * intervals.length < limits.thin
    if limits.prune > 0:
        left_out |= light <= limits.prune
    return intervals.keep(~left_out)


@torch.no_grad()
def reach(
    origins: Float[Tensor, "r 3"],
    directions: Float[Tensor, "r 3"],
    intervals: Intervals,
    probe: Probe,
    limits: Limits,
) -> Intervals:
    """The intervals that light reaches and that are thick enough.

    A field that is a grid and a perceptron is asked by the kernel itself, and nothing behind
    what is opaque.

    Args:
        origins: [r, 3] world.
        directions: [r, 3], unit length.
        intervals: of the r rays.
        probe: the density.
        limits: what is kept.
    """
    grid = probe.grid
    if grid is None or not dispatch.use_numba(origins, directions, grid.weights, grid.grid.table):
        return reference(origins, directions, intervals, probe, limits)
    kernel = dispatch.kernel(__name__, origins)
    return Intervals(*kernel.reach(origins, directions, intervals, grid, limits))
