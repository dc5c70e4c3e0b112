"""The K nearest of a set of centres, exactly, as one op.

Symbols: x [n, d] queries; M centres [M, d]; d = 2 or 3. The squared distance is the sum over axes,
in order, of (x_j - c_j)^2, each operation rounded; of two centres at the same distance the one with
the lower index comes first. So every backend finds the same indices.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from polyfield.backends import dispatch
from polyfield.backends.ops import no_gradient, op

ROOM = 1 << 24
"""Distances the reference holds at once."""


def reference(
    x: Float[Tensor, "n d"], centres: Float[Tensor, "M d"], k: int
) -> Int64[Tensor, "n k"]:
    """The op in plain torch: every distance, any dtype and device."""
    found = [x.new_empty(0, k, dtype=torch.int64)]
    # A graph that is traced has no number of parts: it takes any number of rows.
    parts = (x,) if torch.compiler.is_compiling() else x.split(max(1, ROOM // len(centres)))
    for part in parts:
        distance = torch.zeros_like(part[:, :1])
        for axis in range(x.shape[1]):
            distance = distance + (part[:, axis, None] - centres[:, axis]).square()
        picked = []
        for _ in range(k):
            # The first of several smallest, which a sort or topk doesn't promise.
            picked.append(distance.argmin(-1, keepdim=True))
            distance.scatter_(1, picked[-1], torch.inf)
        found.append(torch.cat(picked, -1))
    return torch.cat(found)


@torch.no_grad()
def nearest(x: Float[Tensor, "n d"], centres: Float[Tensor, "M d"], k: int) -> Int64[Tensor, "n k"]:
    """Indices of the k centres nearest to each query, nearest first.

    Args:
        x: [n, d] queries. One that is NaN gets valid indices without meaning.
        centres: [M, d], finite; M >= k, d = 2 or 3.
        k: how many, at least 1.

    Returns:
        [n, k] int64.
    """
    assert 1 <= k <= len(centres) and centres.shape[1] in (2, 3)
    if not dispatch.use_numba(x, centres):
        return reference(x, centres, k)
    return _nearest(x, centres, k)


@op("polyfield::nearest", "cpu")
def _nearest(x: Tensor, centres: Tensor, k: int) -> Tensor:
    from polyfield.encodings.kernels import nearest_numba

    return nearest_numba.forward(x, centres, k)


@torch.library.register_fake(_nearest)
def _(x: Tensor, centres: Tensor, k: int) -> Tensor:
    return x.new_empty(x.shape[0], k, dtype=torch.int64)


no_gradient(_nearest)
