"""Occupied samples along rays: steps of known size, kept where an occupancy grid says so.

Source: Mueller et al. 2022, section E.1. Symbols: a ray o + t d is sampled on its own lattice
t_0 = t_in + jitter h(t_in), t_{k+1} = t_k + h(t_k), with h(t) = max(step, cone t) m(o + t d),
between t_in = max(near, entry into the box) and t_out = min(far, exit); m is the domain's stretch,
1 inside the box, so that outside of it steps are even in the contracted space. Sample k is the
interval [t_k, t_{k+1}], kept if the grid cell at its middle is occupied. R is the number of grid
cells an axis over the domain's unit cube.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce

import torch
from jaxtyping import Bool, Float, Int64, UInt8
from torch import Tensor
from torch.nn import functional

from polyfield.backends import dispatch
from polyfield.encodings.domain import Domain

HORIZON = 1000.0
"""Where rays end that no box ends, in lengths of the box."""
BLOCK = 2
"""Cells along an edge of a block."""
FARTHEST = 8
"""Greatest clearance told apart, blocks."""
EDGE = 0.01
"""So many steps from a border a kernel looks again: rounding may have a sample on either side."""

Cells = tuple[Bool[Tensor, "R R R"], UInt8[Tensor, "B B B"]]
"""Occupied cells, indexed x, y, z over the domain's unit cube, and the `clearance` of them."""


def clearance(occupied: Bool[Tensor, "R R R"]) -> UInt8[Tensor, "B B B"]:
    """How far each block of BLOCK^3 cells is from one with an occupied cell; kernels leap so far.

    In blocks by the maximum norm, at most FARTHEST; 0 in a block with an occupied cell.
    """
    size = -(-occupied.shape[0] // BLOCK)
    cells = occupied.new_zeros(3 * (size * BLOCK,))
    cells[tuple(slice(n) for n in occupied.shape)] = occupied
    # Elementwise, which is many times faster than a reduction over so few.
    cells = cells.view(size, BLOCK, size, BLOCK, size, BLOCK).to(torch.uint8)
    for axis in (1, 2, 3):
        cells = reduce(torch.maximum, cells.unbind(axis))
    # With a border, so that a neighbour is a slice.
    near = functional.pad(cells, (1,) * 6)
    covered = near.clone()
    for _ in range(FARTHEST - 1):
        for axis in range(3):
            low, middle, high = (near.narrow(axis, at, size) for at in range(3))
            middle.copy_(torch.maximum(torch.maximum(low, middle), high))
        covered += near
    return (FARTHEST - covered[1:-1, 1:-1, 1:-1]).contiguous()


@dataclass(frozen=True)
class Lattice:
    """How far apart samples are."""

    step: float
    """Smallest step, world units."""
    cone: float = 0.0
    """Growth of the step with the distance t."""
    limit: int = 1024
    """Most samples kept on a ray."""


def entry(
    origins: Float[Tensor, "r 3"],
    directions: Float[Tensor, "r 3"],
    near: Float[Tensor, "r"],
    far: Float[Tensor, "r"],
    domain: Domain,
) -> tuple[Float[Tensor, "r"], Float[Tensor, "r"]]:
    """t_in and t_out of each ray; t_out <= t_in where a ray misses the box."""
    if domain.contracted:
        return near, far.clamp(max=HORIZON * domain.length)
    given = (origins, directions, near, far)
    if not any(t.requires_grad for t in given) and dispatch.use_numba(*given):
        spans: tuple[Tensor, Tensor] = dispatch.kernel(__name__, origins).entry(*given, domain)
        return spans
    safe = torch.where(directions.abs() < 1e-12, torch.full_like(directions, 1e-12), directions)
    one, two = ((domain.bounds[i] - origins) / safe for i in (0, 1))
    enter = torch.minimum(one, two).amax(-1)
    leave = torch.maximum(one, two).amin(-1)
    return torch.maximum(near, enter), torch.minimum(far, leave)


@torch.no_grad()
def reference(
    origins: Float[Tensor, "r 3"],
    directions: Float[Tensor, "r 3"],
    bounds: tuple[Float[Tensor, "r"], Float[Tensor, "r"]],
    jitter: Float[Tensor, "r"],
    cells: Cells,
    domain: Domain,
    lattice: Lattice,
) -> tuple[Int64[Tensor, "r1"], Float[Tensor, "n"], Float[Tensor, "n"]]:
    """The op in plain torch: every lattice point of every ray is looked up."""
    start, leave = bounds
    occupied, _ = cells
    resolution = occupied.shape[0]

    def height(t: Tensor) -> Tensor:
        stretch = domain.stretch(origins + t[:, None] * directions)
        return (t * lattice.cone).clamp(min=lattice.step) * stretch

    even = lattice.cone == 0 and not domain.contracted

    kept, starts, ends = [], [], []
    first = start + jitter * height(start)
    t, k = first, 0
    while True:
        step = height(t)
        middle = t + step / 2
        alive = middle < leave
        if not alive.any():
            break
        unit = domain(origins + middle[:, None] * directions)
        cell = (unit * resolution).long().clamp(0, resolution - 1)
        kept.append(alive & occupied[cell[:, 0], cell[:, 1], cell[:, 2]])
        starts.append(t)
        ends.append(t + step)
        k += 1
        # An even lattice is computed from its index, so that skipping cells changes no digit.
        t = first + k * lattice.step if even else t + step
    if not kept:
        offsets = torch.zeros(len(start) + 1, dtype=torch.int64, device=start.device)
        return offsets, start[:0], start[:0]
    keep = torch.stack(kept, 1)
    keep &= keep.cumsum(1) <= lattice.limit
    offsets = torch.zeros(len(start) + 1, dtype=torch.int64, device=start.device)
    offsets[1:] = keep.sum(1).cumsum(0)
    return offsets, torch.stack(starts, 1)[keep], torch.stack(ends, 1)[keep]


@torch.no_grad()
def march(
    origins: Float[Tensor, "r 3"],
    directions: Float[Tensor, "r 3"],
    bounds: tuple[Float[Tensor, "r"], Float[Tensor, "r"]],
    jitter: Float[Tensor, "r"],
    cells: Cells,
    domain: Domain,
    lattice: Lattice,
) -> tuple[Int64[Tensor, "r1"], Float[Tensor, "n"], Float[Tensor, "n"]]:
    """Kept intervals of every ray, packed. Has no gradient.

    Args:
        origins: [r, 3] world.
        directions: [r, 3], unit length.
        bounds: t_in and t_out of each ray, from `entry`.
        jitter: [r] in [0, 1), offset of each ray's lattice in steps.
        cells: the occupied cells and their `clearance`.
        domain: world -> unit cube.
        lattice: the steps.

    Returns:
        (offsets [r + 1], starts [n], ends [n]).
    """
    if not dispatch.fast(__name__, origins, directions, jitter):
        return reference(origins, directions, bounds, jitter, cells, domain, lattice)
    kernel = dispatch.kernel(__name__, origins)
    return kernel.march(origins, directions, bounds, jitter, cells, domain, lattice)
