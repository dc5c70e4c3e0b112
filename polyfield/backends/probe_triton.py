"""The smallest kernel, to learn whether Triton can launch at all."""

from __future__ import annotations

import torch
import triton
import triton.language as tl


@triton.jit
def _double(x, n, BLOCK: tl.constexpr):
    row = tl.arange(0, BLOCK)
    tl.store(x + row, tl.load(x + row, mask=row < n) * 2, mask=row < n)


def check(device: torch.device) -> None:
    """Double a few numbers.

    Raises:
        Exception: whatever keeps Triton from launching; ArithmeticError for a wrong result.
    """
    x = torch.arange(5, dtype=torch.float32, device=device)
    _double[(1,)](x, 5, BLOCK=16)
    if x.tolist() != [0, 2, 4, 6, 8]:
        raise ArithmeticError(f"twice 0 to 4 is not {x.tolist()}")
