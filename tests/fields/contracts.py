"""What every network and every field must do: one parametrised test for each of the unions."""

import typing
from typing import Any

import pytest
import torch
from torch import Tensor

from polyfield.encodings.domain import Box, domain
from polyfield.fields import RadianceFieldConfig, SignalFieldConfig
from polyfield.fields.base import Field, RadianceField, SignalField
from polyfield.fields.networks import NetworkConfig


def _members(union: Any) -> list[Any]:
    kinds = typing.get_args(union) or (union,)
    return [pytest.param(kind(), id=kind.__name__) for kind in kinds]


NETWORKS, SIGNALS, RADIANCE = (
    _members(u) for u in (NetworkConfig, SignalFieldConfig, RadianceFieldConfig)
)
SQUARE = torch.tensor([[0.0, 0.0], [8.0, 6.0]])
CUBE = torch.tensor([[-1.0, -1.0, -1.0], [1.0, 1.0, 1.0]])


def _radiance(config: Any, unbounded: bool = False) -> RadianceField:
    torch.manual_seed(0)
    field = config.build(domain(CUBE, unbounded))
    return _ready(field, torch.rand(2000, 3) * 2 - 1)


def _signal(config: Any) -> SignalField:
    torch.manual_seed(0)
    return _ready(config.build(Box(SQUARE), 3), torch.rand(2000, 2) * SQUARE[1])


def _ready(field: Any, x: Tensor) -> Any:
    if field.takes_points:
        field.init_from_points(x, torch.ones(len(x)))
    field.set_progress(1.0)
    return field


def _seen(n: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    x = torch.rand(n, 3, generator=generator) * 1.8 - 0.9
    directions = torch.randn(n, 3, generator=generator)
    return x, torch.nn.functional.normalize(directions, dim=-1)


def _owns_its_parameters_once(field: Field) -> None:
    held = [id(p) for group in field.groups().values() for p in group]
    assert sorted(held) == sorted(id(p) for p in field.parameters() if p.requires_grad)
    size = field.size()
    assert 0 < size.trainable <= size.stored


@pytest.mark.parametrize("config", NETWORKS)
def test_network_shape_seed_and_state(config: Any) -> None:
    torch.manual_seed(0)
    one = config.build(5, 3)
    torch.manual_seed(0)
    two = config.build(5, 3)
    assert (one.in_dim, one.out_dim) == (5, 3)
    x = torch.rand(4, 2, 5) * 2 - 1
    y = one(x)
    assert y.shape == (4, 2, 3) and y.dtype == torch.float32 and torch.equal(y, two(x))
    assert one(x[:0]).shape == (0, 2, 3) and one(x[0, 0]).shape == (3,)
    torch.manual_seed(1)
    three = config.build(5, 3)
    assert not torch.equal(y, three(x))
    three.load_state_dict(one.state_dict())
    assert torch.equal(y, three(x))


@pytest.mark.parametrize("config", NETWORKS)
def test_network_gradient(config: Any) -> None:
    torch.manual_seed(0)
    network = config.build(2, 2).double()
    names = [n for n, _ in network.named_parameters()]
    leaves = [p.detach().clone().requires_grad_() for p in network.parameters()]
    x = (torch.rand(9, 2, dtype=torch.float64) * 1.6 - 0.8).requires_grad_()

    def run(x: Tensor, *given: Tensor) -> Tensor:
        return torch.func.functional_call(network, dict(zip(names, given, strict=True)), (x,))

    assert torch.autograd.gradcheck(run, (x, *leaves), fast_mode=True, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("config", SIGNALS)
def test_signal(config: Any) -> None:
    one, two = _signal(config), _signal(config)
    x = torch.rand(5, 2, 2) * SQUARE[1]
    y = one(x)
    assert y.shape == (5, 2, 3) and y.isfinite().all() and torch.equal(y, two(x))
    assert one(x[:0]).shape == (0, 2, 3)
    torch.manual_seed(9)
    three = config.build(Box(SQUARE), 3)
    three.load_state_dict(one.state_dict())
    torch.testing.assert_close(three(x), y, rtol=1e-5, atol=1e-6)
    _owns_its_parameters_once(one)


@pytest.mark.parametrize("config", SIGNALS)
def test_signal_on_a_grid(config: Any) -> None:
    field = _signal(config)
    axes = [torch.arange(8.0) + 0.5, torch.arange(6.0) + 0.5]
    points = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1)
    torch.testing.assert_close(field.on_grid(axes), field(points), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("config", SIGNALS)
def test_signal_learns(config: Any) -> None:
    """Every parameter that can be trained gets a gradient."""
    field = _signal(config)
    field(torch.rand(200, 2) * SQUARE[1]).square().sum().backward()
    for name, parameter in field.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name


@pytest.mark.parametrize("unbounded", [False, True])
@pytest.mark.parametrize("config", RADIANCE)
def test_radiance(config: Any, unbounded: bool) -> None:
    field, twin = _radiance(config, unbounded), _radiance(config, unbounded)
    x, directions = _seen(10)
    sample = field(x, directions)
    assert sample.density.shape == (10,) and sample.rgb.shape == (10, 3)
    assert (sample.density >= 0).all() and sample.density.isfinite().all()
    assert ((sample.rgb >= 0) & (sample.rgb <= 1)).all()
    assert torch.equal(sample.rgb, twin(x, directions).rgb)
    nothing = field(x[:0], directions[:0])
    assert nothing.density.shape == (0,) and nothing.rgb.shape == (0, 3)
    many = field(x.view(2, 5, 3), directions.view(2, 5, 3))
    torch.testing.assert_close(many.density.view(-1), sample.density, rtol=1e-4, atol=1e-5)
    _owns_its_parameters_once(field)


@pytest.mark.parametrize("config", RADIANCE)
def test_radiance_density_alone(config: Any) -> None:
    """The cheap query, the geometry and the whole answer agree; direction changes no density."""
    field = _radiance(config)
    x, directions = _seen(50)
    sample = field(x, directions)
    torch.testing.assert_close(field.density(x), sample.density, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(field(x, -directions).density, sample.density, rtol=1e-5, atol=1e-7)
    log_density, feature = field.geometry(x)
    torch.testing.assert_close(
        log_density.exp() / field.domain.length, sample.density, rtol=1e-3, atol=1e-6
    )
    torch.testing.assert_close(sample.log_density, log_density, rtol=1e-4, atol=1e-4)
    assert (feature is None) == (sample.feature is None)
    if feature is not None:
        assert feature.shape[:-1] == (50,)
        torch.testing.assert_close(sample.feature, feature, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("config", RADIANCE)
def test_radiance_stages(config: Any) -> None:
    """Features for auxiliary heads, which training can reach."""
    field = _radiance(config)
    stages = field.intermediate_features(_seen(50)[0])
    assert stages
    for stage in stages:
        assert stage.ndim == 2 and len(stage) == 50 and stage.requires_grad


@pytest.mark.parametrize("config", RADIANCE)
def test_radiance_state_and_units(config: Any) -> None:
    """A state says all; the same weights in a box ten times the size: a tenth of the density.

    In float64, where rounding of a point doesn't show in its high frequencies.
    """
    field = _radiance(config).double()
    torch.manual_seed(9)
    other = config.build(domain(CUBE * 10, False)).double()
    bounds = {n: t.clone() for n, t in other.state_dict().items() if n.endswith("domain.bounds")}
    other.load_state_dict({**field.state_dict(), **bounds})
    x, directions = (tensor.double() for tensor in _seen(50))
    here, there = field(x, directions), other(x * 10, directions)
    torch.testing.assert_close(here.density, there.density * 10, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(here.rgb, there.rgb, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("config", RADIANCE)
def test_radiance_learns(config: Any) -> None:
    """Every parameter that can be trained gets a finite gradient."""
    field = _radiance(config)
    sample = field(*_seen(400))
    (sample.density.log1p().sum() + sample.rgb.square().sum()).backward()
    for name, parameter in field.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name


@pytest.mark.parametrize("config", RADIANCE)
def test_points_to_learn_from_lie_in_the_bounds(config: Any) -> None:
    x = _radiance(config).draw_points(64, torch.Generator().manual_seed(0))
    assert x.shape == (64, 3) and (x.abs() <= 1 + 1e-5).all()
