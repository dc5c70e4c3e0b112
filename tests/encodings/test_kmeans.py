import math

import pytest
import torch
from torch import Tensor

from polyfield.encodings.kernels.nearest import nearest
from polyfield.encodings.kmeans import cluster_shapes, seeds, spacing, weighted_kmeans


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def _cost(x: Tensor, weight: Tensor, centres: Tensor) -> float:
    away = (x - centres[nearest(x, centres, 1)[:, 0]]).square().sum(-1)
    return float((weight * away).sum())


@pytest.mark.parametrize("dim", [2, 3])
def test_every_round_lowers_the_weighted_cost(dim: int) -> None:
    x, weight = torch.rand(3000, dim, generator=_generator()), torch.rand(3000) ** 3
    costs = [
        _cost(x, weight, weighted_kmeans(x, weight, 40, rounds, _generator(1)))
        for rounds in range(8)
    ]
    assert all(later < earlier for earlier, later in zip(costs, costs[1:], strict=False))
    assert costs[-1] < 0.8 * costs[0]


def test_centres_are_the_weighted_means_of_their_points() -> None:
    x = torch.tensor([[0.0, 0.0], [0.1, 0.0], [0.9, 1.0], [1.0, 1.0]])
    weight = torch.tensor([1.0, 3.0, 1.0, 1.0])
    found = weighted_kmeans(x, weight, 2, 20, _generator(3))
    found = found[found[:, 0].argsort()]
    torch.testing.assert_close(found, torch.tensor([[0.075, 0.0], [0.95, 1.0]]))


def test_centres_lie_where_the_weight_is() -> None:
    x = torch.rand(20000, 2, generator=_generator())
    weight = torch.where(x[:, 0] < 0.5, 20.0, 1.0)
    found = weighted_kmeans(x, weight, 400, 10, _generator())
    left = int((found[:, 0] < 0.5).sum())
    assert 300 < left < 390, left


def test_points_without_weight_draw_no_centre() -> None:
    x = torch.rand(1000, 2, generator=_generator())
    weight = (x[:, 1] > 0.6).float()
    assert weighted_kmeans(x, weight, 50, 10, _generator())[:, 1].min() > 0.6


def test_seeds_are_drawn_by_weight_and_once() -> None:
    x = torch.arange(10.0)[:, None].expand(10, 2) / 10
    weight = torch.tensor([1.0, 0, 1, 1, 1, 1, 1, 1, 1, 30])
    firsts = [float(seeds(x, weight, 1, _generator(s))[0, 0]) for s in range(400)]
    assert 0.1 not in firsts
    share = sum(value == pytest.approx(0.9) for value in firsts) / 400
    # 30 of 38 by weight; the standard error is 0.02.
    assert abs(share - 30 / 38) < 0.08
    all_nine = seeds(x, weight, 9, _generator())[:, 0]
    assert len(all_nine.unique()) == 9


def test_with_fewer_points_than_centres_copies_follow() -> None:
    x = torch.tensor([[0.2, 0.2], [0.8, 0.2], [0.5, 0.9]])
    found = seeds(x, torch.tensor([1.0, 1.0, 0.0]), 40, _generator())
    assert torch.equal(found[:2].sort(0).values, x[:2])
    away = (found[:, None] - x[:2]).abs().amax(-1).amin(-1)
    assert (away <= spacing(x) / 2 + 1e-6).all() and len(found.unique(dim=0)) > 30


def test_spacing() -> None:
    axis = torch.arange(0, 1, 0.05)
    lattice = torch.cartesian_prod(axis, axis)
    assert spacing(lattice) == pytest.approx(0.05, rel=1e-3)
    assert spacing(torch.cat([lattice, lattice])) == pytest.approx(0.05, rel=1e-3)
    assert spacing(torch.full((100, 2), 0.3)) == pytest.approx(0.1)
    assert spacing(torch.rand(1, 3)) == 1


@pytest.mark.parametrize("dim", [2, 3])
def test_shapes_of_a_cloud(dim: int) -> None:
    """A dense normal cloud of standard deviations s: the form is alpha / s^2 on the diagonal."""
    deviations = torch.tensor([0.02, 0.01, 0.04])[:dim]
    x = torch.randn(40_000, dim, generator=_generator()) * deviations + 0.5
    shape = cluster_shapes(x, torch.ones(len(x)), torch.full((1, dim), 0.5), 0.5)[0]
    expected = 0.5 / deviations.square()
    diagonal = {2: [0, 2], 3: [0, 3, 5]}[dim]
    torch.testing.assert_close(shape[diagonal], expected, rtol=0.05, atol=0)


def test_shapes_are_weighted_and_lean_with_their_points() -> None:
    """Points on a slope and its mirror image: with all weight on one, the form leans its way."""
    t = torch.linspace(-0.1, 0.1, 201)
    x = torch.cat([torch.stack([t, t], -1), torch.stack([t, -t], -1)]) + 0.5
    weight = torch.cat([torch.ones(201), torch.full((201,), 1e-6)])
    a, b, c = cluster_shapes(x, weight, torch.tensor([[0.5, 0.5]]), 1.0)[0].tolist()
    spread = float(t.square().mean())
    assert a + b + c == pytest.approx(1 / spread, rel=0.01)
    assert a - b + c > 100 * (a + b + c)


def test_shapes_of_empty_and_single_kernels_are_as_wide_as_a_cell() -> None:
    axis = (torch.arange(10) + 0.5) / 10
    x = torch.cartesian_prod(axis, axis)
    centres = torch.cat([x[:1], torch.tensor([[3.0, 3.0]]), x[1:]])
    shapes = cluster_shapes(x, torch.ones(100), centres, 0.5)
    expected = torch.tensor([0.5 * 12 / 0.1**2, 0, 0.5 * 12 / 0.1**2])
    torch.testing.assert_close(shapes[0], expected, rtol=1e-3, atol=1e-2)
    torch.testing.assert_close(shapes[1], expected, rtol=1e-3, atol=1e-2)
    assert math.isfinite(float(shapes.sum()))
