"""Points of samples along rays, and the directions they are seen from, as one op.

Symbols: ray i is o_i + t d_i; a sample is the interval [a, b] of its ray, asked in the middle:
x = o + (a + b) / 2 d. `offsets` [r + 1] bound each ray's samples.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from polyfield.backends import dispatch
from polyfield.renderers.kernels.composite import ray_index


def reference(
    origins: Float[Tensor, "r 3"],
    directions: Float[Tensor, "r 3"],
    offsets: Int64[Tensor, "r1"],
    start: Float[Tensor, "n"],
    end: Float[Tensor, "n"],
) -> tuple[Float[Tensor, "n 3"], Float[Tensor, "n 3"]]:
    """The op in plain torch: any dtype and device, with gradients."""
    ray = ray_index(offsets, len(start))
    along = directions.index_select(0, ray)
    middle = (start + end) / 2
    return torch.addcmul(origins.index_select(0, ray), middle[:, None], along), along


def along(
    origins: Float[Tensor, "r 3"],
    directions: Float[Tensor, "r 3"],
    offsets: Int64[Tensor, "r1"],
    start: Float[Tensor, "n"],
    end: Float[Tensor, "n"],
) -> tuple[Float[Tensor, "n 3"], Float[Tensor, "n 3"]]:
    """Points [n, 3] in the middles of samples, and the directions [n, 3] of their rays.

    The fast kernel has no gradient: where an input needs one, the reference runs.
    """
    given = (origins, directions, start, end)
    if any(t.requires_grad for t in given) or not dispatch.use_numba(*given):
        return reference(origins, directions, offsets, start, end)
    found: tuple[Tensor, Tensor] = dispatch.kernel(__name__, *given).along(
        origins, directions, offsets, start, end
    )
    return found
