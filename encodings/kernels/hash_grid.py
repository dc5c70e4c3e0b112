"""Multiresolution hash grid as one op, with tiny-cuda-nn's exact semantics.

Source: Mueller et al. 2022, section 3. Symbols, for level l of L: scale s_l = N_0 b^l - 1;
resolution r_l = ceil(s_l) + 1; position p = x s_l + 0.5 of a point x in [0,1]^d; F features an
entry; size m_l = min(roundup8(r_l^d), 2^T) entries. A level with r_l^d <= 2^T is dense, with index
sum_j c_j r_l^j mod m_l (x fastest); else hashed, with index xor_j (c_j prime_j mod 2^32) mod m_l.
The table is the levels one after the other, [sum_l m_l, F] row-major, flat.

One dimension is by the same rules, though tiny-cuda-nn has none: cells 2^T apart share an entry. A
float32 x in [0,1] has 2^24 places: at 2^20 cells its position is known to a sixteenth of a cell.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from polyfield.backends import dispatch
from polyfield.backends.ops import no_gradient, op

PRIMES = (1, 2654435761, 805459861, 3674653429)


@dataclass(frozen=True)
class Levels:
    """The geometry of a grid: one entry a level."""

    dim: int
    scales: tuple[float, ...]
    resolutions: tuple[int, ...]
    sizes: tuple[int, ...]

    @classmethod
    def make(cls, dim: int, count: int, base: int, growth: float, log2_size: int) -> Levels:
        """Levels of resolution about base * growth^l, each of at most 2^log2_size entries."""
        # The logarithm too is taken in float32: it decides the resolution of a level whose scale
        # is a whole number but for rounding.
        per_level = np.log2(np.float32(growth))
        scales = [
            float(np.exp2(np.float32(level) * per_level) * np.float32(base) - np.float32(1))
            for level in range(count)
        ]
        resolutions = [math.ceil(scale) + 1 for scale in scales]
        sizes = [min(-(-(r**dim) // 8) * 8, 2**log2_size) for r in resolutions]
        return cls(dim, tuple(scales), tuple(resolutions), tuple(sizes))

    @property
    def hashed(self) -> tuple[bool, ...]:
        """Whether each level shares entries between grid points."""
        return tuple(r**self.dim > m for r, m in zip(self.resolutions, self.sizes, strict=True))

    @property
    def entries(self) -> int:
        """Entries of all levels."""
        return sum(self.sizes)


def corner_indices(cell: Tensor, resolution: int, size: int, hashed: bool) -> Tensor:
    """Entries of the 2^d corners of integer cells [n d] -> [n 2^d].

    Corner c adds bit j of c to axis j.
    """
    bits = corner_bits(cell.shape[-1], cell.device)
    total = torch.zeros_like(cell[..., :1])
    for axis in range(cell.shape[-1]):
        step = cell[..., axis, None] + bits[:, axis]
        if hashed:
            total = total ^ (step * PRIMES[axis] & 0xFFFFFFFF)
        else:
            total = total + step * resolution**axis
    return total % size


def corner_bits(dim: int, device: torch.device) -> Int64[Tensor, "c d"]:
    """What each of the 2^d corners adds to each axis: bit j of its number to axis j."""
    corners = torch.arange(2**dim, device=device)
    # No shifts, nor writes into parts of a tensor: ONNX has neither.
    return torch.stack([(corners & 1 << axis != 0).long() for axis in range(dim)], -1)


def reference(
    x: Float[Tensor, "n d"],
    table: Float[Tensor, "p"],
    levels: Levels,
    features: int,
    smooth: bool = False,
) -> Float[Tensor, "n c"]:
    """The op in plain torch: any dtype and device, differentiable any number of times."""
    x = x.clamp(0, 1)
    entries = table.view(-1, features)
    bits = corner_bits(levels.dim, x.device).bool()
    outputs, start = [], 0
    for scale, resolution, size, hashed in zip(
        levels.scales, levels.resolutions, levels.sizes, levels.hashed, strict=True
    ):
        position = x * scale + 0.5
        cell = position.detach().floor()
        part = position - cell
        if smooth:
            part = part * part * (3 - 2 * part)
        weight = torch.where(bits, part[:, None, :], 1 - part[:, None, :]).prod(-1)
        # NaN coordinates stay NaN through the weights; their index only has to be valid.
        whole = cell.nan_to_num(0).to(torch.int64)
        index = start + corner_indices(whole, resolution, size, hashed)
        outputs.append((weight[..., None] * entries[index]).sum(1))
        start += size
    return torch.cat(outputs, -1)


def hash_grid(
    x: Float[Tensor, "n d"],
    table: Float[Tensor, "p"],
    levels: Levels,
    features: int,
    smooth: bool = False,
) -> Float[Tensor, "n c"]:
    """Interpolated entries of every level, concatenated.

    The GPU kernel has 2 and 3 dimensions; the CPU kernel has all, and adds up the gradient of one
    dimension fastest where points come sorted.

    Args:
        x: [n, d] in [0,1] (clamped).
        table: [levels.entries * features].
        levels: the geometry; d = levels.dim from 1 to 4.
        features: F, values an entry.
        smooth: weigh with smoothstep instead of linearly.

    Returns:
        [n, L * F].
    """
    solid = levels.dim in (2, 3)
    if not (dispatch.fast(__name__, x, table) if solid else dispatch.use_numba(x, table)):
        return reference(x, table, levels, features, smooth)
    return _hash_grid(
        x,
        table,
        list(levels.scales),
        list(levels.resolutions),
        list(levels.sizes),
        features,
        smooth,
    )


@op("polyfield::hash_grid")
def _hash_grid(
    x: Tensor,
    table: Tensor,
    scales: list[float],
    resolutions: list[int],
    sizes: list[int],
    features: int,
    smooth: bool,
) -> Tensor:
    levels = Levels(x.shape[1], tuple(scales), tuple(resolutions), tuple(sizes))
    return dispatch.kernel(__name__, x, table).forward(x, table, levels, features, smooth)


@torch.library.register_fake(_hash_grid)
def _(
    x: Tensor,
    table: Tensor,
    scales: list[float],
    resolutions: list[int],
    sizes: list[int],
    features: int,
    smooth: bool,
) -> Tensor:
    return x.new_empty(x.shape[0], len(scales) * features)


@op("polyfield::hash_grid_backward")
def _hash_grid_backward(
    grad: Tensor,
    x: Tensor,
    table: Tensor,
    scales: list[float],
    resolutions: list[int],
    sizes: list[int],
    features: int,
    smooth: bool,
    need_x: bool,
    need_table: bool,
) -> tuple[Tensor, Tensor]:
    """Gradients in x [n, d] and in the table [p]; an empty tensor for one that isn't needed."""
    kernel = dispatch.kernel(__name__, x, table)
    levels = Levels(x.shape[1], tuple(scales), tuple(resolutions), tuple(sizes))
    empty = x.new_empty(0)
    return (
        kernel.backward_x(grad, x, table, levels, features, smooth) if need_x else empty,
        kernel.backward_table(grad, x, table, levels, features, smooth)
        if need_table
        else empty.clone(),
    )


@torch.library.register_fake(_hash_grid_backward)
def _(
    grad: Tensor,
    x: Tensor,
    table: Tensor,
    scales: list[float],
    resolutions: list[int],
    sizes: list[int],
    features: int,
    smooth: bool,
    need_x: bool,
    need_table: bool,
) -> tuple[Tensor, Tensor]:
    return (
        torch.empty_like(x) if need_x else x.new_empty(0),
        torch.empty_like(table) if need_table else x.new_empty(0),
    )


no_gradient(_hash_grid_backward)


def _remember(ctx, inputs, output) -> None:  # type: ignore[no-untyped-def]
    x, table, *ctx.geometry = inputs
    ctx.save_for_backward(x, table)


def _backward(ctx, grad: Tensor):  # type: ignore[no-untyped-def]
    x, table = ctx.saved_tensors
    need_x, need_table = ctx.needs_input_grad[:2]
    dx, dtable = _hash_grid_backward(grad.contiguous(), x, table, *ctx.geometry, need_x, need_table)
    return (dx if need_x else None), (dtable if need_table else None), *[None] * 5


torch.library.register_autograd(_hash_grid, _backward, setup_context=_remember)
