"""What an encoding or a network does, as a fragment shader does it: one pass over all points.

Each pass reads the values of the one before, four a texel, and writes its own. Its shader is
`renderers/exports/page/OP.glsl`, which says what the numbers and texels mean.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

Number = bool | int | float | Sequence[int] | Sequence[float]


@dataclass(frozen=True)
class ShaderPass:
    """One pass, of points of [0,1]^2."""

    op: str
    """Name of its shader."""
    width: int
    """Values it gives of a point."""
    numbers: Mapping[str, Number]
    """Uniforms of the shader, by name."""
    texels: Float[Tensor, "n k"] = field(default_factory=lambda: torch.zeros(1, 4))
    """What it looks up, in its own order; k is 1, 2 or 4."""
    is_table: bool = False
    """Whether the texels are a grid's entries: many, of which a point looks up few."""


Passes = tuple[ShaderPass, ...]
