"""nerfacc's grid of occupancy, as a checkpoint has it -> ours.

R^3 cells a level, x slowest; level k lies over the box 2^k times as large about the same middle. A
point belongs to the finest level whose box holds it; outside all of them nothing is sampled.
`binaries` [levels, R, R, R] says what is occupied, `occs` density times the step.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from polyfield.errors import InputError
from polyfield.fields.placement import Placed
from polyfield.renderers.imports.nerfstudio_params import State
from polyfield.renderers.occupancy import OccupancySampler

PARTS = 3
"""Places along each axis of a cell of ours where theirs is looked up."""
NAME = "occupancy_grid"
CLEARLY = 2.0
"""Times the threshold that a cell they call occupied has at least."""


def take_over(
    state: State, sampler: OccupancySampler, placed: Placed, aabb: Float[Tensor, "2 3"], step: float
) -> None:
    """Fill our grid with theirs.

    Args:
        state: the model.
        sampler: ours.
        placed: the program's coordinates.
        aabb: box of its finest level, its coordinates.
        step: its step, its units.

    Raises:
        InputError: a grid of another form.
    """
    occupied = state.raw(f"{NAME}.binaries", 4).bool()
    density = state.get(f"{NAME}.occs", 1) / step
    levels, r = occupied.shape[:2]
    if occupied.shape != (levels, r, r, r) or density.numel() != occupied.numel() or levels > 16:
        shape = f"{list(occupied.shape)} and {list(density.shape)}"
        raise InputError(f"cubes of cells for {NAME}", shape, "import a newer checkpoint")
    values = torch.where(
        occupied, density.view(levels, r, r, r).clamp(min=0), density.new_zeros(())
    )
    cells = sampler.config.resolution
    axis = (torch.arange(PARTS * cells) + 0.5) / (PARTS * cells)
    parts = (cells, PARTS, cells, PARTS)
    found, there = torch.zeros(2, cells, cells, cells)
    for i, x in enumerate(axis):
        unit = torch.cartesian_prod(x[None], axis, axis)
        level, place = _cells(placed.points(sampler.domain.inverse(unit)), aabb, levels, r)
        hit = level < levels
        at = (level.clamp(max=levels - 1), *place.unbind(1))
        plane = (values[at] * hit * placed.unit).view(parts).amax((1, 3))
        full = (occupied[at] & hit).view(parts).float().amax((1, 3))
        found[i // PARTS] = torch.maximum(found[i // PARTS], plane)
        there[i // PARTS] = torch.maximum(there[i // PARTS], full)
    least = CLEARLY * sampler.config.threshold / sampler.steps
    sampler.adopt(torch.where(there > 0, torch.maximum(found, least), torch.zeros_like(found)))


def _cells(
    y: Float[Tensor, "n 3"], aabb: Float[Tensor, "2 3"], levels: int, r: int
) -> tuple[Tensor, Tensor]:
    """The level of each point, `levels` outside of all; and its cell there."""
    middle, half = (aabb[0] + aabb[1]) / 2, (aabb[1] - aabb[0]) / 2
    part = (y - middle) / half
    norm = part.abs().amax(1)
    level = norm.clamp(min=1).log2().ceil().long()
    inside: Bool[Tensor, " n"] = norm.isfinite()
    level = torch.where(inside, level.clamp(max=levels), levels)
    place = (part / 2.0 ** level[:, None] + 1) / 2 * r
    return level, place.nan_to_num(0).long().clamp(0, r - 1)
