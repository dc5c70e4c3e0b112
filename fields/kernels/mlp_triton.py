"""The GPU kernels of `mlp`: all layers of a block of rows in one program.

Hidden layers of one width of 16 to 128, one to four of them; any other perceptron runs as torch's
own products. Backward computes the forward pass again (arithmetic is cheaper than memory). Each of
a fixed number of programs walks over many blocks, keeps the weights' gradients on the chip and adds
them to memory once. Where these don't fit (`fused`), hidden values and gradients go through memory
in half precision, and one product a layer follows, its rows shared out among programs.
Gradients are scaled by a power of two before they become fp16, and back after.
"""

from __future__ import annotations

from itertools import pairwise

import torch
import triton
import triton.language as tl
from torch import Tensor

from polyfield.backends import gpu
from polyfield.fields.kernels.layers_triton import (
    ascend,
    deliver,
    descend,
    descend_to,
    fits,
    matrix,
    nothing,
    padded,
    peak,
    product_kernel,
    product_type,
    scale_of,
)
from polyfield.fields.kernels.mlp import reference, size

__all__ = ["backward", "check", "fits", "forward"]

HALVES = {"fp16": "float16", "bf16": "bfloat16"}
ROUNDS = 4
"""Programs a multiprocessor that walk over the blocks of a backward pass."""


def forward_shape(width: int) -> tuple[int, int]:
    """Rows of a block, and warps, for a padded hidden width."""
    return (128, 4) if width <= 64 else (64, 8)


def fused(width: int, depth: int, bias: bool) -> bool:
    """Whether all gradients of the weights fit the registers."""
    return width <= 64 and (depth == 1 or depth == 2 and not bias)


def backward_shape(width: int, depth: int) -> tuple[int, int]:
    """Rows of a block, and warps, for a padded hidden width."""
    if width > 64:
        return 16, 8
    return (32, 8) if width > 32 and depth > 1 else (64, 8)


@triton.jit(do_not_specialize=["n"])
def _forward_kernel(
    x, w, y, n, I: tl.constexpr, H: tl.constexpr, O: tl.constexpr, BIAS: tl.constexpr,
    I_P: tl.constexpr, H_P: tl.constexpr, O_P: tl.constexpr, D: tl.constexpr, T: tl.constexpr,
    BLOCK: tl.constexpr,
):  # fmt: skip
    row = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    i = tl.arange(0, I_P)
    o = tl.arange(0, O_P)
    rows = (row < n)[:, None]
    a = tl.load(x + row[:, None] * I + i[None, :], mask=rows & (i < I)[None, :], other=0.0).to(T)
    out, _, _, _, _ = ascend(a, w, False, BIAS, I, H, O, I_P, H_P, O_P, D, T)
    tl.store(y + row[:, None] * O + o[None, :], out, mask=rows & (o < O)[None, :])


@triton.jit(do_not_specialize=["n"])
def _backward_kernel(
    grad, x, w, dx, dw, scratch, peak, n,
    I: tl.constexpr, H: tl.constexpr, O: tl.constexpr, BIAS: tl.constexpr,
    I_P: tl.constexpr, H_P: tl.constexpr, O_P: tl.constexpr, D: tl.constexpr, T: tl.constexpr,
    NEED_X: tl.constexpr, FUSED: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    down, up = scale_of(peak)
    i = tl.arange(0, I_P)
    o = tl.arange(0, O_P)
    totals = nothing(I_P, H_P, O_P, D, FUSED)
    for block in range(tl.program_id(0), tl.cdiv(n, BLOCK), tl.num_programs(0)):
        row = tl.arange(0, BLOCK).to(tl.int64) + block * BLOCK
        rows = (row < n)[:, None]
        inputs = rows & (i < I)[None, :]
        at = row[:, None] * I + i[None, :]
        a = tl.load(x + at, mask=inputs, other=0.0).to(T)
        _, h1, h2, h3, h4 = ascend(a, w, False, BIAS, I, H, O, I_P, H_P, O_P, D, T)
        of = row[:, None] * O + o[None, :]
        g = tl.load(grad + of, mask=rows & (o < O)[None, :], other=0.0)
        g = (g * down).to(T)
        if FUSED:
            g, totals = descend(
                g, a, h1, h2, h3, h4, w, totals, False, I, H, O, BIAS, I_P, H_P, O_P, D, T
            )
        else:
            g = descend_to(
                g, h1, h2, h3, h4, w, scratch, row, n, False, I, H, O, BIAS, H_P, O_P, D, T
            )
        if NEED_X:
            enter = tl.trans(matrix(w, 1, I, I, H, I_P, H_P, T))
            tl.store(dx + at, tl.dot(g, enter, input_precision="ieee") * up, mask=inputs)
    if FUSED:
        deliver(dw, totals, up, False, I, H, O, BIAS, I_P, H_P, O_P, D)


def sizes(widths: list[int]) -> dict[str, int]:
    """The constants of a perceptron's shape."""
    i, h, o = widths[0], widths[1], widths[-1]
    return {
        "I": i, "H": h, "O": o, "I_P": padded(i), "H_P": padded(h), "O_P": padded(o),
        "D": len(widths) - 2,
    }  # fmt: skip


def programs(device: torch.device) -> int:
    """How many programs walk over the blocks."""
    if device.type != "cuda":
        return 2
    return ROUNDS * torch.cuda.get_device_properties(device).multi_processor_count


def forward(x: Tensor, weights: Tensor, widths: list[int], bias: bool) -> Tensor:
    """See `mlp.mlp`."""
    shape, n = sizes(widths), x.shape[0]
    y = x.new_empty(n, widths[-1])
    block, warps = forward_shape(shape["H_P"])
    if n:
        _forward_kernel[(triton.cdiv(n, block),)](
            x.contiguous(), weights, y, n, **shape, BIAS=bias, T=product_type(), BLOCK=block,
            num_warps=warps,
        )  # fmt: skip
    return y


def backward(
    grad: Tensor, x: Tensor, weights: Tensor, widths: list[int], bias: bool, need_x: bool
) -> tuple[Tensor, Tensor]:
    """See `mlp._mlp_backward`."""
    shape, n = sizes(widths), x.shape[0]
    dx = torch.empty_like(x, memory_format=torch.contiguous_format) if need_x else x.new_empty(0)
    dw = torch.zeros_like(weights)
    if n == 0:
        return dx, dw
    width, depth = shape["H_P"], shape["D"]
    whole, (block, warps) = fused(width, depth, bias), backward_shape(width, depth)
    half = torch.float32 if gpu.precision() == "fp32" else getattr(torch, HALVES[gpu.precision()])
    scratch = torch.empty(0 if whole else 2 * depth * n * width, dtype=half, device=x.device)
    x, grad, most = x.contiguous(), grad.contiguous(), peak(grad)
    blocks = triton.cdiv(n, block)
    _backward_kernel[(min(programs(x.device), blocks) if whole else blocks,)](
        grad, x, weights, dx, dw, scratch, most, n, **shape, BIAS=bias,
        T=product_type(), NEED_X=need_x, FUSED=whole, BLOCK=block, num_warps=warps,
    )  # fmt: skip
    if not whole:
        kept = scratch.view(n, depth, 2, width).unbind(1)
        values, grads = ([layer[:, which] for layer in kept] for which in (0, 1))
        _products([x, *values], [*grads, grad], dw, most, widths, bias)
    return dx, dw


def _products(
    values: list[Tensor],
    grads: list[Tensor],
    dw: Tensor,
    most: Tensor,
    widths: list[int],
    bias: bool,
) -> None:
    """Gradients of the weights from what goes into each layer and the gradients behind it."""
    at, n = 0, values[0].shape[0]
    grid = (min(programs(dw.device), triton.cdiv(n, 64)),)
    for (i, o), a, b in zip(pairwise(widths), values, grads, strict=True):
        product_kernel[grid](
            a, b, dw[at:], dw[at + i * o :], most, n, WA=a.stride(0), WB=b.stride(0),
            I=i, O=o, I_P=padded(i), O_P=padded(o), BIAS=bias, SCALE_B=b is grads[-1],
            T=product_type(), BLOCK=64, num_warps=8 if max(i, o) > 64 else 4,
        )  # fmt: skip
        at += i * o + (o if bias else 0)


def check(device: torch.device) -> None:
    """Compare with the reference on a few rows.

    Raises:
        ArithmeticError: they differ by more than the precision allows.
    """
    widths = [20, 32, 32, 3]
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(200, 20, generator=generator).to(device)
    weights = (torch.randn(size(widths, True), generator=generator) * 0.2).to(device)
    cotangent = torch.rand(200, 3, generator=generator).to(device)
    leaf = weights.clone().requires_grad_()
    wanted = reference(x, leaf, widths, True)
    (dw,) = torch.autograd.grad(wanted, leaf, cotangent)
    tolerance = 3e-2 if gpu.precision() == "bf16" else 5e-3
    gpu.compare(forward(x, weights, widths, True), wanted.detach(), tolerance)
    gpu.compare(backward(cotangent, x, weights, widths, True, False)[1], dw, tolerance)
