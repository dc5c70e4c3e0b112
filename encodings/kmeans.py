"""Weighted k-means, and the shape of each cluster: where radial kernels lie.

Source: the released code of Chen et al. 2023 (NeuRBF). Symbols: points x [n, d] of [0,1]^d with
weights u [n] >= 0; M centres c; each point belongs to the nearest centre.
"""

from __future__ import annotations

import torch
from jaxtyping import Float, Int64
from torch import Generator, Tensor

from polyfield.encodings.kernels.nearest import nearest
from polyfield.encodings.kernels.rbf import pairs

ASKED = 4096
"""Points whose neighbour is looked for to tell how far points are apart."""


def spacing(x: Float[Tensor, "n d"]) -> float:
    """Mean distance of a point to its nearest neighbour at another place.

    Looks at ASKED points at most; where all coincide, the spacing of as many spread over the cube.
    """
    n, dim = x.shape
    spread = max(1, n) ** (-1 / dim)
    places = torch.unique(x, dim=0) if n <= ASKED else x
    if len(places) < 2:
        return spread
    asked = places[:: -(-len(places) // ASKED)]
    away = (asked - places[nearest(asked, places, 2)[:, 1]]).norm(dim=-1)
    away = away[away > 0]
    return float(away.mean()) if len(away) else spread


def seeds(
    x: Float[Tensor, "n d"], weight: Float[Tensor, "n"], count: int, generator: Generator
) -> Float[Tensor, "M d"]:
    """Points drawn by weight, each once.

    Where too few have a weight, copies follow, moved within the cell of a point.
    """
    places = weight.nonzero()[:, 0]
    some, first = weight[places].double(), min(count, len(places))
    # The first of clocks that ring at the rates of the weights are draws without repeats.
    rings = torch.rand(len(places), generator=generator, dtype=torch.float64).log() / -some
    drawn = places[rings.topk(first, largest=False).indices]
    steps = some.cumsum(0)
    luck = torch.rand(count - first, generator=generator, dtype=torch.float64) * steps[-1]
    again = places[torch.searchsorted(steps, luck).clamp(max=len(places) - 1)]
    moved = torch.rand(count - first, x.shape[1], generator=generator) - 0.5
    copies = (x[again] + moved * spacing(x)).clamp(0, 1)
    return torch.cat([x[drawn], copies])


def totals(values: Float[Tensor, "n"], owner: Int64[Tensor, "n"], count: int) -> Tensor:
    """Sum of the values of each centre's points [count], in float64 and in order."""
    return torch.bincount(owner, values.double(), minlength=count)


def weighted_kmeans(
    x: Float[Tensor, "n d"],
    weight: Float[Tensor, "n"],
    count: int,
    rounds: int,
    generator: Generator,
) -> Float[Tensor, "M d"]:
    """Centres that lower the weighted squared distance of points to the nearest one.

    Args:
        x: [n, d], n >= 1.
        weight: [n], finite, >= 0 and not all 0.
        count: M; any number, also more than there are points.
        rounds: Lloyd steps.
        generator: of the points it begins from.

    Returns:
        [M, d]. A centre without points stays where it is.
    """
    centres = seeds(x, weight, count, generator)
    for _ in range(rounds):
        owner = nearest(x, centres, 1)[:, 0]
        mass = totals(weight, owner, count)
        sums = torch.stack([totals(weight * axis, owner, count) for axis in x.T], -1)
        means = (sums / mass.clamp(min=1e-300)[:, None]).to(x.dtype)
        centres = torch.where(mass[:, None] > 0, means, centres)
    return centres


def cluster_shapes(
    x: Float[Tensor, "n d"],
    weight: Float[Tensor, "n"],
    centres: Float[Tensor, "M d"],
    alpha: float,
) -> Float[Tensor, "M s"]:
    """Quadratic forms that are 1 where a cluster's spread, divided by sqrt(alpha), ends.

    The spread is the weighted covariance of the centre's points about the centre. A point stands
    for the cell around it, so the variance of a cube of the points' spacing is added: a kernel with
    one point, or none, is as wide as that. (The released code gives such kernels no width at all.)

    Returns:
        [M, d (d + 1) / 2]: the matrix alpha * covariance^-1 in the layout of `kernels.rbf`.
    """
    count, dim = centres.shape
    owner = nearest(x, centres, 1)[:, 0]
    offset = (x - centres[owner]).double()
    mass = totals(weight, owner, count).clamp(min=1e-300)
    covariance = torch.eye(dim, dtype=torch.float64).repeat(count, 1, 1) * spacing(x) ** 2 / 12
    for i, j in pairs(dim):
        value = totals(weight * offset[:, i] * offset[:, j], owner, count) / mass
        covariance[:, i, j] += value
        if i != j:
            covariance[:, j, i] += value
    form = torch.linalg.inv(covariance) * alpha
    rows = [form[:, i, j] * (1 if i == j else 2) for i, j in pairs(dim)]
    return torch.stack(rows, -1).to(centres.dtype)
