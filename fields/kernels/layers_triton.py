"""A perceptron on a block of rows that stays on the chip: shared by `mlp` and `bank`.

Symbols: I inputs, H width of the hidden layers, O outputs; _P: padded to a power of two of at least
16, the least a tensor core takes; D hidden layers, 0 to 4; T the type of products; SI, SO how far
apart a matrix's values are along inputs and outputs. A hidden layer's values are h1 .. h4 (unused
ones repeat the last). Everything is summed in float32.

Matrices are read with `volatile`: otherwise the compiler moves their loads out of the loop over
blocks, where they fill all registers. Float32 products exist for the interpreter alone: on a GPU
they would spill, and PyTorch's own are used (`fits`).
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from polyfield.backends import gpu

WIDEST = 64
"""Inputs and outputs at most."""
DEEPEST = {16: 4, 32: 4, 64: 4, 128: 2}
"""Hidden layers at most, by their padded width: more would spill registers."""
TYPES = {"fp16": tl.float16, "bf16": tl.bfloat16, "fp32": tl.float32}


def padded(width: int) -> int:
    """The next power of two, at least 16."""
    return max(16, triton.next_power_of_2(width))


def fits(widths: list[int]) -> bool:
    """Whether the kernels take a perceptron of these widths."""
    if gpu.precision() == "fp32" and not gpu.interpreting():
        return False
    first, *hidden, last = widths
    if len(set(hidden)) != 1 or max(first, last) > WIDEST:
        return False
    return len(hidden) <= DEEPEST.get(padded(hidden[0]), 0)


def peak(grad: Tensor) -> Tensor:
    """The largest magnitude, on the device: what gradients are scaled by."""
    return torch.linalg.vector_norm(grad, torch.inf).reshape(1)


def product_type() -> tl.dtype:
    """Type of the products: fp16, bf16 or float32."""
    return TYPES[gpu.precision()]


@triton.jit
def scale_of(peak):
    """2^-k and 2^k with the peak in [2^k, 2^(k+1)): fp16 has few exponents, and this is exact."""
    exponent = (tl.load(peak).to(tl.int32, bitcast=True) >> 23) & 255
    exponent = tl.minimum(tl.maximum(exponent, 1), 253)
    down = ((254 - exponent) << 23).to(tl.float32, bitcast=True)
    up = (exponent << 23).to(tl.float32, bitcast=True)
    return down, up


@triton.jit
def matrix(
    w, SI: tl.constexpr, SO: tl.constexpr, I: tl.constexpr, O: tl.constexpr,
    I_P: tl.constexpr, O_P: tl.constexpr, T: tl.constexpr,
):  # fmt: skip
    """A layer's weights [I_P, O_P]."""
    i = tl.arange(0, I_P)[:, None]
    o = tl.arange(0, O_P)[None, :]
    if I == I_P and O == O_P:
        return tl.load(w + i * SI + o * SO, volatile=True).to(T)
    else:
        return tl.load(w + i * SI + o * SO, mask=(i < I) & (o < O), other=0.0, volatile=True).to(T)


@triton.jit
def _layer(
    x, w, FIRST: tl.constexpr, BIAS: tl.constexpr, I: tl.constexpr, O: tl.constexpr,
    I_P: tl.constexpr, O_P: tl.constexpr, T: tl.constexpr,
):  # fmt: skip
    """Layer without activation: [B, I_P] -> [B, O_P] in float32."""
    SI: tl.constexpr = O if FIRST else 1
    SO: tl.constexpr = 1 if FIRST else I
    y = tl.dot(x, matrix(w, SI, SO, I, O, I_P, O_P, T), input_precision="ieee")
    if BIAS:
        o = tl.arange(0, O_P)
        y += tl.load(w + I * O + o, mask=o < O, other=0.0)[None, :]
    return y


@triton.jit
def _relu(y, T: tl.constexpr):
    """NaN stays."""
    return tl.where(y < 0, 0.0, y).to(T)


@triton.jit
def ascend(
    x, w, FIRST: tl.constexpr, BIAS: tl.constexpr,
    I: tl.constexpr, H: tl.constexpr, O: tl.constexpr,
    I_P: tl.constexpr, H_P: tl.constexpr, O_P: tl.constexpr, D: tl.constexpr, T: tl.constexpr,
):  # fmt: skip
    """All layers: outputs in float32, and h1 .. h4."""
    ENTER: tl.constexpr = I * H + (H if BIAS else 0)
    INNER: tl.constexpr = H * H + (H if BIAS else 0)
    h1 = _relu(_layer(x, w, FIRST, BIAS, I, H, I_P, H_P, T), T)
    h2 = h1
    if D > 1:
        h2 = _relu(_layer(h1, w + ENTER, FIRST, BIAS, H, H, H_P, H_P, T), T)
    h3 = h2
    if D > 2:
        h3 = _relu(_layer(h2, w + ENTER + INNER, FIRST, BIAS, H, H, H_P, H_P, T), T)
    h4 = h3
    if D > 3:
        h4 = _relu(_layer(h3, w + ENTER + 2 * INNER, FIRST, BIAS, H, H, H_P, H_P, T), T)
    last = w + ENTER + (D - 1) * INNER
    return _layer(h4, last, FIRST, BIAS, H, O, H_P, O_P, T), h1, h2, h3, h4


@triton.jit
def _add(dw, total, up, FIRST: tl.constexpr, I: tl.constexpr, O: tl.constexpr,
         I_P: tl.constexpr, O_P: tl.constexpr):  # fmt: skip
    """Add a matrix's gradient [I_P, O_P] to where the matrix lies."""
    SI: tl.constexpr = O if FIRST else 1
    SO: tl.constexpr = 1 if FIRST else I
    i = tl.arange(0, I_P)[:, None]
    o = tl.arange(0, O_P)[None, :]
    mask = (i < I) & (o < O)
    tl.atomic_add(dw + i * SI + o * SO, total * up, mask=mask, sem="relaxed")


@triton.jit
def _add_bias(dw, total, up, O: tl.constexpr, O_P: tl.constexpr):
    o = tl.arange(0, O_P)
    tl.atomic_add(dw + o, total * up, mask=o < O, sem="relaxed")


@triton.jit
def _down(
    g, h, w, FIRST: tl.constexpr, I: tl.constexpr, O: tl.constexpr,
    I_P: tl.constexpr, O_P: tl.constexpr, T: tl.constexpr,
):  # fmt: skip
    """The gradient in the inputs h of a layer whose outputs have g, through h's ReLU."""
    SI: tl.constexpr = O if FIRST else 1
    SO: tl.constexpr = 1 if FIRST else I
    back = tl.dot(g, tl.trans(matrix(w, SI, SO, I, O, I_P, O_P, T)), input_precision="ieee")
    return tl.where(h > 0, back, 0.0).to(T)


@triton.jit
def descend(
    g, x, h1, h2, h3, h4, w, totals,
    FIRST: tl.constexpr, I: tl.constexpr, H: tl.constexpr, O: tl.constexpr, BIAS: tl.constexpr,
    I_P: tl.constexpr, H_P: tl.constexpr, O_P: tl.constexpr, D: tl.constexpr, T: tl.constexpr,
):  # fmt: skip
    """Gradients of a block: adds to `totals`, returns them and the gradient before layer 1."""
    ENTER: tl.constexpr = I * H + (H if BIAS else 0)
    INNER: tl.constexpr = H * H + (H if BIAS else 0)
    enter, first, second, third, leave, b0, b1, b2, b3, b_last = totals
    leave = tl.dot(tl.trans(h4), g, leave, input_precision="ieee")
    if BIAS:
        b_last += tl.sum(g.to(tl.float32), 0)
    last = w + ENTER + (D - 1) * INNER
    g = _down(g, h4, last, FIRST, H, O, H_P, O_P, T)
    if D > 3:
        third = tl.dot(tl.trans(h3), g, third, input_precision="ieee")
        if BIAS:
            b3 += tl.sum(g.to(tl.float32), 0)
        g = _down(g, h3, w + ENTER + 2 * INNER, FIRST, H, H, H_P, H_P, T)
    if D > 2:
        second = tl.dot(tl.trans(h2), g, second, input_precision="ieee")
        if BIAS:
            b2 += tl.sum(g.to(tl.float32), 0)
        g = _down(g, h2, w + ENTER + INNER, FIRST, H, H, H_P, H_P, T)
    if D > 1:
        first = tl.dot(tl.trans(h1), g, first, input_precision="ieee")
        if BIAS:
            b1 += tl.sum(g.to(tl.float32), 0)
        g = _down(g, h1, w + ENTER, FIRST, H, H, H_P, H_P, T)
    enter = tl.dot(tl.trans(x), g, enter, input_precision="ieee")
    if BIAS:
        b0 += tl.sum(g.to(tl.float32), 0)
    return g, (enter, first, second, third, leave, b0, b1, b2, b3, b_last)


@triton.jit
def _keep(to, h, g, row, mask, LAYER: tl.constexpr, H_P: tl.constexpr, D: tl.constexpr):
    """Write a hidden layer's values and gradients to scratch [n, D, 2, H_P]."""
    at = row[:, None] * (2 * D * H_P) + tl.arange(0, H_P)[None, :] + 2 * LAYER * H_P
    tl.store(to + at, h, mask=mask)
    tl.store(to + at + H_P, g, mask=mask)


@triton.jit
def descend_to(
    g, h1, h2, h3, h4, w, to, row, n,
    FIRST: tl.constexpr, I: tl.constexpr, H: tl.constexpr, O: tl.constexpr, BIAS: tl.constexpr,
    H_P: tl.constexpr, O_P: tl.constexpr, D: tl.constexpr, T: tl.constexpr,
):  # fmt: skip
    """The gradient before layer 1 of a block; all hidden values and gradients go to scratch."""
    ENTER: tl.constexpr = I * H + (H if BIAS else 0)
    INNER: tl.constexpr = H * H + (H if BIAS else 0)
    mask = (row < n)[:, None]
    g = _down(g, h4, w + ENTER + (D - 1) * INNER, FIRST, H, O, H_P, O_P, T)
    _keep(to, h4, g, row, mask, D - 1, H_P, D)
    if D > 3:
        g = _down(g, h3, w + ENTER + 2 * INNER, FIRST, H, H, H_P, H_P, T)
        _keep(to, h3, g, row, mask, 2, H_P, D)
    if D > 2:
        g = _down(g, h2, w + ENTER + INNER, FIRST, H, H, H_P, H_P, T)
        _keep(to, h2, g, row, mask, 1, H_P, D)
    if D > 1:
        g = _down(g, h1, w + ENTER, FIRST, H, H, H_P, H_P, T)
        _keep(to, h1, g, row, mask, 0, H_P, D)
    return g


@triton.jit(do_not_specialize=["n"])
def product_kernel(
    a, b, dw, bias, peak, n, WA: tl.constexpr, WB: tl.constexpr,
    I: tl.constexpr, O: tl.constexpr, I_P: tl.constexpr, O_P: tl.constexpr, BIAS: tl.constexpr,
    SCALE_B: tl.constexpr, T: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """Adds a^T b, scaled back, to a matrix [O, I], and b's sum to its bias.

    WA and WB are the widths of the rows of a and b as they lie; with SCALE_B b is not scaled yet.
    """
    down, up = scale_of(peak)
    i = tl.arange(0, I_P)
    o = tl.arange(0, O_P)
    total = tl.zeros([I_P, O_P], tl.float32)
    sums = tl.zeros([O_P], tl.float32)
    for block in range(tl.program_id(0), tl.cdiv(n, BLOCK), tl.num_programs(0)):
        row = tl.arange(0, BLOCK).to(tl.int64) + block * BLOCK
        rows = (row < n)[:, None]
        one = tl.load(a + row[:, None] * WA + i[None, :], mask=rows & (i < I)[None, :], other=0.0)
        two = tl.load(b + row[:, None] * WB + o[None, :], mask=rows & (o < O)[None, :], other=0.0)
        if SCALE_B:
            two = two * down
        two = two.to(T)
        total = tl.dot(tl.trans(one.to(T)), two, total, input_precision="ieee")
        if BIAS:
            sums += tl.sum(two.to(tl.float32), 0)
    _add(dw, total, up, False, I, O, I_P, O_P)
    if BIAS:
        _add_bias(bias, sums, up, O, O_P)


@triton.jit
def nothing(
    I_P: tl.constexpr, H_P: tl.constexpr, O_P: tl.constexpr, D: tl.constexpr, USED: tl.constexpr
):
    """Totals of no rows: of the matrices, then of the biases. Those of no layer are tiny."""
    S0: tl.constexpr = H_P if USED else 16
    S1: tl.constexpr = H_P if USED and D > 1 else 16
    S2: tl.constexpr = H_P if USED and D > 2 else 16
    S3: tl.constexpr = H_P if USED and D > 3 else 16
    SI: tl.constexpr = I_P if USED else 16
    SO: tl.constexpr = O_P if USED else 16
    return (
        tl.zeros([SI, S0], tl.float32), tl.zeros([S1, S1], tl.float32),
        tl.zeros([S2, S2], tl.float32), tl.zeros([S3, S3], tl.float32),
        tl.zeros([S0, SO], tl.float32), tl.zeros([H_P], tl.float32), tl.zeros([H_P], tl.float32),
        tl.zeros([H_P], tl.float32), tl.zeros([H_P], tl.float32), tl.zeros([O_P], tl.float32),
    )  # fmt: skip


@triton.jit
def deliver(
    dw, totals, up, FIRST: tl.constexpr, I: tl.constexpr, H: tl.constexpr, O: tl.constexpr,
    BIAS: tl.constexpr, I_P: tl.constexpr, H_P: tl.constexpr, O_P: tl.constexpr, D: tl.constexpr,
):  # fmt: skip
    """Add totals, scaled back, to the gradient in the weights."""
    ENTER: tl.constexpr = I * H + (H if BIAS else 0)
    INNER: tl.constexpr = H * H + (H if BIAS else 0)
    enter, first, second, third, leave, b0, b1, b2, b3, b_last = totals
    last = dw + ENTER + (D - 1) * INNER
    _add(dw, enter, up, FIRST, I, H, I_P, H_P)
    _add(last, leave, up, FIRST, H, O, H_P, O_P)
    if BIAS:
        _add_bias(dw + I * H, b0, up, H, H_P)
        _add_bias(last + H * O, b_last, up, O, O_P)
    if D > 1:
        _add(dw + ENTER, first, up, FIRST, H, H, H_P, H_P)
        if BIAS:
            _add_bias(dw + ENTER + H * H, b1, up, H, H_P)
    if D > 2:
        _add(dw + ENTER + INNER, second, up, FIRST, H, H, H_P, H_P)
        if BIAS:
            _add_bias(dw + ENTER + INNER + H * H, b2, up, H, H_P)
    if D > 3:
        _add(dw + ENTER + 2 * INNER, third, up, FIRST, H, H, H_P, H_P)
        if BIAS:
            _add_bias(dw + ENTER + 2 * INNER + H * H, b3, up, H, H_P)
