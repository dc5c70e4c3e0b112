"""Formulas and initial values of the networks, each against a closed form or brute force."""

import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from polyfield.encodings.identity import Identity
from polyfield.errors import InputError
from polyfield.fields.kernels.mlp import layers
from polyfield.fields.networks.fan import Fan
from polyfield.fields.networks.finer import Finer
from polyfield.fields.networks.gauss import Gauss
from polyfield.fields.networks.kan import ChebyshevKan, SplineKan, b_splines, chebyshev
from polyfield.fields.networks.mlp import Perceptron
from polyfield.fields.networks.relu import Relu
from polyfield.fields.networks.siren import Siren
from polyfield.fields.networks.spder import Spder, damped_sine
from polyfield.fields.networks.wire import Wire


def _points(n: int, dim: int) -> Tensor:
    return torch.rand(n, dim, generator=torch.Generator().manual_seed(3)) * 2 - 1


def _linear(network: Any) -> list[torch.nn.Linear]:
    return [m for m in network.modules() if isinstance(m, torch.nn.Linear)]


def test_centered_coordinates_are_those_of_minus_one_to_one() -> None:
    x = torch.tensor([[0.0, 0.25, 1.0]])
    assert Identity(centered=True).build(3)(x).tolist() == [[-1.0, -0.5, 1.0]]


@pytest.mark.parametrize(
    ("config", "activation"),
    [
        (Siren(16, 2, 20.0, 20.0), lambda z: (20 * z).sin()),
        (Spder(16, 2, 20.0), lambda z: (20 * z).sin() * (20 * z).abs().sqrt()),
        (Gauss(16, 2, 5.0), lambda z: (-((5 * z) ** 2)).exp()),
        (Finer(16, 2, 20.0), lambda z: (20 * (z.abs() + 1) * z).sin()),
    ],
    ids=["siren", "spder", "gauss", "finer"],
)
def test_layers_with_one_activation(config: Any, activation: Any) -> None:
    torch.manual_seed(0)
    network = config.build(3, 2).double()
    x = _points(7, 3).double()
    *hidden, last = _linear(network)
    h = x
    for layer in hidden:
        h = activation(layer(h))
    assert len(hidden) == 2
    torch.testing.assert_close(network(x), last(h))


def test_relu_is_torch_by_another_route() -> None:
    """Values and the law of the initial ones."""
    torch.manual_seed(0)
    network = Relu(256, 2).build(3, 2).double()
    x = _points(7, 3).double()
    h = x
    *hidden, last = layers(network.weights, network.widths, True)
    for matrix, bias in hidden:
        h = (h @ matrix.T + bias).clamp(min=0)
    torch.testing.assert_close(network(x), h @ last[0].T + last[1])
    for matrix, bias in [*hidden, last]:
        bound = matrix.shape[1] ** -0.5
        assert 0.95 * bound < matrix.abs().max() <= bound and bias.abs().max() <= bound


def test_the_first_frequency_is_the_first_layers() -> None:
    network = Siren(4, 2, 100.0, 7.0).build(2, 1)
    first, second, last = _linear(network)
    x = _points(5, 2)
    wanted = last((7 * second((100 * first(x)).sin())).sin())
    torch.testing.assert_close(network(x), wanted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("config", [Siren(), Spder(), Finer()], ids=["siren", "spder", "finer"])
def test_initial_sine_weights(config: Any) -> None:
    torch.manual_seed(0)
    first, *rest = _linear(config.build(2, 3))
    assert 0.48 < first.weight.abs().max() <= 0.5
    for layer in rest:
        bound = math.sqrt(6 / 256) / 30
        assert 0.97 * bound < layer.weight.abs().max() <= bound


def test_first_biases_of_finer() -> None:
    torch.manual_seed(0)
    assert 4.8 < _linear(Finer(first_bias=5.0).build(2, 1))[0].bias.abs().max() <= 5
    assert _linear(Finer().build(2, 1))[0].bias.abs().max() <= 2**-0.5


def _signals(network: Any) -> tuple[list[Tensor], list[Tensor]]:
    """What goes into each sine of a network, and the gradient that comes back to it."""
    seen: list[Tensor] = []
    activation = network.activation

    def watched(z: Tensor) -> Tensor:
        z.retain_grad()
        seen.append(z)
        return activation(z)

    network.activation = watched
    y = network(_points(4000, 2))
    y.backward(torch.randn(y.shape))
    return seen, [z.grad for z in seen if z.grad is not None]


def test_siren_keeps_the_spread_of_features_and_gradients_over_depth() -> None:
    """Sitzmann et al. 2020, theorem 1.8: unit spread before a sine, arcsine law after it."""
    torch.manual_seed(0)
    network = Siren(layers=6).build(2, 32)
    seen, gradients = _signals(network)
    for layer, z in list(zip(network.linear, seen, strict=False))[1:]:
        # The theorem's W x; the biases come on top of it.
        assert (z - 30 * layer.bias).std().item() == pytest.approx(1, abs=0.1)
        # Arcsine law: a third of the values lies beyond sin(pi / 3).
        beyond = (z.sin().abs() > math.sin(math.pi / 3)).float().mean().item()
        assert beyond == pytest.approx(1 / 3, abs=0.05)
    spreads = [g.std().item() for g in gradients]
    assert max(spreads) < 2 * min(spreads)


def test_damped_sine_at_zero() -> None:
    z = torch.tensor([0.0, -0.0, 1e-38, 1e-44, -1e-30, 0.25], requires_grad=True)
    damped_sine(z).sum().backward()
    assert z.grad is not None and z.grad.isfinite().all()
    assert z.grad[:5].abs().max() < 1e-12
    wanted = math.cos(0.25) * 0.5 + math.sin(0.25) / (2 * 0.5)
    assert z.grad[5].item() == pytest.approx(wanted, rel=1e-5)


def test_damped_sine_derivative() -> None:
    z = (torch.rand(50, dtype=torch.float64) * 40 - 20).requires_grad_()
    assert torch.autograd.gradcheck(damped_sine, z)
    apart = (z.detach().sign() * (z.detach().abs() + 0.1)).requires_grad_()
    assert torch.autograd.gradgradcheck(damped_sine, apart)


def test_spder_learns_at_exact_zeros() -> None:
    network = Spder(8, 2).build(2, 1)
    for layer in _linear(network)[:-1]:
        torch.nn.init.zeros_(layer.bias)
    network(torch.zeros(3, 2)).sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in network.parameters())


def test_wire_in_complex_numbers() -> None:
    torch.manual_seed(0)
    network = Wire(hidden=24, layers=3, frequency=6.0, scale=3.0).build(2, 2).double()
    x = _points(9, 2).double()
    z = network.first(x).to(torch.complex128)
    h = (6j * z - (3 * z).abs() ** 2).exp()
    for layer in network.hidden:
        units = len(layer.real)
        bias = torch.complex(layer.bias[:units], layer.bias[units:])
        z = h @ torch.complex(layer.real, layer.imaginary).T + bias
        h = (6j * z - (3 * z).abs() ** 2).exp()
    # Re((p + iq)(re + i im)) = p re - q im: the last layer keeps [p, -q].
    units = h.shape[1]
    last = torch.complex(network.last.weight[:, :units], -network.last.weight[:, units:])
    wanted = (h @ last.T).real + network.last.bias
    torch.testing.assert_close(network(x), wanted)


def test_wire_has_the_parameters_of_a_real_network() -> None:
    """Of the same width; a complex number counts as two."""
    wire, real = (
        sum(p.numel() for p in config.build(2, 3).parameters()) for config in (Wire(), Relu(256, 3))
    )
    assert wire == pytest.approx(real, rel=0.03)
    assert not any(p.is_complex() for p in Wire().build(2, 3).parameters())


@pytest.mark.parametrize(("periodic", "waves"), [(0.25, 4), (0.4, 6)])
def test_fan_layer(periodic: float, waves: int) -> None:
    torch.manual_seed(0)
    network = Fan(16, 1, periodic).build(2, 3)
    x = _points(6, 2)
    z = network.hidden[0](network.embedding(x))
    p, g = z[:, :waves], z[:, waves:]
    assert g.shape[1] == 16 - 2 * waves
    h = torch.cat([p.cos(), p.sin(), torch.nn.functional.gelu(g)], 1)
    torch.testing.assert_close(network(x), network.last(h))
    with pytest.raises(InputError, match="periodic"):
        Fan(16, 1, 0.5).build(2, 3)


def _extrapolation(config: Any) -> float:
    """Mean square error beyond the interval in which a network learnt a sine."""
    torch.manual_seed(0)
    network = config.build(1, 1)
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-2)
    x = torch.linspace(-2, 2, 200)[:, None] * math.pi
    for _ in range(400):
        optimizer.zero_grad()
        (network(x) - x.sin()).square().mean().backward()
        optimizer.step()
    far = torch.linspace(2, 4, 100)[:, None] * math.pi
    return (network(far) - far.sin()).square().mean().item()


def test_fan_goes_on_where_a_relu_network_does_not() -> None:
    assert 5 * _extrapolation(Fan(16, 1)) < _extrapolation(Relu(16, 2))


@given(st.integers(1, 9), st.integers(1, 4))
def test_splines_sum_to_one_in_the_range(cells: int, order: int) -> None:
    x = torch.linspace(-1, 1, 101, dtype=torch.float64)
    values = b_splines(x, cells, order)
    assert values.shape == (101, cells + order) and (values >= 0).all()
    torch.testing.assert_close(values.sum(-1), torch.ones(101, dtype=torch.float64))
    far = torch.tensor([-1 - 2.001 * order / cells, 1.001 + 2 * order / cells, 50.0])
    assert not b_splines(far, cells, order).any()


def test_cubic_splines_at_a_knot_and_between() -> None:
    knot, middle = b_splines(torch.tensor([-0.2, 0.0], dtype=torch.float64), 5, 3)
    assert knot.tolist() == pytest.approx([0, 0, 1 / 6, 4 / 6, 1 / 6, 0, 0, 0], abs=1e-12)
    assert middle.tolist() == pytest.approx(
        [0, 0, 1 / 48, 23 / 48, 23 / 48, 1 / 48, 0, 0], abs=1e-12
    )


def test_splines_by_the_textbook_recursion() -> None:
    """Cox and de Boor on explicit knots, the extended parts of the grid included."""
    cells, order = 4, 3
    x = torch.linspace(-2.6, 2.6, 211, dtype=torch.float64)
    knots = [-1 + 2 / cells * (j - order) for j in range(cells + 2 * order + 1)]

    def basis(j: int, k: int) -> Tensor:
        if k == 0:
            return ((x >= knots[j]) & (x < knots[j + 1])).double()
        left = (x - knots[j]) / (knots[j + k] - knots[j])
        right = (knots[j + k + 1] - x) / (knots[j + k + 1] - knots[j + 1])
        return left * basis(j, k - 1) + right * basis(j + 1, k - 1)

    wanted = torch.stack([basis(j, order) for j in range(cells + order)], -1)
    torch.testing.assert_close(b_splines(x, cells, order), wanted)


def test_outside_the_grid_only_the_silu_is_left() -> None:
    torch.manual_seed(0)
    layer = SplineKan().build(2, 3).layers[0]
    x = torch.full((1, 2), 9.0)
    torch.testing.assert_close(layer(x), torch.nn.functional.silu(x) @ layer.base.T)


def test_initial_splines_go_through_small_noise() -> None:
    torch.manual_seed(0)
    layer = SplineKan(cells=5).build(2, 3).layers[0]
    basis = b_splines(torch.linspace(-1, 1, 6), 5, 3)
    curves = layer.coefficients @ basis.T
    assert curves.isfinite().all()
    assert 0.8 * 0.01 < curves.abs().max() <= 0.01 + 1e-6


def test_chebyshev_polynomials() -> None:
    t = torch.linspace(-0.999, 0.999, 41, dtype=torch.float64)
    wanted = torch.stack([(n * t.acos()).cos() for n in range(9)], -1)
    torch.testing.assert_close(chebyshev(t, 8), wanted)
    edge = torch.tensor([-1.0, 1.0], requires_grad=True)
    chebyshev(edge, 4).sum().backward()
    assert edge.grad is not None and edge.grad.isfinite().all()


def test_chebyshev_layers() -> None:
    torch.manual_seed(0)
    network = ChebyshevKan(8, 1, 3).build(2, 1).double()
    x = _points(5, 2).double()
    first, norm, second = network.layers

    def layer(x: Tensor, weights: Tensor) -> Tensor:
        n = torch.arange(4)
        waves = (n * x.tanh().acos()[..., None]).cos()
        return torch.einsum("bin,oin->bo", waves, weights.view(-1, x.shape[1], 4))

    h = layer(x, first.coefficients)
    h = (h - h.mean(-1, keepdim=True)) / (h.var(-1, correction=0, keepdim=True) + norm.eps).sqrt()
    torch.testing.assert_close(network(x), layer(h, second.coefficients))
    spread = ChebyshevKan(200).build(30, 1).layers[0].coefficients.std().item()
    assert spread == pytest.approx(1 / (30 * 5), rel=0.05)


@pytest.mark.parametrize(
    "config",
    [
        Relu(0),
        Siren(layers=0),
        Siren(frequency=0.0),
        Spder(frequency=0.0),
        Finer(frequency=-1.0),
        Perceptron(hidden=0),
        Wire(hidden=1),
        Fan(layers=0),
        SplineKan(cells=0),
        ChebyshevKan(4, 0),
    ],
    ids=lambda c: type(c).__name__,
)
def test_impossible_networks(config: Any) -> None:
    with pytest.raises(InputError):
        config.build(2, 1)
