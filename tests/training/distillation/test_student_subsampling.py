"""Which samples a student is asked at, and what is blended of both."""

from __future__ import annotations

import torch

from polyfield.fields.base import RadianceSample
from polyfield.renderers.intervals import Intervals
from polyfield.training.distillation.student_subsampling import (
    HEAVY,
    LEAST,
    at,
    drawn_samples,
    filled_in,
)


def _ray(densities: torch.Tensor) -> Intervals:
    """One ray with an interval of length 1 for each density."""
    edges = torch.arange(len(densities) + 1.0)
    return Intervals(torch.tensor([0, len(densities)]), edges[:-1], edges[1:])


def test_heavy_samples_are_always_asked() -> None:
    """The one surface of each of 2000 rays, and a share of what is empty before it."""
    n = 2000
    density = torch.tensor([0.0, 0.0, 5.0]).repeat(n)
    edges = torch.arange(4.0)
    intervals = Intervals(torch.arange(n + 1) * 3, edges[:-1].repeat(n), edges[1:].repeat(n))
    index = drawn_samples(density, intervals, torch.Generator().manual_seed(0))
    assert (index % 3 == 2).sum() == n
    share = (index % 3 != 2).sum().item() / (2 * n)
    # Four standard deviations of the share of 4000 draws.
    assert abs(share - LEAST) < 4 * (LEAST * (1 - LEAST) / (2 * n)) ** 0.5


def test_the_chance_grows_with_the_weight() -> None:
    """A weight of half of HEAVY is asked half of the times."""
    n = 4000
    density = -torch.log1p(torch.tensor(-HEAVY / 2)).repeat(n)
    edges = torch.arange(n + 1.0)
    intervals = Intervals(torch.arange(n + 1), edges[:-1], edges[1:])
    share = len(drawn_samples(density, intervals, torch.Generator().manual_seed(0))) / n
    assert abs(share - 0.5) < 4 * (0.25 / n) ** 0.5


def test_nothing_to_ask() -> None:
    none = Intervals(torch.zeros(3, dtype=torch.int64), torch.zeros(0), torch.zeros(0))
    assert len(drawn_samples(torch.zeros(0), none, torch.Generator())) == 0


def test_what_is_lent_has_no_gradient() -> None:
    """The student's values at the index, with their gradient; the teacher's elsewhere."""
    n, index = 5, torch.tensor([1, 3])
    theirs = RadianceSample(
        torch.arange(5.0), torch.rand(n, 3), torch.arange(5.0), torch.rand(n, 2)
    )
    values = torch.full((2,), 9.0, requires_grad=True)
    ours = RadianceSample(values, values[:, None].expand(2, 3), values)
    both = filled_in(ours, theirs, index)
    assert both.density.tolist() == [0, 9, 2, 9, 4] and both.log_density.tolist() == [0, 9, 2, 9, 4]
    assert torch.equal(both.rgb[[0, 2, 4]], theirs.rgb[[0, 2, 4]]) and both.feature is None
    (slope,) = torch.autograd.grad(both.density.sum() + both.rgb.sum(), values)
    assert slope.tolist() == [4, 4]
    some = at(theirs, index)
    assert some.feature is not None and torch.equal(some.feature, theirs.feature[index])


def test_a_student_that_is_its_teacher_has_no_loss() -> None:
    """Whatever is lent."""
    density, rgb = torch.rand(6) * 3, torch.rand(6, 3)
    sample = RadianceSample(density, rgb, density.log())
    index = drawn_samples(density, _ray(density), torch.Generator().manual_seed(0))
    both = filled_in(at(sample, index), sample, index)
    assert torch.equal(both.density, density) and torch.equal(both.rgb, rgb)
