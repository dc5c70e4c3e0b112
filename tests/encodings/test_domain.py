import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from polyfield.encodings.domain import Box, Contraction, Domain, domain

FINITE = st.floats(-5, 5, width=32)
POINTS = st.lists(st.tuples(FINITE, FINITE, FINITE), min_size=1, max_size=8).map(torch.tensor)
SIDES = st.tuples(*[st.floats(0.25, 8, width=32)] * 3).map(torch.tensor)


def _bounds(low: Tensor, side: Tensor) -> Tensor:
    return torch.stack([low, low + side])


@given(POINTS, SIDES)
def test_a_contraction_is_undone(x: Tensor, side: Tensor) -> None:
    space = Contraction(_bounds(x[0] / 2 - side / 2, side))
    back = space.inverse(space(x))
    # Far away, a step in the cube is norm^2 as long in the world.
    norm = float(((x - space.bounds.mean(0)) / side * 2).abs().max().clamp(min=1))
    torch.testing.assert_close(back, x, rtol=0, atol=1e-5 * norm**2 * 8)


@given(POINTS, SIDES)
def test_a_box_is_undone_inside_and_clamps_outside(x: Tensor, side: Tensor) -> None:
    space = Box(_bounds(-side / 2, side))
    low, high = space.bounds
    torch.testing.assert_close(space.inverse(space(x)), x.clamp(low, high), rtol=1e-5, atol=1e-5)
    assert ((space(x) >= 0) & (space(x) <= 1)).all()


@given(POINTS, SIDES)
def test_the_box_fills_the_middle_half_of_a_contraction(x: Tensor, side: Tensor) -> None:
    space = Contraction(_bounds(-side / 2, side))
    place = space(x)
    assert ((place > 0) & (place < 1)).all()
    inside = (x.abs() <= side / 2).all(-1)
    in_half = ((place >= 0.25 - 1e-6) & (place <= 0.75 + 1e-6)).all(-1)
    edge = ((place - 0.5).abs().amax(-1) - 0.25).abs() < 1e-5
    assert ((inside == in_half) | edge).all()
    torch.testing.assert_close(place[inside], 0.5 + x[inside] / side / 2, rtol=1e-5, atol=1e-6)


def test_a_contraction_by_hand() -> None:
    """|u| = 4 goes to 2 - 1/4, of a cube of half-width 2."""
    space = Contraction(torch.tensor([[-1.0, -1.0], [1.0, 1.0]]))
    assert space(torch.tensor([4.0, 2.0])).tolist() == pytest.approx(
        [(1.75 + 2) / 4, (1.75 / 2 + 2) / 4]
    )
    far = space(torch.tensor([1e6, -1e6]))
    assert far.tolist() == pytest.approx([1, 0], abs=1e-5)
    faces = space.inverse(torch.tensor([1.0, 0.5]))
    assert faces.isfinite().all() and faces[0] > 500


@pytest.mark.parametrize("unbounded", [False, True])
def test_both_are_continuous_with_a_gradient(unbounded: bool) -> None:
    space = domain(torch.tensor([[-1.0, -2.0, 0.0], [1.0, 2.0, 0.5]]), unbounded).double()
    x = torch.tensor([[0.3, 0.2, 0.1], [-0.5, 1.2, 0.4]], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(space, (x,))
    assert torch.autograd.gradcheck(space, ((x * 3 + 0.02).detach().requires_grad_(),))
    assert space.length == 4 and space.dim == 3


@pytest.mark.parametrize("kind", [Box, Contraction])
def test_units_cancel(kind: type[Domain]) -> None:
    x = torch.rand(50, 3, generator=torch.Generator().manual_seed(0)) * 4 - 2
    bounds = torch.tensor([[-1.0, -0.5, -1.0], [1.0, 1.0, 0.25]])
    torch.testing.assert_close(kind(bounds)(x), kind(bounds * 1000)(x * 1000), rtol=1e-5, atol=1e-6)
    assert kind(bounds * 1000).length == pytest.approx(1000 * kind(bounds).length)
    assert math.isfinite(kind(bounds).length)
