"""What a CPU's memory does at most: random pairs of floats read, and added to."""

from __future__ import annotations

import numpy as np

from polyfield.backends.jit import njit


@njit(inline="always")
def _place(i, mask):
    """An entry for a number: no read waits for the one before it."""
    scattered = np.uint32(i) * np.uint32(2654435761)
    return np.int64((scattered ^ (scattered >> np.uint32(15))) & np.uint32(mask))


@njit(cache=True, nogil=True)
def gather(first, last, table, mask, count, out):
    """Each task reads `count` pairs of a table that all share."""
    for task in range(first, last):
        a, b = np.float32(0), np.float32(0)
        for i in range(task * count, (task + 1) * count):
            at = 2 * _place(i, mask)
            a += table[at]
            b += table[at + 1]
        out[task] = a + b


@njit(cache=True, nogil=True)
def add(first, last, tables, mask, count):
    """Each task adds to `count` pairs of a table of its own."""
    for task in range(first, last):
        table = tables[task]
        for i in range(count):
            at = 2 * _place(i, mask)
            table[at] += np.float32(1)
            table[at + 1] += np.float32(2)
