"""The two deep radiance fields: published sizes, and values by torch's own layers."""

import pytest
import torch
from torch import Tensor

from polyfield.encodings.domain import Box
from polyfield.encodings.hash_grid import HashGrid
from polyfield.errors import InputError
from polyfield.fields.deep_radiance import DeepRadiance
from polyfield.fields.kernels.mlp import layers
from polyfield.fields.networks.mlp import MLP
from polyfield.fields.networks.octaves import octaves
from polyfield.fields.networks.trunk import Trunk
from polyfield.fields.plain_nerf import PlainNerf
from polyfield.fields.radiance import Radiance

CUBE = torch.tensor([[-1.0, -1.0, -1.0], [1.0, 1.0, 1.0]])


def _by_hand(network: MLP, h: Tensor) -> Tensor:
    """The layers one after the other, all but the last with a ReLU."""
    *hidden, (matrix, bias) = layers(network.weights, network.widths, network.bias)
    for weight, offset in hidden:
        h = torch.nn.functional.linear(h, weight, offset).relu()
    return torch.nn.functional.linear(h, matrix, bias)


def test_published_sizes() -> None:
    box = Box(CUBE)
    assert PlainNerf().build(box).size().trainable == 595_844
    # 434,460 of the deep network, 2816 and 6272 of the heads, and 64 more than PVD's: as in
    # instant-ngp, the log-density is among what the colour sees.
    assert DeepRadiance().build(box).size().trainable == 443_548 + 64


def test_the_skip_puts_the_input_before_the_layer() -> None:
    torch.manual_seed(0)
    trunk = Trunk(5, 8, 4, 2, 3).double()
    x = torch.randn(7, 5).double()
    h = _by_hand(trunk.before, x).relu()
    assert len(layers(trunk.before.weights, trunk.before.widths, True)) == 2
    torch.testing.assert_close(trunk(x), _by_hand(trunk.after, torch.cat([x, h], -1)))
    with pytest.raises(InputError):
        Trunk(5, 8, 4, 4, 3)


def test_nerf_by_hand() -> None:
    torch.manual_seed(0)
    field = PlainNerf(trunk=16, color_hidden=8).build(Box(CUBE * 3)).double()
    x = torch.rand(9, 3).double() * 6 - 3
    view = torch.nn.functional.normalize(torch.randn(9, 3), dim=-1).double()
    h = field.trunk(octaves(x / 3, 10)).relu()
    a = h @ field.density_head.weight[0] + field.density_head.bias
    g = h @ field.feature.weight.T + field.feature.bias
    seen = torch.cat([g, octaves(view, 4)], -1)
    sample = field(x, view)
    torch.testing.assert_close(sample.density, a.clamp(min=0) * 2 / 6)
    torch.testing.assert_close(sample.rgb, _by_hand(field.color, seen).sigmoid())
    s, feature = field.geometry(x)
    assert feature is not None
    torch.testing.assert_close(s, (a * 2).clamp(min=1e-6).log())
    torch.testing.assert_close(feature, g)


def test_the_deep_field_shares_the_heads_of_the_grid() -> None:
    """Names and shapes of everything but the position encoding."""
    deep = DeepRadiance(out=32).build(Box(CUBE)).state_dict()
    grid = Radiance(HashGrid(levels=8, features=4)).build(Box(CUBE)).state_dict()
    heads = {n: t.shape for n, t in deep.items() if not n.startswith("position.")}
    assert heads == {n: t.shape for n, t in grid.items() if not n.startswith("position.")}
    assert "density_network.weights" in heads and "color_network.weights" in heads
