"""What this CPU does at most, in the process that times the kernels: shares are of it.

A kernel's bound is the least time that its random reads and additions, or its multiply-adds, take
on this machine: pairs of floats from tables as large as a level of a grid, and torch's products of
square matrices. A share means the same on any machine; a rate doesn't.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import torch

from polyfield.apps.benchmarks.timing import Row, in_turns
from polyfield.backends import dispatch, parallel

SIZES = (1 << 15, 1 << 18, 1 << 22, 1 << 26)
"""Bytes of the tables: in the first cache, in the second, in the last, in memory."""
COUNT = 1 << 20
"""Reads a thread."""
EDGE = 1024
"""Of the matrices."""


@dataclass(frozen=True)
class Limits:
    """What all threads together do in a second."""

    reads: tuple[float, ...]
    """Random pairs of floats read, by the table's size."""
    adds: tuple[float, ...]
    """Random pairs of floats added to, each thread to its own table."""
    multiply_adds: float
    """Of float32."""
    copied: float
    """Bytes read and written in order."""
    rows: tuple[Row, ...]
    """How they were measured."""

    def grid(self, entries: Sequence[int], features: int, points: int, adds: bool) -> float:
        """Least seconds of all corners of points in levels of so many entries.

        Args:
            entries: Of each level.
            features: Floats an entry.
            points: Looked up, eight corners each.
            adds: To add to the entries, in place of reading them.
        """
        rates = self.adds if adds else self.reads
        pairs = 8 * points * max(1, features // 2)
        return sum(pairs / rates[_nearest(4 * features * size)] for size in entries)

    def network(self, widths: Sequence[int], rows: int, backward: bool) -> float:
        """Least seconds of a perceptron; with its backward pass three times the products."""
        products = sum(i * o for i, o in zip(widths[:-1], widths[1:], strict=True))
        return rows * products * (3 if backward else 1) / self.multiply_adds


def _nearest(size: int) -> int:
    """The number of the smallest measured table that is no smaller."""
    return next((number for number, there in enumerate(SIZES) if size <= there), len(SIZES) - 1)


@cache
def limits() -> Limits:
    """Measure them: median of several turns, with torch's number of threads."""
    from polyfield.apps.benchmarks import cpu_limits_numba

    threads = dispatch.threads()
    tables = [np.zeros(size // 4, np.float32) for size in SIZES]
    own = [np.zeros((threads, size // 4), np.float32) for size in SIZES]
    out = np.empty(threads, np.float32)
    a = torch.randn(EDGE, EDGE)
    source, target = torch.zeros(SIZES[-1] // 4), torch.empty(SIZES[-1] // 4)

    def gather(table: np.ndarray) -> Callable[[], object]:
        mask = table.size // 2 - 1
        return lambda: parallel.run(cpu_limits_numba.gather, threads, table, mask, COUNT, out)

    def add(each: np.ndarray) -> Callable[[], object]:
        mask = each.shape[1] // 2 - 1
        return lambda: parallel.run(cpu_limits_numba.add, threads, each, mask, COUNT)

    runs = {
        **{f"read {size}": gather(table) for size, table in zip(SIZES, tables, strict=True)},
        **{f"add {size}": add(each) for size, each in zip(SIZES, own, strict=True)},
        "sgemm": lambda: a @ a,
        "copy": lambda: target.copy_(source),
    }
    times = in_turns(runs, 9)
    count = threads * COUNT
    reads = tuple(count / times[f"read {size}"] for size in SIZES)
    adds = tuple(count / times[f"add {size}"] for size in SIZES)
    products, copied = EDGE**3 / times["sgemm"], 2 * SIZES[-1] / times["copy"]
    rows = [
        *(_row("random read", s, times[f"read {s}"], r) for s, r in zip(SIZES, reads, strict=True)),
        *(_row("random add", s, times[f"add {s}"], r) for s, r in zip(SIZES, adds, strict=True)),
        Row("sgemm", "torch", f"multiply-adds, {EDGE}^3", times["sgemm"], products, None),
        Row("copy", "torch", f"bytes, {SIZES[-1] >> 20} MB", times["copy"], copied, None),
    ]
    return Limits(reads, adds, products, copied, tuple(rows))


def _row(op: str, size: int, seconds: float, rate: float) -> Row:
    return Row(op, "numba", f"pairs of floats in {size >> 10} kB", seconds, rate, None)
