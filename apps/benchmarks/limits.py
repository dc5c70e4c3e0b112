"""What a GPU's memory does, and rows of benchmarks that are told as shares of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache

import torch

from polyfield.apps.benchmarks.timing import Row, in_turns
from polyfield.backends import dispatch

Run = Callable[[], object]


@dataclass(frozen=True)
class Sizes:
    """How large the benchmarks are; tests make them small."""

    points: int = 1 << 20
    log2_table: int = 19
    levels: int = 16
    networks: tuple[int, ...] = (1000, 4000)
    rays: int = 1 << 13
    repeats: int = 9


@dataclass(frozen=True)
class Limits:
    """What this GPU's memory does."""

    read: float
    """Bytes a second of random sectors through L2."""
    added: float
    """Random additions of two values a second."""
    copied: float
    """Bytes a second, read and written, of a copy."""
    rows: tuple[Row, ...]
    """How they were measured."""


@cache
def limits(device: torch.device, sizes: Sizes) -> Limits:
    """Measure them, on tables as large as the hash grid's."""
    from polyfield.apps.benchmarks import limits_triton

    entries = sizes.levels << sizes.log2_table
    half = torch.zeros(entries, device=device)
    whole = torch.zeros(2 * entries, device=device)
    out = torch.empty(max(limits_triton.BLOCK, sizes.points), device=device)
    there = torch.empty_like(whole)
    times = in_turns(
        {
            "read": lambda: limits_triton.gather(half, out),
            "added": lambda: limits_triton.add(whole, len(out)),
            "copied": lambda: there.copy_(whole),
        },
        sizes.repeats,
    )
    each = len(out) * limits_triton.ROUNDS
    read = each * limits_triton.SECTOR / times["read"]
    added = each / times["added"]
    copied = 8 * whole.numel() / times["copied"]
    size = f"in {entries * 4 / 1e6:.0f} MB"
    rows = (
        Row("L2 random read", "triton", f"bytes, {size}", times["read"], read, None),
        Row("L2 random add", "triton", f"pairs, {size}", times["added"], added, None),
        Row("copy", "torch", f"bytes, {size}", times["copied"], copied, None),
    )
    return Limits(read, added, copied, rows)


def forced(backend: str, run: Run) -> Run:
    """Run with that backend."""

    def measured() -> object:
        with dispatch.force(backend):
            return run()

    return measured


def rows_of(
    op: str, size: str, count: int, runs: Mapping[str, Run], sizes: Sizes, bound: float | None
) -> Iterator[Row]:
    """Time them in turns; `bound` is the least seconds that memory allows the kernel."""
    times = in_turns(runs, sizes.repeats)
    for name, seconds in times.items():
        row = Row(op, name, size, seconds, count / seconds, times["reference"] / seconds)
        share = bound / seconds if bound is not None and name == "triton" else None
        yield replace(row, share_of_bound=share)
