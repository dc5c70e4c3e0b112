"""Positional encoding without pi, as NeRF's code and its successors compute it.

Source: Mildenhall et al. 2020, eq. 4, but for the factor pi, which no released code has. Symbols: p
a coordinate in [-1,1]; F octaves; channels of an axis: p, cos(2^k p) for k < F, sin(2^k p) for k <
F (KiloNeRF's order).
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from polyfield.errors import InputError


def width(dim: int, count: int) -> int:
    """Channels of `octaves`.

    Raises:
        InputError: a count below 0.
    """
    if count < 0:
        raise InputError("octaves of at least 0", str(count), "raise them")
    return dim * (2 * count + 1)


def octaves(p: Float[Tensor, "*n d"], count: int) -> Float[Tensor, "*n c"]:
    """The channels of each axis, one axis after the other; c = d (2 count + 1)."""
    scales = 2.0 ** torch.arange(count, dtype=p.dtype, device=p.device)
    angles = p[..., None] * scales
    return torch.cat([p[..., None], angles.cos(), angles.sin()], -1).flatten(-2)
