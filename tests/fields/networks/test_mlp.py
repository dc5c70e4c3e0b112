import math

import pytest
import torch

from polyfield.fields.kernels.mlp import layers, size
from polyfield.fields.networks.mlp import MLP


def test_initial_weights_are_xavier_uniform_and_biases_zero() -> None:
    torch.manual_seed(0)
    widths = [32, 64, 64, 3]
    network = MLP(widths, bias=True)
    stack = layers(network.weights.detach(), widths, True)
    assert [tuple(matrix.shape) for matrix, _ in stack] == [(64, 32), (64, 64), (3, 64)]
    for matrix, offset in stack:
        bound = math.sqrt(6 / sum(matrix.shape))
        assert 0.95 * bound < matrix.abs().max() <= bound
        assert matrix.std().item() == pytest.approx(bound / math.sqrt(3), rel=0.1)
        assert offset is not None and not offset.any()


@pytest.mark.parametrize("bias", [False, True])
def test_the_layout_is_that_of_torch_layers_one_after_the_other(bias: bool) -> None:
    torch.manual_seed(0)
    widths = [5, 20, 7, 2]
    network = MLP(widths, bias)
    linear = [torch.nn.Linear(i, o, bias) for i, o in zip(widths, widths[1:], strict=False)]
    with torch.no_grad():
        network.weights.copy_(
            torch.cat([p.flatten() for layer in linear for p in layer.parameters()])
        )
    assert network.weights.numel() == size(widths, bias)
    x = torch.randn(4, 3, 5)
    y = x
    for layer in linear[:-1]:
        y = layer(y).relu()
    torch.testing.assert_close(network(x), linear[-1](y), rtol=1e-5, atol=1e-6)


def test_two_layers_by_hand() -> None:
    network = MLP([2, 2, 1], bias=True)
    with torch.no_grad():
        # h = relu(x0 - x1 + 1, x0 + x1), y = 2 h0 - 3 h1 + 0.5
        network.weights.copy_(torch.tensor([1.0, -1, 1, 1, 1, 0, 2, -3, 0.5]))
    assert network(torch.tensor([[2.0, 1.0], [-1.0, 5.0]])).tolist() == [[-4.5], [-11.5]]
