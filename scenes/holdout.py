"""Pixels of an image kept from training, so that a field is judged on what it never saw."""

from __future__ import annotations

import torch
from jaxtyping import Int64
from torch import Tensor

from polyfield.errors import InputError

LATTICE = "lattice"
"""Train on every second pixel of every second row; the other three quarters are held out."""


def check_holdout(holdout: str) -> None:
    """Raise unless this says which pixels to hold out.

    Raises:
        InputError: neither a share in [0, 1) nor "lattice".
    """
    try:
        good = holdout == LATTICE or 0 <= float(holdout) < 1
    except ValueError:
        good = False
    if not good:
        raise InputError(
            f"a holdout from 0 to below 1, or {LATTICE}", repr(holdout), "give for instance 0.75"
        )


def kept_pixels(width: int, height: int, holdout: str) -> Int64[Tensor, "n"] | None:
    """Numbers, row by row, of the pixels to learn from; None for all of them.

    Which pixels those are depends on the size of the image and on `holdout` alone, so that every
    field and every seed is judged on the same ones.

    Args:
        width: Columns.
        height: Rows.
        holdout: The share of pixels to hold out, or "lattice".
    """
    check_holdout(holdout)
    if holdout == LATTICE:
        return torch.arange(width * height).view(height, width)[::2, ::2].reshape(-1)
    count = width * height
    kept = max(1, round(count * (1 - float(holdout))))
    if kept == count:
        return None
    order = torch.randperm(count, generator=torch.Generator().manual_seed(0))
    return order[:kept].sort()[0]
