"""Small helpers of directions in space."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def across(vector: Float[Tensor, "3"]) -> Float[Tensor, "3"]:
    """Any unit vector at a right angle."""
    axis = torch.zeros_like(vector)
    axis[int(vector.abs().argmin())] = 1
    crossed = torch.linalg.cross(vector, axis)
    return crossed / crossed.norm()
