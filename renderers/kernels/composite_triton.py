"""The GPU kernels of `composite`: one ray a program, CHUNK of its samples at a time.

A ray ends where less than 2^-25 of the light is left: what lies behind changes no digit. Sums along
a ray are float32.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from polyfield.backends import gpu
from polyfield.renderers.kernels.composite import reference

CHUNK = 64
"""Samples at a time."""
DARK = tl.constexpr(17.5)
"""Optical thickness behind which no light is left."""


@triton.jit
def _light(density, length, at, mask, before):
    """Weight of samples, light behind each, and the thickness up to the last."""
    s = tl.load(density + at, mask=mask, other=0.0)
    a = s * tl.load(length + at, mask=mask, other=0.0)
    # exp(-110) is 0 in float32, and differences of sums keep their digits.
    a = tl.where(a > 110, 110.0, a)
    total = before + tl.cumsum(a, 0)
    # 1 - exp(-a) loses digits where a is small.
    small = a * (1 - a * (0.5 - a * 0.16666667))
    alpha = tl.where(a < 0.01, small, 1 - tl.exp(-a))
    return tl.exp(a - total) * alpha, tl.exp(-total), before + tl.sum(a, 0)


@triton.jit
def _forward_kernel(
    values, density, length, offsets, out, opacity,
    C: tl.constexpr, C_P: tl.constexpr, CHUNK: tl.constexpr,
):  # fmt: skip
    ray = tl.program_id(0).to(tl.int64)
    at = tl.load(offsets + ray)
    end = tl.load(offsets + ray + 1)
    c = tl.arange(0, C_P)
    color = tl.zeros([C_P], tl.float32)
    # Zeros of a type of their own: 0.0 would be a constant, which a loop may not change.
    thickness = tl.sum(tl.zeros([CHUNK], tl.float32), 0)
    seen = thickness
    while (at < end) & (thickness < DARK):
        sample = at + tl.arange(0, CHUNK)
        mask = sample < end
        weight, _, thickness = _light(density, length, sample, mask, thickness)
        of = mask[:, None] & (c < C)[None, :]
        value = tl.load(values + sample[:, None] * C + c[None, :], mask=of, other=0.0)
        weight = tl.where(mask, weight, 0.0)
        color += tl.sum(weight[:, None] * value, 0)
        seen += tl.sum(weight, 0)
        at += CHUNK
    tl.store(out + ray * C + c, color, mask=c < C)
    # Rounding may lead a hair beyond 1. A number that is none stays so.
    tl.store(opacity + ray, tl.where(seen > 1.0, 1.0, seen))


@triton.jit
def _judged(grad, own, values, sample, mask, c, C: tl.constexpr):
    """What a unit of each sample's weight is worth: q = g . v + g_opacity."""
    of = mask[:, None] & (c < C)[None, :]
    value = tl.load(values + sample[:, None] * C + c[None, :], mask=of, other=0.0)
    return tl.sum(value * grad[None, :], 1) + own


@triton.jit
def _backward_kernel(
    grad, grad_opacity, values, density, length, offsets, dvalues, ddensity,
    C: tl.constexpr, C_P: tl.constexpr, CHUNK: tl.constexpr,
):  # fmt: skip
    ray = tl.program_id(0).to(tl.int64)
    begin = tl.load(offsets + ray)
    end = tl.load(offsets + ray + 1)
    c = tl.arange(0, C_P)
    g = tl.load(grad + ray * C + c, mask=c < C, other=0.0)
    own = tl.load(grad_opacity + ray)
    zero = tl.sum(tl.zeros([CHUNK], tl.float32), 0)
    # First what the ray's weights are worth together, then what lies behind each sample.
    thickness = zero
    worth = zero
    at = begin
    while (at < end) & (thickness < DARK):
        sample = at + tl.arange(0, CHUNK)
        mask = sample < end
        weight, _, thickness = _light(density, length, sample, mask, thickness)
        q = _judged(g, own, values, sample, mask, c, C)
        worth += tl.sum(tl.where(mask, weight * q, 0.0), 0)
        at += CHUNK
    thickness = zero
    passed = zero
    at = begin
    while (at < end) & (thickness < DARK):
        sample = at + tl.arange(0, CHUNK)
        mask = sample < end
        weight, light, thickness = _light(density, length, sample, mask, thickness)
        q = _judged(g, own, values, sample, mask, c, C)
        share = tl.where(mask, weight * q, 0.0)
        behind = worth - (passed + tl.cumsum(share, 0))
        passed += tl.sum(share, 0)
        step = tl.load(length + sample, mask=mask, other=0.0)
        tl.store(ddensity + sample, step * (light * q - behind), mask=mask)
        of = mask[:, None] & (c < C)[None, :]
        to = dvalues + sample[:, None] * C + c[None, :]
        tl.store(to, weight[:, None] * g[None, :], mask=of)
        at += CHUNK


def forward(
    values: Tensor, density: Tensor, length: Tensor, offsets: Tensor
) -> tuple[Tensor, Tensor]:
    """See `composite.composite`."""
    rays, channels = offsets.shape[0] - 1, values.shape[1]
    out, opacity = values.new_empty(rays, channels), values.new_empty(rays)
    if rays:
        _forward_kernel[(rays,)](
            values.contiguous(), density.contiguous(), length.contiguous(), offsets, out, opacity,
            C=channels, C_P=triton.next_power_of_2(channels), CHUNK=CHUNK, num_warps=1,
        )  # fmt: skip
    return out, opacity


def backward(
    grad: Tensor,
    grad_opacity: Tensor,
    values: Tensor,
    density: Tensor,
    length: Tensor,
    offsets: Tensor,
) -> tuple[Tensor, Tensor]:
    """See `composite._composite_backward`."""
    rays, channels = offsets.shape[0] - 1, values.shape[1]
    # Samples in the dark are not visited.
    dvalues = torch.zeros_like(values, memory_format=torch.contiguous_format)
    ddensity = torch.zeros_like(density, memory_format=torch.contiguous_format)
    if rays:
        _backward_kernel[(rays,)](
            grad, grad_opacity, values.contiguous(), density.contiguous(), length.contiguous(),
            offsets, dvalues, ddensity,
            C=channels, C_P=triton.next_power_of_2(channels), CHUNK=CHUNK, num_warps=1,
        )  # fmt: skip
    return dvalues, ddensity


def check(device: torch.device) -> None:
    """Compare with the reference on a few rays.

    Raises:
        ArithmeticError: they differ by more than rounding.
    """
    generator = torch.Generator().manual_seed(0)
    values = torch.rand(200, 4, generator=generator).to(device)
    density = (torch.rand(200, generator=generator) * 8).to(device).requires_grad_()
    length = torch.full((200,), 0.02, device=device)
    offsets = torch.tensor([0, 0, 90, 200], device=device)
    wanted = reference(values, density, length, offsets)
    ones = torch.ones_like(wanted[0]), torch.ones_like(wanted[1])
    (ddensity,) = torch.autograd.grad(wanted, density, ones)
    found = forward(values, density.detach(), length, offsets)
    gpu.compare(found[0], wanted[0].detach(), 1e-5)
    back = backward(*ones, values, density.detach(), length, offsets)[1]
    gpu.compare(back, ddensity, 1e-4)
