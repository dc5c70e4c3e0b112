"""What a GPU's memory allows: random reads through its L2 cache, and random additions.

A hash grid does little else, so its speed is told as a share of these. Symbols: a sector is 32
bytes, the least that L2 moves; a pair is two neighbouring float32 values, added by one instruction
where the GPU has it.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

SECTOR = 32
"""Bytes."""
BLOCK = 256
"""Places a round of a program."""
ROUNDS = 32
"""Rounds of a program."""


@triton.jit
def _place(lane, ROUND: tl.constexpr, count):
    """A pseudo-random number below count, another one for each lane and round."""
    x = lane * 747796405 + ((ROUND * 277803737 + 12345) & 0x7FFFFFFF)
    x = (x ^ (x >> 16)) * 2246822507
    x = (x ^ (x >> 13)) * 3266489909
    x = (x ^ (x >> 16)) >> 1
    return x.to(tl.int32).to(tl.int64) % count


@triton.jit
def _gather_kernel(table, out, sectors, BLOCK: tl.constexpr, ROUNDS: tl.constexpr):
    lane = (tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)).to(tl.uint32)
    total = tl.zeros([BLOCK], tl.float32)
    for k in tl.static_range(ROUNDS):
        total += tl.load(table + _place(lane, k, sectors) * 8)
    tl.store(out + lane, total)


@triton.jit
def _add_kernel(table, pairs, BLOCK: tl.constexpr, ROUNDS: tl.constexpr):
    lane = (tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)).to(tl.uint32)
    column = tl.arange(0, 2)
    one = tl.full([BLOCK, 2], 1.0, tl.float32)
    for k in tl.static_range(ROUNDS):
        at = _place(lane, k, pairs)[:, None] * 2 + column[None, :]
        tl.atomic_add(table + at, one, sem="relaxed")


def gather(table: Tensor, out: Tensor) -> int:
    """Read a value from a random sector, len(out) * ROUNDS times; returns how many sectors.

    Args:
        table: [k] float32, k a multiple of 8.
        out: [m] float32, m a multiple of BLOCK.
    """
    sectors = table.numel() * 4 // SECTOR
    _gather_kernel[(len(out) // BLOCK,)](table, out, sectors, BLOCK=BLOCK, ROUNDS=ROUNDS)
    return len(out) * ROUNDS


def add(table: Tensor, lanes: int) -> int:
    """Add 1 to both values of a random pair, lanes * ROUNDS times; returns how many pairs.

    Args:
        table: [k] float32, k even.
        lanes: a multiple of BLOCK.
    """
    _add_kernel[(lanes // BLOCK,)](table, table.numel() // 2, BLOCK=BLOCK, ROUNDS=ROUNDS)
    return lanes * ROUNDS


def check(device: torch.device) -> None:
    """Every addition arrives, every read finds what is there.

    Raises:
        ArithmeticError: they don't.
    """
    table = torch.zeros(4096, device=device)
    added = add(table, BLOCK)
    if int(table.sum()) != 2 * added or int((table[::2] - table[1::2]).abs().sum()):
        raise ArithmeticError("additions got lost")
    out = torch.empty(BLOCK, device=device)
    gather(torch.ones(4096, device=device), out)
    if out.tolist() != [float(ROUNDS)] * BLOCK:
        raise ArithmeticError("reads found something else")
