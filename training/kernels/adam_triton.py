"""The GPU kernel of `adam`: one pass, which leaves the state of untouched entries where it is.

An entry costs 4 bytes to read where its gradient is 0 and 36 where it isn't.
"""

from __future__ import annotations

from functools import lru_cache

import torch
import triton
import triton.language as tl
from torch import Tensor

from polyfield.backends import gpu
from polyfield.training.kernels.adam import HORIZON, AdamNumbers, corrections, reference

BLOCK = 1024


@triton.jit(do_not_specialize=["n"])
def _step_kernel(
    param, grad, first, second, count, fixes1, fixes2, n, rate, beta1, beta2, eps, keep,
    SKIP: tl.constexpr, HORIZON: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    mask = at < n
    g = tl.load(grad + at, mask=mask, other=0.0)
    if SKIP:
        mask = mask & (g != 0)
    p = tl.load(param + at, mask=mask, other=0.0)
    m = tl.load(first + at, mask=mask, other=0.0)
    v = tl.load(second + at, mask=mask, other=0.0)
    c = tl.load(count + at, mask=mask, other=0) + 1
    taken = tl.minimum(c, HORIZON)
    m = m + (1 - beta1) * (g - m)
    v = v + (1 - beta2) * (g * g - v)
    up = m * tl.load(fixes1 + taken, mask=mask, other=1.0)
    under = tl.sqrt(v * tl.load(fixes2 + taken, mask=mask, other=1.0)) + eps
    tl.store(param + at, p * keep - rate * (up / under), mask=mask)
    tl.store(first + at, m, mask=mask)
    tl.store(second + at, v, mask=mask)
    tl.store(count + at, c, mask=mask)


@lru_cache(maxsize=8)
def _fixes(beta1: float, beta2: float, device: torch.device) -> tuple[Tensor, Tensor]:
    one, two = corrections(beta1, beta2)
    return one.to(device), two.to(device)


def step(
    param: Tensor,
    grad: Tensor,
    first: Tensor,
    second: Tensor,
    count: Tensor,
    numbers: AdamNumbers,
    skip: bool,
) -> None:
    """See `adam.adam`."""
    n = param.numel()
    if n:
        _step_kernel[(triton.cdiv(n, BLOCK),)](
            param, grad, first, second, count,
            *_fixes(numbers.beta1, numbers.beta2, param.device), n, numbers.rate, numbers.beta1,
            numbers.beta2, numbers.eps, 1 - numbers.rate * numbers.decay,
            SKIP=skip, HORIZON=HORIZON, BLOCK=BLOCK,
        )  # fmt: skip


def check(device: torch.device) -> None:
    """Compare two steps with the reference.

    Raises:
        ArithmeticError: they differ by more than a few roundings.
    """
    generator = torch.Generator().manual_seed(0)
    param, grad = (torch.randn(500, generator=generator).to(device) for _ in range(2))
    grad[::3] = 0
    ends = []
    for run in (step, reference):
        p, m, v = param.clone(), torch.zeros_like(param), torch.zeros_like(param)
        c = torch.zeros_like(param, dtype=torch.int32)
        for _ in range(2):
            run(p, grad, m, v, c, AdamNumbers(0.1), True)
        ends.append(p)
    gpu.compare(ends[0], ends[1], 1e-5)
