"""Benchmarks of plane, line and voxel lookups against torch's grid_sample, there and back.

There and back is the value, and the gradient in the table. grid_sample gets its grids channels
last, as the kernels do: that is its faster layout here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor
from torch.nn.functional import grid_sample

from polyfield.apps.benchmarks.timing import Row, alternate, ray_points, timed
from polyfield.encodings.kernels.factored import Factors, factored

_PLANES = ((0, 1), (0, 2), (1, 2))
_CROSSED = (((0, 1), (2,)), ((0, 2), (1,)), ((1, 2), (0,)))
_CASES = {
    "plane": ("3 planes, C16 R128", Factors(tuple((p,) for p in _PLANES), 128, 16, False, False)),
    "line": ("1 line, C48 R300", Factors((((0,),),), 300, 48, True, False)),
    "lines": ("product of 3 lines, C96 R200", Factors((((0,), (1,), (2,)),), 200, 96, True, False)),
    "plane-line": ("3 planes x lines, C16 R128", Factors(_CROSSED, 128, 16, True, False)),
    "voxel": ("C28 R128", Factors((((0, 1, 2),),), 128, 28, True, False)),
}


def _sampled(x: Tensor, grid: Tensor, align: bool) -> Tensor:
    """grid_sample of a grid [C, R, ..., R] at x [n, k] in [-1,1]: [n, C]."""
    n, k = x.shape
    if k == 1:
        # A line is an image of one column.
        grid, x, k = grid[..., None], torch.cat([torch.zeros_like(x), x], -1), 2
    found = grid_sample(grid[None], x.view(1, n, *[1] * (k - 1), k), align_corners=align)
    return found.reshape(grid.shape[0], n).T


def _runs(x: Tensor, factors: Factors) -> dict[str, Callable[[], object]]:
    """The same work by grid_sample and by the kernel."""
    table = (torch.randn(sum(factors.sizes)) * 0.1).requires_grad_()
    grids = [
        [view.detach().clone().movedim(-1, 0).requires_grad_() for view in mode]
        for mode in factors.views(table)
    ]
    leaves = [grid for mode in grids for grid in mode]
    cotangent = torch.randn(len(x), factors.width)

    def ours() -> object:
        return torch.autograd.grad(factored(x, table, factors), table, cotangent)

    def theirs() -> object:
        u = x * 2 - 1
        total = torch.zeros(())
        for mode, along in zip(grids, factors.modes, strict=True):
            product = torch.ones(())
            for grid, axes in zip(mode, along, strict=True):
                product = product * _sampled(u[:, list(axes)], grid, factors.align)
            total = total + product
        return torch.autograd.grad(total, leaves, cotangent)

    return {"reference": theirs, "numba": ours}


def lookups(points: int) -> Iterator[Row]:
    """Planes, lines, their products and voxels; the reference is grid_sample."""
    torch.manual_seed(0)
    x = ray_points(points, 3)
    for name, (shape, factors) in _CASES.items():
        size = f"{shape}, {points} points on rays, against grid_sample"
        yield from timed(f"{name} lookup", size, points, alternate(_runs(x, factors), 3))
