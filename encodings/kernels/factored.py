"""Lookups in factored grids as one op: planes, lines, voxels, and sums of products of them.

Symbols: a factor is a grid of R^k vertices over k of the d axes, with C channels a vertex; a mode
is the product of its factors, channel by channel; the modes are summed or put side by side. With
`align` vertex c of an axis lies at x = c / (R - 1), else at (c + 0.5) / R; what lies beyond the
outermost vertices counts as 0. Both are torch's `grid_sample` with zeros as padding.

The table is the factors of the first mode, then of the next, each [R^k, C] row-major, flat; the
first of a factor's axes is the fastest. Channels last: a vertex is one load of a vector.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from polyfield.backends import dispatch
from polyfield.backends.ops import no_gradient, op


@dataclass(frozen=True)
class Factors:
    """The geometry of a factored grid."""

    modes: tuple[tuple[tuple[int, ...], ...], ...]
    """For each mode its factors, for each factor its axes; all modes are alike but for the axes."""
    resolution: int
    """R, vertices an axis."""
    channels: int
    """C, values a vertex."""
    align: bool
    """Whether the outermost vertices lie on the border."""
    concat: bool
    """Whether modes are put side by side instead of summed."""

    @property
    def kinds(self) -> tuple[int, ...]:
        """Numbers of axes of a mode's factors."""
        return tuple(len(axes) for axes in self.modes[0])

    @property
    def sizes(self) -> tuple[int, ...]:
        """Values of each factor, mode after mode."""
        return tuple(self.resolution**k * self.channels for k in self.kinds) * len(self.modes)

    @property
    def width(self) -> int:
        """Channels of the result."""
        return self.channels * (len(self.modes) if self.concat else 1)

    @property
    def plain(self) -> tuple[list[int], list[int], int, int, bool, bool]:
        """As an op may take it: all axes in a row, `kinds`, R, C, align, concat."""
        axes = [axis for mode in self.modes for along in mode for axis in along]
        numbers = (self.resolution, self.channels, self.align, self.concat)
        return axes, list(self.kinds), *numbers

    def views(self, table: Float[Tensor, "p"]) -> list[list[Tensor]]:
        """For each mode its factors as [R, ..., R, C], the slowest axis first."""
        parts = iter(table.split(self.sizes))
        return [
            [next(parts).view(*[self.resolution] * k, self.channels) for k in self.kinds]
            for _ in self.modes
        ]


def _interpolated(
    position: Float[Tensor, "n d"], grid: Tensor, axes: tuple[int, ...]
) -> Float[Tensor, "n c"]:
    """One factor at positions counted in vertices."""
    resolution, channels = grid.shape[0], grid.shape[-1]
    total = torch.zeros(())
    p = position[:, list(axes)]
    cell = p.detach().floor()
    part = p - cell
    # NaN coordinates stay NaN through the weights; their index only has to be valid.
    whole = cell.nan_to_num(0).to(torch.int64)
    rows = grid.reshape(-1, channels)
    for corner in range(2 ** len(axes)):
        index, weight = torch.zeros_like(whole[:, 0]), torch.ones_like(part[:, 0])
        for j in range(len(axes)):
            high = corner >> j & 1
            vertex = whole[:, j] + high
            share = part[:, j] if high else 1 - part[:, j]
            beyond = (vertex < 0) | (vertex >= resolution)
            weight = weight * torch.where(beyond, 0, share)
            index = index + vertex.clamp(0, resolution - 1) * resolution**j
        total = total + weight[:, None] * rows[index]
    return total


def reference(
    x: Float[Tensor, "n d"], table: Float[Tensor, "p"], factors: Factors
) -> Float[Tensor, "n c"]:
    """The op in plain torch: any dtype and device, differentiable any number of times."""
    r = factors.resolution
    x = x.clamp(0, 1)
    position = x * (r - 1) if factors.align else x * r - 0.5
    found = []
    for axes, grids in zip(factors.modes, factors.views(table), strict=True):
        product = _interpolated(position, grids[0], axes[0])
        for grid, along in zip(grids[1:], axes[1:], strict=True):
            product = product * _interpolated(position, grid, along)
        found.append(product)
    return torch.cat(found, -1) if factors.concat else torch.stack(found).sum(0)


def factored(
    x: Float[Tensor, "n d"], table: Float[Tensor, "p"], factors: Factors
) -> Float[Tensor, "n c"]:
    """Sums, or rows, of products of interpolated grids.

    Args:
        x: [n, d] in [0,1] (clamped).
        table: [sum(factors.sizes)].
        factors: the geometry; at most 3 factors a mode, of at most 3 axes.

    Returns:
        [n, factors.width].
    """
    if not dispatch.use_numba(x, table):
        return reference(x, table, factors)
    return _factored(x, table, *factors.plain)


def _width(axes: list[int], kinds: list[int], channels: int, concat: bool) -> int:
    """`Factors.width` from the plain values an op may take."""
    return channels * (len(axes) // sum(kinds) if concat else 1)


@op("polyfield::factored", "cpu")
def _factored(
    x: Tensor,
    table: Tensor,
    axes: list[int],
    kinds: list[int],
    resolution: int,
    channels: int,
    align: bool,
    concat: bool,
) -> Tensor:
    from polyfield.encodings.kernels import factored_numba

    grids = (axes, kinds, resolution, channels, align, concat)
    return factored_numba.forward(x, table, grids, _width(axes, kinds, channels, concat))


@torch.library.register_fake(_factored)
def _(
    x: Tensor,
    table: Tensor,
    axes: list[int],
    kinds: list[int],
    resolution: int,
    channels: int,
    align: bool,
    concat: bool,
) -> Tensor:
    return x.new_empty(x.shape[0], _width(axes, kinds, channels, concat))


@op("polyfield::factored_backward", "cpu")
def _factored_backward(
    grad: Tensor,
    x: Tensor,
    table: Tensor,
    axes: list[int],
    kinds: list[int],
    resolution: int,
    channels: int,
    align: bool,
    concat: bool,
    need_x: bool,
    need_table: bool,
) -> tuple[Tensor, Tensor]:
    """Gradients in x [n, d] and in the table [p]; an empty tensor for one that isn't needed."""
    from polyfield.encodings.kernels import factored_numba

    grids = (axes, kinds, resolution, channels, align, concat)
    empty = x.new_empty(0)
    return (
        factored_numba.backward_x(grad, x, table, grids) if need_x else empty,
        factored_numba.backward_table(grad, x, table, grids) if need_table else empty.clone(),
    )


@torch.library.register_fake(_factored_backward)
def _(
    grad: Tensor,
    x: Tensor,
    table: Tensor,
    axes: list[int],
    kinds: list[int],
    resolution: int,
    channels: int,
    align: bool,
    concat: bool,
    need_x: bool,
    need_table: bool,
) -> tuple[Tensor, Tensor]:
    return (
        torch.empty_like(x) if need_x else x.new_empty(0),
        torch.empty_like(table) if need_table else x.new_empty(0),
    )


no_gradient(_factored_backward)


def _remember(ctx, inputs, output) -> None:  # type: ignore[no-untyped-def]
    x, table, *ctx.geometry = inputs
    ctx.save_for_backward(x, table)


def _backward(ctx, grad: Tensor):  # type: ignore[no-untyped-def]
    x, table = ctx.saved_tensors
    need_x, need_table = ctx.needs_input_grad[:2]
    dx, dtable = _factored_backward(grad.contiguous(), x, table, *ctx.geometry, need_x, need_table)
    return (dx if need_x else None), (dtable if need_table else None), *[None] * 6


torch.library.register_autograd(_factored, _backward, setup_context=_remember)
