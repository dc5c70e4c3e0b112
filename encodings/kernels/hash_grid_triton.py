"""The GPU kernels of `hash_grid`, in two and three dimensions.

A program takes a block of points and a few levels; each level's corners are unrolled. Forward
gathers and sums in float32, from a copy of the table in fp16 unless the precision is fp32: a point
reads 2^d L entries, so their bytes decide the speed. Backward adds float32 to float32 with relaxed
atomics, F neighbours in one instruction where the GPU has it (compute capability 9.0), and leaves
out points whose gradient is 0. Sums of atomics come in any order, so results vary in the last
digits. Four dimensions run in plain torch.

Symbols: as in `hash_grid`; (x, y, z) the axes, c a corner.
"""

from __future__ import annotations

from functools import lru_cache

import torch
import triton
import triton.language as tl
from torch import Tensor

from polyfield.backends import gpu
from polyfield.encodings.kernels.hash_grid import Levels, reference

BLOCK = 128
"""Points of a program."""
GROUP = 4
"""Levels of a program: their features fill whole sectors of 32 bytes."""
DIMS = (2, 3)

_PRIME_Y = tl.constexpr(2654435761)
_PRIME_Z = tl.constexpr(805459861)


@triton.jit
def _clamped(x, at, mask):
    """A coordinate in [0,1], NaN kept, and whether it was inside."""
    value = tl.load(x + at, mask=mask, other=0.0)
    inside = (value >= 0) & (value <= 1)
    value = tl.where(value < 0, 0.0, tl.where(value > 1, 1.0, value))
    return value, inside


@triton.jit
def _level(scales, grids, level, LEVELS: tl.constexpr):
    """Scale, resolution, size, first entry, and whether hashed, of a level."""
    resolution = tl.load(grids + level).to(tl.uint32, bitcast=True)
    size = tl.load(grids + LEVELS + level).to(tl.uint32, bitcast=True)
    start = tl.load(grids + 2 * LEVELS + level).to(tl.int64)
    hashed = tl.load(grids + 3 * LEVELS + level)
    return tl.load(scales + level), resolution, size, start, hashed


@triton.jit
def _locate(x, scale, SMOOTH: tl.constexpr):
    """Cell, weight of the upper corner and its slope, along one axis."""
    position = x * scale + 0.5
    floor = tl.floor(position)
    part = position - floor
    # The cell of a NaN only has to be valid: its weights are NaN.
    cell = tl.where(position == position, floor, 0.0).to(tl.int32).to(tl.uint32, bitcast=True)
    slope = part * 0 + 1
    if SMOOTH:
        slope = 6 * part * (1 - part)
        part = part * part * (3 - 2 * part)
    return cell, part, slope


@triton.jit
def _entry(C: tl.constexpr, cx, cy, cz, resolution, size, hashed, DIM: tl.constexpr):
    """Entries of corner C, always below `size`."""
    x = cx + (C & 1)
    y = cy + ((C >> 1) & 1)
    dense = x + y * resolution
    mixed = x ^ (y * _PRIME_Y)
    if DIM == 3:
        z = cz + ((C >> 2) & 1)
        dense += z * resolution * resolution
        mixed ^= z * _PRIME_Z
    dense = tl.where(dense >= size, dense - size, dense)
    dense = tl.where(dense >= size, size - 1, dense)
    return tl.where(hashed != 0, mixed & (size - 1), dense)


@triton.jit
def _side(part, UPPER: tl.constexpr):
    if UPPER:
        return part
    else:
        return 1 - part


@triton.jit
def _weight(C: tl.constexpr, wx, wy, wz, DIM: tl.constexpr):
    weight = _side(wx, C & 1) * _side(wy, (C >> 1) & 1)
    if DIM == 3:
        weight *= _side(wz, (C >> 2) & 1)
    return weight


@triton.jit(do_not_specialize=["n"])
def _forward_kernel(
    x, table, y, scales, grids, n,
    DIM: tl.constexpr, FEATURES: tl.constexpr, LEVELS: tl.constexpr, SMOOTH: tl.constexpr,
    BLOCK: tl.constexpr, GROUP: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    column = tl.arange(0, FEATURES)
    mask = row < n
    px, inside = _clamped(x, row * DIM, mask)
    py, inside = _clamped(x, row * DIM + 1, mask)
    pz, inside = _clamped(x, row * DIM + DIM - 1, mask)
    for k in tl.static_range(GROUP):
        level = tl.program_id(1) * GROUP + k
        if level < LEVELS:
            scale, resolution, size, start, hashed = _level(scales, grids, level, LEVELS)
            cx, wx, slope = _locate(px, scale, SMOOTH)
            cy, wy, slope = _locate(py, scale, SMOOTH)
            cz, wz, slope = _locate(pz, scale, SMOOTH)
            total = tl.zeros([BLOCK, FEATURES], tl.float32)
            for c in tl.static_range(1 << DIM):
                entry = _entry(c, cx, cy, cz, resolution, size, hashed, DIM).to(tl.int64) + start
                at = entry[:, None] * FEATURES + column[None, :]
                value = tl.load(table + at, mask=mask[:, None], other=0.0).to(tl.float32)
                total += _weight(c, wx, wy, wz, DIM)[:, None] * value
            to = row[:, None] * (LEVELS * FEATURES) + level * FEATURES + column[None, :]
            tl.store(y + to, total, mask=mask[:, None])


@triton.jit(do_not_specialize=["n"])
def _backward_table_kernel(
    grad, x, dtable, scales, grids, n,
    DIM: tl.constexpr, FEATURES: tl.constexpr, LEVELS: tl.constexpr, SMOOTH: tl.constexpr,
    BLOCK: tl.constexpr, GROUP: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    column = tl.arange(0, FEATURES)
    mask = row < n
    px, inside = _clamped(x, row * DIM, mask)
    py, inside = _clamped(x, row * DIM + 1, mask)
    pz, inside = _clamped(x, row * DIM + DIM - 1, mask)
    for k in tl.static_range(GROUP):
        level = tl.program_id(1) * GROUP + k
        if level < LEVELS:
            scale, resolution, size, start, hashed = _level(scales, grids, level, LEVELS)
            cx, wx, slope = _locate(px, scale, SMOOTH)
            cy, wy, slope = _locate(py, scale, SMOOTH)
            cz, wz, slope = _locate(pz, scale, SMOOTH)
            of = row[:, None] * (LEVELS * FEATURES) + level * FEATURES + column[None, :]
            g = tl.load(grad + of, mask=mask[:, None], other=0.0)
            live = mask & (tl.max((g != 0).to(tl.int32), 1) > 0)
            for c in tl.static_range(1 << DIM):
                entry = _entry(c, cx, cy, cz, resolution, size, hashed, DIM).to(tl.int64) + start
                at = entry[:, None] * FEATURES + column[None, :]
                share = _weight(c, wx, wy, wz, DIM)[:, None] * g
                tl.atomic_add(dtable + at, share, mask=live[:, None], sem="relaxed")


@triton.jit(do_not_specialize=["n"])
def _backward_x_kernel(
    grad, x, table, dx, scales, grids, n,
    DIM: tl.constexpr, FEATURES: tl.constexpr, LEVELS: tl.constexpr, SMOOTH: tl.constexpr,
    BLOCK: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    column = tl.arange(0, FEATURES)
    mask = row < n
    px, in_x = _clamped(x, row * DIM, mask)
    py, in_y = _clamped(x, row * DIM + 1, mask)
    pz, in_z = _clamped(x, row * DIM + DIM - 1, mask)
    gx = tl.zeros([BLOCK], tl.float32)
    gy = tl.zeros([BLOCK], tl.float32)
    gz = tl.zeros([BLOCK], tl.float32)
    for level in range(LEVELS):
        scale, resolution, size, start, hashed = _level(scales, grids, level, LEVELS)
        cx, wx, sx = _locate(px, scale, SMOOTH)
        cy, wy, sy = _locate(py, scale, SMOOTH)
        cz, wz, sz = _locate(pz, scale, SMOOTH)
        of = row[:, None] * (LEVELS * FEATURES) + level * FEATURES + column[None, :]
        g = tl.load(grad + of, mask=mask[:, None], other=0.0)
        for c in tl.static_range(1 << DIM):
            entry = _entry(c, cx, cy, cz, resolution, size, hashed, DIM).to(tl.int64) + start
            at = entry[:, None] * FEATURES + column[None, :]
            value = tl.load(table + at, mask=mask[:, None], other=0.0).to(tl.float32)
            along = tl.sum(value * g, 1) * scale
            ux = _side(wx, c & 1)
            uy = _side(wy, (c >> 1) & 1)
            uz = ux * 0 + 1
            if DIM == 3:
                uz = _side(wz, (c >> 2) & 1)
                gz += (2 * ((c >> 2) & 1) - 1) * along * sz * ux * uy
            gx += (2 * (c & 1) - 1) * along * sx * uy * uz
            gy += (2 * ((c >> 1) & 1) - 1) * along * sy * ux * uz
    tl.store(dx + row * DIM, tl.where(in_x, gx, 0.0), mask=mask)
    tl.store(dx + row * DIM + 1, tl.where(in_y, gy, 0.0), mask=mask)
    if DIM == 3:
        tl.store(dx + row * DIM + 2, tl.where(in_z, gz, 0.0), mask=mask)


@lru_cache(maxsize=32)
def _geometry(levels: Levels, device: torch.device) -> tuple[Tensor, Tensor]:
    """Scales [L], and resolutions, sizes, starts and whether hashed [4, L]."""
    starts = [sum(levels.sizes[:level]) for level in range(len(levels.sizes))]
    grids = [levels.resolutions, levels.sizes, starts, levels.hashed]
    return (
        torch.tensor(levels.scales, dtype=torch.float32, device=device),
        torch.tensor([list(map(int, row)) for row in grids], dtype=torch.int32, device=device),
    )


def _read(table: Tensor) -> Tensor:
    """The table as it is gathered from."""
    return table.contiguous() if gpu.precision() == "fp32" else table.half()


def _programs(n: int, levels: Levels) -> tuple[int, int]:
    return triton.cdiv(n, BLOCK), triton.cdiv(len(levels.scales), GROUP)


def forward(x: Tensor, table: Tensor, levels: Levels, features: int, smooth: bool) -> Tensor:
    """See `hash_grid.hash_grid`."""
    n, count = x.shape[0], len(levels.scales)
    y = x.new_empty(n, count * features)
    if n:
        _forward_kernel[_programs(n, levels)](
            x.contiguous(), _read(table), y, *_geometry(levels, x.device), n,
            DIM=levels.dim, FEATURES=features, LEVELS=count, SMOOTH=smooth,
            BLOCK=BLOCK, GROUP=GROUP,
        )  # fmt: skip
    return y


def backward_table(
    grad: Tensor, x: Tensor, table: Tensor, levels: Levels, features: int, smooth: bool
) -> Tensor:
    """The gradient in the table [p]."""
    n, count = x.shape[0], len(levels.scales)
    dtable = torch.zeros_like(table, memory_format=torch.contiguous_format)
    if n:
        _backward_table_kernel[_programs(n, levels)](
            grad, x.contiguous(), dtable, *_geometry(levels, x.device), n,
            DIM=levels.dim, FEATURES=features, LEVELS=count, SMOOTH=smooth,
            BLOCK=BLOCK, GROUP=GROUP,
        )  # fmt: skip
    return dtable


def backward_x(
    grad: Tensor, x: Tensor, table: Tensor, levels: Levels, features: int, smooth: bool
) -> Tensor:
    """The gradient in the coordinates [n, d]."""
    n, count = x.shape[0], len(levels.scales)
    dx = torch.empty_like(x, memory_format=torch.contiguous_format)
    if n:
        _backward_x_kernel[(triton.cdiv(n, BLOCK),)](
            grad, x.contiguous(), _read(table), dx, *_geometry(levels, x.device), n,
            DIM=levels.dim, FEATURES=features, LEVELS=count, SMOOTH=smooth, BLOCK=BLOCK,
        )  # fmt: skip
    return dx


def check(device: torch.device) -> None:
    """Compare with the reference on a few points.

    Raises:
        ArithmeticError: they differ by more than the precision allows.
    """
    levels = Levels.make(3, 3, 4, 2.0, 9)
    generator = torch.Generator().manual_seed(0)
    x = (torch.rand(300, 3, generator=generator)).to(device)
    table = torch.rand(levels.entries * 2, generator=generator).to(device).requires_grad_()
    cotangent = torch.rand(300, 6, generator=generator).to(device)
    wanted = reference(x, table, levels, 2)
    (dtable,) = torch.autograd.grad(wanted, table, cotangent)
    gpu.compare(forward(x, table.detach(), levels, 2, False), wanted.detach(), 2e-3)
    gpu.compare(backward_table(cotangent, x, table.detach(), levels, 2, False), dtable, 2e-3)
