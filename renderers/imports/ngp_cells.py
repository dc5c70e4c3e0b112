"""Instant-ngp's grid of densities -> ours.

128^3 cells a cascade, cascade k over 2^k unit cubes about the middle of the box; within a cascade
cells lie in Morton order: bit j of x, y, z is bit 3j, 3j+1, 3j+2 of the number. A value is density
times the smallest step, sqrt(3)/1024 of a unit cube, below 0 where no camera looks. Our cells are
those of the outermost cascade, with the largest of the finer ones within.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor
from torch.nn import functional

from polyfield.errors import InputError
from polyfield.renderers.imports.snapshot import Tree
from polyfield.renderers.imports.tcnn_params import vector

CELLS = 128
"""Along an axis of a cascade."""
STEP = math.sqrt(3) / 1024
"""The smallest step, unit cubes."""


def densities(
    snapshot: Tree, cubes: int, box: Float64[np.ndarray, "2 3"], crop: Float64[np.ndarray, "2 3"]
) -> tuple[Float[Tensor, "R R R"], list[str]]:
    """Density of each cell of the box, per unit cube, in the program's axes; and warnings.

    Args:
        snapshot: with the grid.
        cubes: along the box, a power of 2.
        box: its corners.
        crop: corners of what is shown; cells whose middles lie outside come back empty.

    Raises:
        InputError: a grid of another size.
    """
    snapshot.whole("density_grid_size", CELLS, CELLS, CELLS)
    content, count = snapshot.data("density_grid_binary"), CELLS**3
    cascades = cubes.bit_length()
    kinds = {2 * count * cascades: "__half", 4 * count * cascades: "float"}
    if len(content) not in kinds:
        raise InputError(
            f"{cascades} x {CELLS}^3 values for density_grid_binary",
            f"{len(content)} bytes",
            "only the default configurations are read",
        )
    flat = vector(content, kinds[len(content)], "density_grid_binary")
    grids = flat.view(cascades, count)[:, _morton()].view(cascades, CELLS, CELLS, CELLS)
    found = grids[-1].clone()
    for level in range(cascades - 1):
        factor = 2 ** (cascades - 1 - level)
        side = CELLS // factor
        inner = functional.max_pool3d(grids[level][None], factor)[0]
        middle = tuple(slice((CELLS - side) // 2, (CELLS + side) // 2) for _ in range(3))
        found[middle] = torch.maximum(found[middle], inner)
    found = found.clamp(min=0) / STEP
    axes = [
        torch.from_numpy(low + (np.arange(CELLS) + 0.5) * (high - low) / CELLS)
        for low, high in box.T
    ]
    seen = [(x >= low) & (x <= high) for x, (low, high) in zip(axes, crop.T, strict=True)]
    shown = seen[0][:, None, None] & seen[1][:, None] & seen[2]
    warnings = [] if bool(shown.all()) else ["cells outside of its crop box are left empty"]
    return found * shown, warnings


def _morton() -> Tensor:
    """The number of each cell of a cascade, x slowest."""
    axis = torch.arange(CELLS)
    spread = torch.zeros_like(axis)
    for bit in range(CELLS.bit_length() - 1):
        spread |= (axis >> bit & 1) << 3 * bit
    return (spread[:, None, None] | spread[:, None] << 1 | spread << 2).flatten()
