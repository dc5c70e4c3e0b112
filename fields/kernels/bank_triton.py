"""The GPU kernels of `bank`: a tile of one network's rows a program, all layers on the chip.

The rows of each network are cut into tiles of at most SPAN; there is no limit to the number of
networks. Tiles are numbered network by network, and a program looks up its own: how many there are
isn't known before launch, only that there are at most n / SPAN + N, so a few programs find nothing
to do. Octaves are computed on the chip; sines come from a polynomial of the turn's remainder (as in
encodings/kernels/sine.py), which needs no stack. Backward adds a tile's gradients to its network's
at once.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from polyfield.backends import gpu
from polyfield.fields.kernels.bank import layers, reference, size
from polyfield.fields.kernels.layers_triton import (
    ascend,
    deliver,
    descend,
    fits,
    matrix,
    nothing,
    peak,
    product_type,
    scale_of,
)
from polyfield.fields.kernels.mlp_triton import sizes

__all__ = ["backward", "check", "fits", "forward"]

BLOCK = 32
"""Rows computed at a time; more would not fit the registers of eight warps."""
SPAN = 512
"""Most rows of a tile."""


@triton.jit
def _sine(a, SHIFT: tl.constexpr):
    """sin(a), or cos(a) = sin(a + pi / 2) with SHIFT; |a| up to 1e5."""
    half = tl.floor(a * 0.31830987334251404 + (1.0 if SHIFT else 0.5))
    turns = half - 0.5 if SHIFT else half
    r = a - turns * 3.140625
    r = r - turns * 0.0009670257568359375
    r = r - turns * 6.277114152908325e-07
    odd = half - 2 * tl.floor(half * 0.5)
    square = r * r
    series = 2.599750359877362e-06 * square - 0.0001980647793971002
    series = series * square + 0.008333015255630016
    series = series * square - 0.16666656732559204
    return (r * square * series + r) * (1 - 2 * odd)


@triton.jit
def _inputs(
    x, extra, row, mask, d: tl.constexpr, E: tl.constexpr, STRIDE: tl.constexpr,
    OCTAVES: tl.constexpr, I: tl.constexpr, I_P: tl.constexpr,
):  # fmt: skip
    """The first layer's inputs [B, I_P]; columns of coordinates, powers and which wave they are."""
    column = tl.arange(0, I_P)
    channel = tl.maximum(column - E, 0)
    axis = tl.minimum(channel // (2 * OCTAVES + 1), d - 1)
    place = channel % (2 * OCTAVES + 1)
    power = tl.maximum(place - 1, 0) % max(OCTAVES, 1)
    factor = ((power + 127) << 23).to(tl.float32, bitcast=True)
    rows = mask[:, None]
    wave = rows & (column >= E)[None, :] & (column < I)[None, :]
    p = tl.load(x + row[:, None] * d + axis[None, :], mask=wave, other=0.0)
    angle = p * factor[None, :]
    value = tl.where((place <= OCTAVES)[None, :], _sine(angle, True), _sine(angle, False))
    value = tl.where((place == 0)[None, :], p, value)
    value = tl.where(wave, value, 0.0)
    if E > 0:
        given = rows & (column < E)[None, :]
        value += tl.load(extra + row[:, None] * STRIDE + column[None, :], mask=given, other=0.0)
    return value, axis, place, factor, wave


@triton.jit
def _forward_kernel(
    x, extra, w, y, offsets, firsts, networks,
    d: tl.constexpr, E: tl.constexpr, STRIDE: tl.constexpr, OCTAVES: tl.constexpr,
    VALUES: tl.constexpr, I: tl.constexpr, H: tl.constexpr, O: tl.constexpr,
    I_P: tl.constexpr, H_P: tl.constexpr, O_P: tl.constexpr, D: tl.constexpr, T: tl.constexpr,
    BLOCK: tl.constexpr, SPAN: tl.constexpr,
):  # fmt: skip
    tile = tl.program_id(0)
    network = tl.load(networks + tile).to(tl.int64)
    begin = tl.load(offsets + network) + (tile - tl.load(firsts + network)) * SPAN
    end = tl.minimum(tl.load(offsets + network + 1), begin + SPAN)
    w += network * VALUES
    o = tl.arange(0, O_P)
    while begin < end:
        row = begin + tl.arange(0, BLOCK)
        mask = row < end
        a, _, _, _, _ = _inputs(x, extra, row, mask, d, E, STRIDE, OCTAVES, I, I_P)
        out, _, _, _, _ = ascend(a.to(T), w, True, True, I, H, O, I_P, H_P, O_P, D, T)
        to = row[:, None] * O + o[None, :]
        tl.store(y + to, out, mask=mask[:, None] & (o < O)[None, :])
        begin += BLOCK


@triton.jit
def _backward_kernel(
    grad, x, extra, w, dx, dextra, dw, offsets, firsts, networks, peak,
    d: tl.constexpr, E: tl.constexpr, STRIDE: tl.constexpr, OCTAVES: tl.constexpr,
    VALUES: tl.constexpr, I: tl.constexpr, H: tl.constexpr, O: tl.constexpr,
    I_P: tl.constexpr, H_P: tl.constexpr, O_P: tl.constexpr, D: tl.constexpr, T: tl.constexpr,
    NEED_X: tl.constexpr, NEED_EXTRA: tl.constexpr, BLOCK: tl.constexpr, SPAN: tl.constexpr,
):  # fmt: skip
    tile = tl.program_id(0)
    network = tl.load(networks + tile).to(tl.int64)
    begin = tl.load(offsets + network) + (tile - tl.load(firsts + network)) * SPAN
    end = tl.minimum(tl.load(offsets + network + 1), begin + SPAN)
    down, up = scale_of(peak)
    w += network * VALUES
    o = tl.arange(0, O_P)
    column = tl.arange(0, I_P)
    some = begin < end
    totals = nothing(I_P, H_P, O_P, D, True)
    while begin < end:
        row = begin + tl.arange(0, BLOCK)
        mask = row < end
        a, axis, place, factor, wave = _inputs(x, extra, row, mask, d, E, STRIDE, OCTAVES, I, I_P)
        inputs = a.to(T)
        _, h1, h2, h3, h4 = ascend(inputs, w, True, True, I, H, O, I_P, H_P, O_P, D, T)
        of = row[:, None] * O + o[None, :]
        g = tl.load(grad + of, mask=mask[:, None] & (o < O)[None, :], other=0.0)
        g, totals = descend(
            (g * down).to(T), inputs, h1, h2, h3, h4, w, totals,
            True, I, H, O, True, I_P, H_P, O_P, D, T,
        )  # fmt: skip
        if NEED_X or NEED_EXTRA:
            enter = tl.trans(matrix(w, H, 1, I, H, I_P, H_P, T))
            back = tl.dot(g, enter, input_precision="ieee") * up
            if NEED_EXTRA:
                given = mask[:, None] & (column < E)[None, :]
                tl.store(dextra + row[:, None] * STRIDE + column[None, :], back, mask=given)
            if NEED_X:
                p = tl.load(x + row[:, None] * d + axis[None, :], mask=wave, other=0.0)
                angle = p * factor[None, :]
                slope = tl.where(
                    (place <= OCTAVES)[None, :], -_sine(angle, False), _sine(angle, True)
                )
                slope = tl.where((place == 0)[None, :], 1.0, slope * factor[None, :])
                back = tl.where(wave, back * slope, 0.0)
                for j in tl.static_range(d):
                    along = tl.sum(tl.where((axis == j)[None, :], back, 0.0), 1)
                    tl.store(dx + row * d + j, along, mask=mask)
        begin += BLOCK
    if some:
        deliver(dw + network * VALUES, totals, up, True, I, H, O, True, I_P, H_P, O_P, D)


def _tiles(offsets: Tensor, n: int) -> tuple[Tensor, Tensor]:
    """The first tile of each network [N], and the network of each tile that there may be."""
    networks = offsets.shape[0] - 1
    tiles = (offsets.diff() + (SPAN - 1)) // SPAN
    ends = tiles.cumsum(0)
    most = n // SPAN + min(n, networks)
    number = torch.arange(most, device=offsets.device)
    # Tiles beyond the last belong to the last network, past its end.
    found = torch.searchsorted(ends, number, right=True).clamp(max=networks - 1)
    return ends - tiles, found.to(torch.int32)


def _constants(
    x: Tensor, extra: Tensor, widths: list[int], octaves: int
) -> dict[str, int | tl.dtype]:
    shape, d = sizes(widths), x.shape[1]
    return {
        **shape, "d": d, "E": shape["I"] - d * (2 * octaves + 1), "STRIDE": extra.shape[1],
        "OCTAVES": octaves, "VALUES": size(widths), "T": product_type(), "BLOCK": BLOCK,
        "SPAN": SPAN, "num_warps": 8,
    }  # fmt: skip


def forward(
    x: Tensor, extra: Tensor, weights: Tensor, offsets: Tensor, widths: list[int], octaves: int
) -> Tensor:
    """See `bank.bank`."""
    n = x.shape[0]
    y = x.new_empty(n, widths[-1])
    if n:
        firsts, networks = _tiles(offsets, n)
        _forward_kernel[(len(networks),)](
            x.contiguous(), extra.contiguous(), weights.contiguous(), y, offsets, firsts, networks,
            **_constants(x, extra, widths, octaves),
        )  # fmt: skip
    return y


def backward(
    grad: Tensor,
    x: Tensor,
    extra: Tensor,
    weights: Tensor,
    offsets: Tensor,
    widths: list[int],
    octaves: int,
    need_x: bool,
    need_extra: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """See `bank._bank_backward`."""
    n, empty = x.shape[0], x.new_empty(0)
    dx = torch.empty_like(x, memory_format=torch.contiguous_format) if need_x else empty
    # Columns beyond the inputs have no gradient.
    dextra = torch.zeros_like(extra, memory_format=torch.contiguous_format)
    dw = torch.zeros_like(weights, memory_format=torch.contiguous_format)
    if n:
        firsts, networks = _tiles(offsets, n)
        _backward_kernel[(len(networks),)](
            grad.contiguous(), x.contiguous(), extra.contiguous(), weights.contiguous(), dx,
            dextra, dw, offsets, firsts, networks, peak(grad),
            NEED_X=need_x, NEED_EXTRA=need_extra, **_constants(x, extra, widths, octaves),
        )  # fmt: skip
    return dx, (dextra if need_extra else empty.clone()), dw


def check(device: torch.device) -> None:
    """Compare with the reference on a few rows of three networks.

    Raises:
        ArithmeticError: they differ by more than the precision allows.
    """
    widths = [15, 32, 32, 4]
    generator = torch.Generator().manual_seed(0)
    x = (torch.rand(150, 3, generator=generator) * 2 - 1).to(device)
    weights = torch.zeros(3, size(widths))
    for part, _ in layers(weights, widths):
        part.copy_(torch.randn(part.shape, generator=generator) / part.shape[-2] ** 0.5)
    weights = weights.to(device).requires_grad_()
    offsets = torch.tensor([0, 70, 70, 150], device=device)
    cotangent = torch.rand(150, 4, generator=generator).to(device)
    extra = x.new_empty(150, 0)
    wanted = reference(x, extra, weights, offsets, widths, 2)
    (dw,) = torch.autograd.grad(wanted, weights, cotangent)
    tolerance = 3e-2 if gpu.precision() == "bf16" else 5e-3
    given = (x, extra, weights.detach(), offsets, widths, 2)
    gpu.compare(forward(*given), wanted.detach(), tolerance)
    gpu.compare(backward(cotangent, *given, False, False)[2], dw, tolerance)
