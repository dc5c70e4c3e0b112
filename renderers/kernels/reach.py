"""Samples of rays that light reaches, as one op: where training asks a field.

The samples are those of `march`. Symbols, for the samples i of one ray, front to back: optical
thickness a_i = density x length, light T_i = exp(-sum_{j<i} a_j). A sample is kept if T_i > prune
and a_i >= thin: behind what is opaque nothing is seen, and what is thin is fog that nobody should
see. Without a gradient.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from polyfield.backends import dispatch
from polyfield.encodings.domain import Domain
from polyfield.fields.probe import Probe
from polyfield.renderers.intervals import Intervals
from polyfield.renderers.kernels.along import along
from polyfield.renderers.kernels.composite import weights
from polyfield.renderers.kernels.march import Cells, Lattice, march
from polyfield.scenes.rays import Rays


@dataclass(frozen=True)
class Limits:
    """Which samples are kept."""

    prune: float
    """Share of light that must be left; 0 keeps all."""
    thin: float = 0.0
    """Optical thickness of a sample at least; 0 keeps all."""


@dataclass(frozen=True)
class Marching:
    """Where rays are marched through; see `march`."""

    cells: Cells
    domain: Domain
    lattice: Lattice


Spans = tuple[Float[Tensor, "r"], Float[Tensor, "r"]]
"""t_in and t_out of each ray."""


@torch.no_grad()
def reference(
    rays: Rays,
    spans: Spans,
    jitter: Float[Tensor, "r"],
    marching: Marching,
    probe: Probe,
    limits: Limits,
) -> Intervals:
    """The op composed of others: every sample is asked."""
    where = (marching.cells, marching.domain, marching.lattice)
    found = Intervals(*march(rays.origins, rays.directions, spans, jitter, *where))
    density = probe(along(rays.origins, rays.directions, found.offsets, found.start, found.end)[0])
    light = weights(density, found.length, found.offsets)[1]
    # What is no number stays, so that training notices it.
    left_out = density * found.length < limits.thin
    if limits.prune > 0:
        left_out |= light <= limits.prune
    return found.keep(~left_out)


@torch.no_grad()
def reach(
    rays: Rays,
    spans: Spans,
    jitter: Float[Tensor, "r"],
    marching: Marching,
    probe: Probe,
    limits: Limits,
) -> Intervals:
    """The samples that light reaches and that are thick enough.

    A field that is a grid and a perceptron is asked by the kernel itself, and nothing behind
    what is opaque: rays end there.

    Args:
        rays: [r].
        spans: from `entry`.
        jitter: [r] in [0, 1), offset of each ray's lattice in steps.
        marching: cells, domain and lattice.
        probe: the density.
        limits: what is kept.
    """
    grid = probe.grid
    if grid is None or not dispatch.use_numba(jitter, grid.weights, grid.grid.table):
        return reference(rays, spans, jitter, marching, probe, limits)
    kernel = dispatch.kernel(__name__, jitter)
    return Intervals(*kernel.reach(rays, spans, jitter, marching, grid, limits))
