"""One step of Adam that can leave entries with a zero gradient alone.

    m = b1 m + (1 - b1) g;  v = b2 v + (1 - b2) g^2;  c = c + 1
    p = p (1 - rate decay) - rate (m / (1 - b1^c)) / (sqrt(v / (1 - b2^c)) + eps)

Source: Kingma and Ba 2015, algorithm 1. Symbols: p parameter, g gradient, m and v moments, c steps
taken by each entry. With `skip`, entries with g = 0 keep p, m, v and c: tiny-cuda-nn does so for
its tables, since a batch touches few entries and the others must not drift by momentum.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import torch
from jaxtyping import Float, Int32
from torch import Tensor

from polyfield.backends import dispatch

HORIZON = 4096
"""From this step on 1 - b^c counts as 1 (it is, in float precision, for b <= 0.995)."""


@dataclass(frozen=True)
class AdamNumbers:
    """The constants of a step."""

    rate: float
    beta1: float = 0.9
    beta2: float = 0.99
    eps: float = 1e-15
    decay: float = 0.0
    """Decoupled weight decay (AdamW)."""


@lru_cache(maxsize=8)
def corrections(beta1: float, beta2: float) -> tuple[Tensor, Tensor]:
    """1 / (1 - b^c) for c = 0..HORIZON (entry 0 is not used), float32."""
    count = torch.arange(HORIZON + 1, dtype=torch.float64)
    count[0] = 1
    return tuple((1 / (1 - beta**count)).float() for beta in (beta1, beta2))  # type: ignore[return-value]


def reference(
    param: Float[Tensor, "*s"],
    grad: Float[Tensor, "*s"],
    first: Float[Tensor, "*s"],
    second: Float[Tensor, "*s"],
    count: Int32[Tensor, "*s"],
    numbers: AdamNumbers,
    skip: bool,
) -> None:
    """The step in plain torch, in place."""
    touched = (grad != 0) if skip else torch.ones_like(grad, dtype=torch.bool)
    count += touched.to(count.dtype)
    fix1, fix2 = (
        table.to(param)[count.clamp(max=HORIZON)]
        for table in corrections(numbers.beta1, numbers.beta2)
    )
    new_first = first + (1 - numbers.beta1) * (grad - first)
    new_second = second + (1 - numbers.beta2) * (grad * grad - second)
    move = numbers.rate * (new_first * fix1) / ((new_second * fix2).sqrt() + numbers.eps)
    new_param = param * (1 - numbers.rate * numbers.decay) - move
    first.copy_(torch.where(touched, new_first, first))
    second.copy_(torch.where(touched, new_second, second))
    param.copy_(torch.where(touched, new_param, param))


@torch.no_grad()
def adam(
    param: Float[Tensor, "*s"],
    grad: Float[Tensor, "*s"],
    first: Float[Tensor, "*s"],
    second: Float[Tensor, "*s"],
    count: Int32[Tensor, "*s"],
    numbers: AdamNumbers,
    skip: bool,
) -> None:
    """Step `param`, `first`, `second` and `count` in place; all of one shape and contiguous."""
    if not dispatch.fast(__name__, param, grad, first, second):
        return reference(param, grad, first, second, count, numbers, skip)
    return dispatch.kernel(__name__, param).step(param, grad, first, second, count, numbers, skip)
