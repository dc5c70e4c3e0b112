"""Numbers of small text files: matrices of poses and intrinsics."""

from __future__ import annotations

import math
from pathlib import Path

from polyfield.errors import InputError, shown
from polyfield.files import read_text

LARGEST = 1 << 16
"""Bytes of such a file that are read at most."""


def read_rows(path: Path, what: str) -> list[list[float]]:
    """The numbers of a text file, line by line; empty lines are left out.

    Args:
        path: the file.
        what: what it should be, for messages.

    Raises:
        InputError: no such file, or words in it.
    """
    rows: list[list[float]] = []
    for line in read_text(path, what, LARGEST).splitlines():
        words = line.replace(",", " ").split()
        try:
            numbers = [float(word) for word in words]
        except ValueError:
            raise InputError(f"numbers in {shown(path)}", repr(line[:40]), "correct it") from None
        if not all(math.isfinite(value) for value in numbers):
            raise InputError(f"finite numbers in {shown(path)}", repr(line[:40]), "correct it")
        if numbers:
            rows.append(numbers)
    return rows
