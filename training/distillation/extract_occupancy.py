"""What a student takes from its teacher before it learns: where there is something.

The occupancy grid is KiloNeRF's (Reiser et al. 2021, released code).

Each cell is looked at on an inclusive lattice of 3 x 3 x 3 points; neighbours share those on their
faces, and each is asked for once. Where the teacher has a grid of its own, only cells inside its
occupied cells, and one cell around them, are looked at.

The released code calls a cell occupied where a density is above 10, which depends on the scene's
units, and has 16 cells along each network's edge; here both are the student's own grid's.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from polyfield.errors import InputError
from polyfield.fields.base import RadianceField
from polyfield.renderers.samplers import Density, Sampler

CHUNK = 1 << 17
"""Points asked at once."""


@torch.no_grad()
def extract_occupancy(
    into: Sampler, density: Density, teacher: Sampler, as_seen: bool = False
) -> None:
    """Fill a grid: a cell's value is the largest density on its lattice.

    Args:
        into: The grid to fill; what counts as occupied is its own rule.
        density: The teacher's.
        teacher: Its sampler, asked where there may be something.
        as_seen: Whether cells that the teacher's sampler passes over are empty, whatever its
            density: its images don't show it.

    Raises:
        InputError: the sampler keeps no grid.
    """
    r = into.cells
    if r is None:
        raise InputError("a student with an occupancy grid", type(into).__name__, "change it")
    points = 2 * r + 1
    axis = torch.arange(points, device=into.domain.bounds.device)
    near = torch.zeros(points, points, points, device=axis.device)
    for number, plane in enumerate(near):
        rest = torch.cartesian_prod(axis, axis)
        place = torch.cat([torch.full_like(rest[:, :1], number), rest], -1) / (2 * r)
        plane.copy_(teacher.is_near_occupied(into.domain.inverse(place)).view(points, points))
    # A cell is wanted if one of its points is, and then all of them are asked.
    wanted = functional.max_pool3d(near[None, None], 3, 2)
    asked = functional.max_pool3d(functional.interpolate(wanted, scale_factor=2), 2, 1, 1)[0, 0]
    seen = torch.zeros_like(asked)
    for part in (asked > 0).nonzero().split(CHUNK):
        seen[part.unbind(1)] = density(into.domain.inverse(part / (2 * r)))
    value: Float[Tensor, "R R R"] = functional.max_pool3d(seen[None, None], 3, 2)[0, 0]
    value = value * wanted[0, 0]
    if as_seen:
        value = value * _seen(into, teacher, r)
    into.adopt(value)


def _seen(into: Sampler, teacher: Sampler, r: int) -> Float[Tensor, "R R R"]:
    """1 where one of the middles of a cell's eight parts is in a cell of the teacher's, else 0."""
    axis = (torch.arange(2 * r, device=into.domain.bounds.device) + 0.5) / (2 * r)
    parts = [
        teacher.is_occupied(into.domain.inverse(torch.cartesian_prod(x[None], axis, axis)))
        for x in axis
    ]
    seen = torch.stack(parts).view(1, 1, 2 * r, 2 * r, 2 * r).float()
    return functional.max_pool3d(seen, 2)[0, 0]


@torch.no_grad()
def place_kernels(
    student: RadianceField, teacher: RadianceField, sampler: Sampler, generator: torch.Generator
) -> None:
    """Tell a student where there is something: the sampler's grid knows it from the beginning."""
    known = sampler.occupied_points()
    if known is None:
        x = student.draw_points(CHUNK // 2, generator)
        known = x, teacher.density(x)
    student.init_from_points(*known)
