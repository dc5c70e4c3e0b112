"""What radiance and coordinate fields compute, by closed forms."""

import math
from typing import Any

import pytest
import torch

from polyfield.encodings.domain import Box, domain
from polyfield.encodings.frequency import Frequency
from polyfield.encodings.hash_grid import HashGrid
from polyfield.encodings.identity import Identity
from polyfield.errors import InputError
from polyfield.fields.coordinate import Coordinate
from polyfield.fields.deep_radiance import DeepRadiance
from polyfield.fields.factored_radiance import FactoredRadiance
from polyfield.fields.modulated_radiance import ModulatedRadiance
from polyfield.fields.networks.activations import truncated_exp
from polyfield.fields.networks.mlp import Perceptron
from polyfield.fields.plain_nerf import PlainNerf
from polyfield.fields.radiance import Radiance

CUBE = torch.tensor([[-1.0, -1.0, -1.0], [1.0, 1.0, 1.0]])
SMALL = HashGrid(levels=4, log2_size=10, base_resolution=4, finest_resolution=32)


@pytest.mark.parametrize(
    "config",
    [
        Radiance(SMALL, feature=0),
        Radiance(SMALL, hidden=0),
        DeepRadiance(octaves=-1),
        DeepRadiance(out=0),
        PlainNerf(direction_octaves=-1),
        FactoredRadiance(hidden=0),
        ModulatedRadiance(layers=4, skip=4),
    ],
    ids=str,
)
def test_what_cannot_be_built_is_said(config: Any) -> None:
    with pytest.raises(InputError):
        config.build(domain(CUBE, False))


def test_truncated_exp() -> None:
    x = torch.tensor([-20.0, 0.0, 1.0, 14.0, 20.0, 100.0], requires_grad=True)
    y = truncated_exp(x)
    assert y.tolist() == pytest.approx([math.exp(min(v, 30)) for v in x.tolist()], rel=1e-6)
    y.sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == pytest.approx(
        [math.exp(max(-15, min(v, 15))) for v in x.tolist()], rel=1e-6
    )


def test_a_linear_picture() -> None:
    """Identity encoding and no hidden layer: y = W u + b of u in [0,1]^2."""
    field = Coordinate(Identity(), Perceptron(layers=0, bias=True)).build(
        Box(torch.tensor([[0.0, 0.0], [8.0, 4.0]])), 1
    )
    with torch.no_grad():
        field.network.weights.copy_(torch.tensor([2.0, -1.0, 0.5]))
    assert field(torch.tensor([[4.0, 1.0], [8.0, 4.0]])).tolist() == [[1.25], [1.5]]


def test_on_grid_is_the_product_of_its_axes() -> None:
    torch.manual_seed(0)
    field = Coordinate(SMALL, Perceptron(hidden=16)).build(
        Box(torch.tensor([[0.0, 0.0], [5.0, 4.0]])), 3
    )
    across, down = torch.arange(5.0) + 0.5, torch.arange(4.0) + 0.5
    values = field.on_grid([across, down])
    assert values.shape == (5, 4, 3)
    assert torch.equal(values[3, 1], field(torch.tensor([[3.5, 1.5]]))[0])


def test_density_is_the_same_asked_alone_and_with_colour() -> None:
    torch.manual_seed(0)
    field = Radiance(SMALL).build(domain(CUBE, False))
    x = torch.rand(100, 3) * 2 - 1
    directions = torch.nn.functional.normalize(torch.randn(100, 3), dim=-1)
    sample = field(x, directions)
    torch.testing.assert_close(sample.density, field.density(x), rtol=1e-6, atol=0)
    log_density, feature = field.geometry(x)
    torch.testing.assert_close(sample.density, log_density.exp() / 2, rtol=1e-6, atol=0)
    assert feature is not None and feature.shape == (100, 16)
    assert ((sample.rgb > 0) & (sample.rgb < 1)).all() and (sample.density >= 0).all()


def test_density_does_not_depend_on_the_direction_and_colour_does() -> None:
    torch.manual_seed(0)
    field = Radiance(SMALL).build(domain(CUBE, False))
    x = torch.zeros(2, 3)
    sample = field(x, torch.tensor([[1.0, 0.0, 0.0], [0.0, -1.0, 0.0]]))
    assert sample.density[0] == sample.density[1]
    assert (sample.rgb[0] - sample.rgb[1]).abs().max() > 1e-4


@pytest.mark.parametrize("unbounded", [False, True])
def test_a_change_of_units_is_a_change_of_units(unbounded: bool) -> None:
    """The same weights in a box ten times the size: density per unit is a tenth."""
    torch.manual_seed(0)
    small = Radiance(SMALL).build(domain(CUBE, unbounded))
    large = Radiance(SMALL).build(domain(CUBE * 10, unbounded))
    for one, two in zip(small.parameters(), large.parameters(), strict=True):
        two.data.copy_(one.data)
    x = torch.rand(100, 3) * 1.9 - 0.95
    directions = torch.nn.functional.normalize(torch.randn(100, 3), dim=-1)
    here, there = small(x, directions), large(x * 10, directions)
    torch.testing.assert_close(here.density, there.density * 10, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(here.rgb, there.rgb, rtol=1e-4, atol=1e-6)


def test_groups_hold_every_parameter_once() -> None:
    for field in (
        Radiance(SMALL).build(domain(CUBE, False)),
        Coordinate(SMALL, Perceptron(bias=True)).build(Box(CUBE), 3),
        Coordinate(Frequency()).build(Box(CUBE), 3),
    ):
        held = [id(p) for group in field.groups().values() for p in group]
        assert sorted(held) == sorted(id(p) for p in field.parameters())


def test_sizes() -> None:
    field = Radiance(HashGrid()).build(domain(CUBE, False))
    # 12,196,240 entries, and 32-64-16 and 32-64-64-3 networks without biases.
    networks = 32 * 64 + 64 * 16 + 32 * 64 + 64 * 64 + 64 * 3
    assert field.size().trainable == 12_196_240 + networks
    assert field.size().stored == field.size().trainable + 6  # the bounds


@pytest.mark.parametrize("unbounded", [False, True])
def test_points_to_learn_from_fill_the_domain(unbounded: bool) -> None:
    field = Radiance(SMALL).build(domain(CUBE, unbounded))
    x = field.draw_points(4000, torch.Generator().manual_seed(0))
    assert x.isfinite().all()
    inside = (x.abs() <= 1).all(-1).float().mean().item()
    assert inside == pytest.approx(1 / 8 if unbounded else 1, abs=0.03)
