import math

import pytest
import torch

from polyfield.errors import InputError
from polyfield.fields.kernels.mlp import layers
from polyfield.fields.networks.sine_skip import SineSkip, SineSkipNetwork


def test_it_is_the_formula() -> None:
    """One hidden layer of two units, every weight set by hand."""
    network = SineSkip(hidden=2, layers=1, waves=(10.0, 40.0)).build(1, 1)
    with torch.no_grad():
        network.first.weights.copy_(torch.tensor([0.3, -0.5, 0.1, 0.2]))
        network.rest.weights.copy_(torch.tensor([2.0, 3.0, -1.0]))
    one, two = 0.3 * 0.7 + 0.1, -0.5 * 0.7 + 0.2
    one, two = one + math.sin(10 * one), two + math.sin(40 * two)
    expected = torch.tensor([[2 * one + 3 * two - 1]])
    torch.testing.assert_close(network(torch.tensor([[0.7]])), expected)


def test_later_layers_are_relu() -> None:
    network = SineSkip(hidden=4, layers=3).build(2, 3)
    assert network.rest.widths == [4, 4, 4, 3] and network.rest.bias


def test_multipliers_are_log_spaced() -> None:
    network = SineSkip(hidden=3).build(2, 1)
    expected = torch.tensor([10.0, math.sqrt(1000), 100.0])
    torch.testing.assert_close(network.multipliers, expected)


def test_it_begins_as_torchs_linear_layers() -> None:
    torch.manual_seed(0)
    network = SineSkip().build(36, 3)
    assert isinstance(network, SineSkipNetwork)
    for part, inputs in ((network.first, [36]), (network.rest, [64, 64])):
        for (matrix, bias), width in zip(
            layers(part.weights, part.widths, part.bias), inputs, strict=True
        ):
            assert bias is not None
            bound = 1 / math.sqrt(width)
            for values in (matrix.detach(), bias.detach()):
                assert 0.5 * bound < values.abs().max() <= bound
            assert float(matrix.detach().std()) == pytest.approx(bound / math.sqrt(3), rel=0.15)


@pytest.mark.parametrize("config", [SineSkip(hidden=0), SineSkip(layers=0), SineSkip(waves=(0, 1))])
def test_bad_values_are_told(config: SineSkip) -> None:
    with pytest.raises(InputError):
        config.build(2, 1)
