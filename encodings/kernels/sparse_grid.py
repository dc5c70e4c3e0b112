"""Lookups in a grid of which only some blocks are stored, its values rounded to bytes.

Symbols: the unit cube is cut into B^3 blocks of N^3 cells. `slot` [B, B, B] is the number of a
stored block, -1 of one that isn't, where all values are 0. A stored value p counts as q(p) =
round(255 clip(p, 0, 1)) / 255, as a texture of bytes has it; gradients are those of p
(straight-through, Bengio et al. 2013). The table is [vertices, C]. `vertex` [blocks (N + 1)^3] says
which row of it each vertex of each block is, z the fastest axis: neighbouring blocks share the rows
of the vertices between them.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int32
from torch import Tensor

from polyfield.backends import dispatch
from polyfield.backends.ops import no_gradient, op


def rounded(p: Tensor) -> Tensor:
    """Q of stored values; gradients pass as if nothing were rounded."""
    return p + ((p.detach().clamp(0, 1) * 255).round() / 255 - p.detach())


def place(
    x: Float[Tensor, "n 3"], slot: Int32[Tensor, "B B B"], cells: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Of points of the unit cube: slot, cell in the block [n, 3], position in the cell [n, 3]."""
    blocks = slot.shape[0]
    u = x.clamp(0, 1) * (blocks * cells)
    whole = u.detach().floor().clamp(max=blocks * cells - 1)
    number = whole.nan_to_num(0).long()
    block = number // cells
    return slot[block[:, 0], block[:, 1], block[:, 2]], number - block * cells, u - whole


def shared_vertices(slot: Int32[Tensor, "B B B"], cells: int) -> tuple[Int32[Tensor, " v"], int]:
    """Rows of a table in which each vertex of the grid is stored once.

    Args:
        slot: the number of each stored block, 0 to their count less one; -1 for one that isn't.
        cells: N.

    Returns:
        (the row of each vertex of each block, how many rows there are). Rows are in the order in
        which blocks first name them, so that without neighbours it is 0, 1, 2 ...
    """
    blocks, device = slot.shape[0], slot.device
    places = (slot >= 0).nonzero()
    places = places[slot[tuple(places.T)].argsort()]
    corner = torch.arange(cells + 1, device=device)
    local = torch.cartesian_prod(corner, corner, corner)
    vertices = (places[:, None] * cells + local).reshape(-1, 3)
    edge = blocks * cells + 1
    number = (vertices[:, 0] * edge + vertices[:, 1]) * edge + vertices[:, 2]
    distinct, inverse = number.unique(return_inverse=True)
    count = len(distinct)
    order = torch.arange(len(number), device=device)
    first = torch.full((count,), len(number), device=device)
    first = first.scatter_reduce(0, inverse, order, "amin")
    row = torch.empty_like(first)
    row[first.argsort()] = torch.arange(count, device=device)
    return row[inverse].int(), count


def reference(
    x: Float[Tensor, "n 3"], table: Float[Tensor, "p"], slot: Int32[Tensor, "B B B"],
    vertex: Int32[Tensor, " v"], cells: int, channels: int,
) -> Float[Tensor, "n c"]:  # fmt: skip
    """The op in plain torch: any dtype and device, differentiable any number of times."""
    where, cell, part = place(x, slot, cells)
    stored = where >= 0
    side = cells + 1
    rows = rounded(table).view(-1, channels)
    first = where.clamp(min=0).long() * side**3
    total = x.new_zeros(len(x), channels)
    if not len(rows):
        return total + 0 * part.sum(1, keepdim=True) + table.sum()
    for corner in range(8):
        high = torch.tensor([corner >> 2 & 1, corner >> 1 & 1, corner & 1], device=x.device)
        i, j, k = (cell + high).T
        index = first + (i * side + j) * side + k
        weight = torch.where(high > 0, part, 1 - part).prod(1)
        total = total + weight[:, None] * rows[vertex[index].long()]
    # NaN coordinates stay NaN through the weights.
    return torch.where((stored | x.isnan().any(1))[:, None], total, total * 0)


def sparse_grid(
    x: Float[Tensor, "n 3"], table: Float[Tensor, "p"], slot: Int32[Tensor, "B B B"],
    vertex: Int32[Tensor, " v"], cells: int, channels: int,
) -> Float[Tensor, "n c"]:  # fmt: skip
    """Trilinear values.

    Args:
        x: [n, 3] in [0,1] (clamped).
        table: of the stored vertices, flat.
        slot: the number of each block, -1 where none is stored.
        vertex: the row of each vertex of each block, as of `shared_vertices`.
        cells: N, along the edge of a block.
        channels: C.

    Returns:
        [n, C] in [0, 1]; 0 where no block is stored.
    """
    if x.requires_grad or not dispatch.use_numba(x, table):
        return reference(x, table, slot, vertex, cells, channels)
    return _sparse_grid(x, table, slot, vertex, cells, channels)


@op("polyfield::sparse_grid", "cpu")
def _sparse_grid(
    x: Tensor, table: Tensor, slot: Tensor, vertex: Tensor, cells: int, channels: int
) -> Tensor:
    from polyfield.encodings.kernels import sparse_grid_numba

    return sparse_grid_numba.forward(x, table, slot, vertex, cells, channels)


@torch.library.register_fake(_sparse_grid)
def _(x: Tensor, table: Tensor, slot: Tensor, vertex: Tensor, cells: int, channels: int) -> Tensor:
    return x.new_empty(x.shape[0], channels)


@op("polyfield::sparse_grid_backward", "cpu")
def _sparse_grid_backward(
    grad: Tensor, x: Tensor, table: Tensor, slot: Tensor, vertex: Tensor, cells: int, channels: int
) -> Tensor:
    """Gradient in the table."""
    from polyfield.encodings.kernels import sparse_grid_numba

    return sparse_grid_numba.backward(grad, x, table, slot, vertex, cells, channels)


@torch.library.register_fake(_sparse_grid_backward)
def _(
    grad: Tensor, x: Tensor, table: Tensor, slot: Tensor, vertex: Tensor, cells: int, channels: int
) -> Tensor:
    return torch.empty_like(table)


no_gradient(_sparse_grid_backward)


def _remember(ctx, inputs, output) -> None:  # type: ignore[no-untyped-def]
    *tensors, ctx.cells, ctx.channels = inputs
    ctx.save_for_backward(*tensors)


def _backward(ctx, grad: Tensor):  # type: ignore[no-untyped-def]
    found = None
    if ctx.needs_input_grad[1]:
        found = _sparse_grid_backward(
            grad.contiguous(), *ctx.saved_tensors, ctx.cells, ctx.channels
        )
    return None, found, None, None, None, None


torch.library.register_autograd(_sparse_grid, _backward, setup_context=_remember)
