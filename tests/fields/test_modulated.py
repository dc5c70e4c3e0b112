"""Coordinate-aware modulation: lookups and layers by closed forms, and what it can do."""

import math

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from polyfield.encodings.domain import Box, domain
from polyfield.encodings.frequency import Frequency
from polyfield.encodings.hash_grid import HashGrid
from polyfield.encodings.identity import Identity
from polyfield.encodings.random_fourier import RandomFourier
from polyfield.encodings.sape import Sape
from polyfield.errors import InputError
from polyfield.fields.modulated import Modulated, ModulatedField, lookup
from polyfield.fields.modulated_radiance import ModulatedRadiance, ModulatedRadianceField
from polyfield.training.loop import FitConfig, fit

CUBE = torch.tensor([[-1.0, -1.0, -1.0], [1.0, 1.0, 1.0]])
SQUARE = torch.tensor([[0.0, 0.0], [1.0, 1.0]])
SMALL = ModulatedRadiance(hidden=16, layers=4, skip=2, color_hidden=8, planes=5)
PLAIN = Modulated(
    Identity(), hidden=1, layers=1, normalize=False, activation="none", output="linear"
)


def _unit(dim: int) -> Box:
    return Box(torch.tensor([[0.0] * dim, [1.0] * dim]))


@pytest.mark.parametrize("k", [1, 2, 3])
def test_a_lookup_is_linear_between_nodes_and_names_axes_in_order(k: int) -> None:
    """A grid of a multilinear function gives it back; no axis can stand for another."""
    axes = [torch.linspace(0, 1, n) for n in (3, 4, 6)[:k]]
    nodes = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1)

    def value(c: Tensor) -> Tensor:
        return (c * torch.tensor([1.0, 10.0, 100.0])[:k]).sum(-1) + c.prod(-1)

    places = torch.rand(2, 50, k, generator=torch.Generator().manual_seed(0))
    places[0, 0], places[0, 1] = 0, 1
    grids = torch.stack([value(nodes), -value(nodes)]).expand(2, 2, *nodes.shape[:-1])
    found = lookup(grids, places)
    torch.testing.assert_close(found[:, 0], value(places), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(found[:, 1], -found[:, 0])
    assert lookup(grids, places[:, :0]).shape == (2, 2, 0)
    grids = torch.rand(1, 2, *[3] * k, dtype=torch.float64).requires_grad_()
    inside = (torch.rand(1, 5, k, dtype=torch.float64) * 0.4 + 0.05).requires_grad_()
    assert torch.autograd.gradcheck(lookup, (grids, inside))


@pytest.mark.parametrize("columns", [(2,), (0, 1), (1, 0), (0, 2), (2, 0, 1)])
def test_any_columns_of_space_and_time_modulate(columns: tuple[int, ...]) -> None:
    """One layer by hand: (x + 2y + 4t + 1) gamma(c) + beta(c), in a box that is no unit cube."""
    bounds = torch.tensor([[0.0, -1.0, 5.0], [2.0, 1.0, 9.0]])
    config = Modulated(PLAIN.encoding, 1, 1, columns, 3, False, "none", "linear")
    field = config.build(Box(bounds), 1)
    slope = torch.tensor([1.0, 2.0, 4.0])
    axis = torch.linspace(0, 1, 3)
    nodes = torch.stack(torch.meshgrid(*[axis] * len(columns), indexing="ij"), -1)
    gamma = torch.tensor([3.0, 5.0, 7.0])[: len(columns)]
    with torch.no_grad():
        field.hidden[0].weight.copy_(slope[None])
        field.hidden[0].bias.fill_(1)
        field.last.weight.fill_(2)
        field.last.bias.fill_(-1)
        field.grids[0], field.grids[1] = nodes @ gamma, nodes @ -gamma + 9
    u = torch.rand(40, 3, generator=torch.Generator().manual_seed(0))
    c = u[:, list(columns)]
    wanted = (u @ slope + 1) * (c @ gamma) + (9 - c @ gamma)
    found = field(bounds[0] + u * (bounds[1] - bounds[0]))[:, 0]
    torch.testing.assert_close(found, 2 * wanted - 1, rtol=1e-4, atol=1e-4)


def test_at_first_it_is_the_network_and_a_norm() -> None:
    torch.manual_seed(0)
    field = Modulated(RandomFourier(count=8), hidden=16, layers=2).build(Box(SQUARE), 3)
    x = torch.rand(20, 2)
    h = field.encoding(x)
    for layer in field.hidden:
        h = layer(h)
        h = (h - h.mean(-1, keepdim=True)) / (h.var(-1, correction=0, keepdim=True) + 1e-5).sqrt()
        h = h.clamp(min=0)
    torch.testing.assert_close(field(x), torch.sigmoid(field.last(h)), rtol=1e-5, atol=1e-6)
    bare = Modulated(Identity(), 8, 1, normalize=False, output="linear").build(Box(SQUARE), 3)
    torch.testing.assert_close(bare(x), bare.last(bare.hidden[0](x).relu()))


def test_sizes_of_the_paper() -> None:
    """263,683 values without grids; six grids of 32^2 are 2.3 % more."""
    field = Modulated().build(Box(SQUARE), 3)
    assert field.grids.numel() == 6144
    assert field.size().trainable - 6144 == 263_683


def test_groups_and_what_the_encoding_is_told() -> None:
    grid = HashGrid(levels=2, log2_size=8, base_resolution=4, finest_resolution=8)
    field = Modulated(Sape(grid, blocks=2, resolution=4), hidden=8).build(Box(SQUARE), 1)
    groups = field.groups()
    assert groups["modulation"] == [field.grids] and groups["table"] == field.encoding.tables()
    assert field.takes_errors
    field.update_error(torch.rand(9, 2), torch.zeros(9))
    field.set_progress(1.0)
    assert float(field.encoding.shown().sum()) == 0


class _Regression:
    """All of a signal at each step."""

    def __init__(self, field: ModulatedField, x: Tensor, y: Tensor) -> None:
        self.field, self.x, self.y = field, x, y

    def __call__(self, step: int, progress: float) -> tuple[Tensor, dict[str, float]]:
        return functional.mse_loss(self.field(self.x), self.y), {}

    def state(self) -> dict[str, Tensor]:
        return {}

    def load_state(self, state: dict[str, Tensor]) -> None:
        pass


def _trained(config: Modulated, x: Tensor, y: Tensor, steps: int, rate: float) -> float:
    torch.manual_seed(0)
    field = config.build(_unit(x.shape[1]), 1)
    rates = {"network": 1e-3, "modulation": rate}
    fit(field, _Regression(field, x, y), FitConfig(steps=steps, rates=rates, final=1.0))
    return functional.mse_loss(field(x), y).item()


def test_a_wave_without_activations() -> None:
    """The authors' demo: 10 sines of up to 50 periods on 200 points, no activation functions.

    Such a network without modulation is a line: the best of them is that of least squares. Theirs
    are 1500 steps, here 800: enough for a thirtieth of the line's error.
    """
    torch.manual_seed(0)
    x = torch.linspace(0, 1, 200)[:, None]
    k = torch.arange(1, 11)
    y = torch.sin(2 * math.pi * (5 * k * x + torch.rand(10))).sum(1, keepdim=True)
    line = torch.cat([x, torch.ones_like(x)], 1)
    without = float((line @ torch.linalg.lstsq(line, y).solution - y).square().mean())
    assert without == pytest.approx(5, rel=0.1)
    config = Modulated(Identity(), 64, 4, (0,), 64, activation="none", output="linear")
    assert _trained(config, x, y, 800, 1e-3) < without / 30
    field = config.build(_unit(1), 1)
    assert field.grids.numel() <= 0.05 * field.size().trainable


def test_time_modulates_a_moving_signal() -> None:
    """a(t) g(x, y) with a jagged a: a grid over t learns it, a grid over x does not."""
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(600, 3, generator=generator)
    jagged = torch.sin(2 * math.pi * 8 * x[:, 2:])
    y = jagged * (1 + x[:, :1] + x[:, 1:2])
    found = [
        _trained(Modulated(Identity(), 32, 2, c, 33, output="linear"), x, y, 200, 1e-2)
        for c in ((2,), (0,))
    ]
    assert found[0] < found[1] / 10


@pytest.mark.parametrize(
    ("config", "word"),
    [
        (Modulated(columns=()), "1 to 3"),
        (Modulated(columns=(0, 0)), "different"),
        (Modulated(columns=(2,)), "from 0 to 1"),
        (Modulated(columns=(-1,)), "columns between 0"),
        (Modulated(layers=0), "layers"),
        (Modulated(resolution=1), "resolution"),
    ],
)
def test_what_cannot_be_built_is_named(config: Modulated, word: str) -> None:
    with pytest.raises(InputError, match=word):
        config.build(Box(SQUARE), 3)


# Radiance.


def _radiance(config: ModulatedRadiance = SMALL) -> ModulatedRadianceField:
    torch.manual_seed(0)
    return config.build(domain(CUBE, False))


def test_beta_is_nothing_at_first_but_learns() -> None:
    """A product of three zeros would have no gradient."""
    field = _radiance()
    x, directions = torch.rand(200, 3) * 2 - 1, functional.normalize(torch.randn(200, 3), dim=-1)
    h = seen = field.position(field.domain(x))
    for i, layer in enumerate(field.trunk):
        h = layer(torch.cat([h, seen], -1) if i == 2 else h).relu()
    wanted = field.density_head(h)[:, 0]
    torch.testing.assert_close(field.geometry(x)[0], wanted, rtol=1e-4, atol=1e-5)
    sample = field(x, directions)
    (sample.density.sum() + sample.rgb.sum()).backward()
    grad = field.planes.grad
    for layer in range(4):
        assert grad[:, layer].abs().amax((1, 2)).min() > 0
        assert grad[2, 4 + layer].any()


def test_planes_multiply() -> None:
    """gamma of the first layer is (1 + x)(2 + z)(3 + y) if planes xy, xz, yz say so."""
    field = _radiance(ModulatedRadiance(Identity(), Identity(), 1, 1, 0, 2, planes=4))
    axis = torch.linspace(0, 1, 4)
    one, two = torch.meshgrid(axis, axis, indexing="ij")
    with torch.no_grad():
        field.planes[0, 0], field.planes[1, 0], field.planes[2, 0] = 1 + one, 2 + two, 3 + one
        field.trunk[0].weight.fill_(0)
        field.trunk[0].bias.fill_(1)
        field.density_head.weight.fill_(1)
    u = torch.rand(30, 3)
    wanted = (1 + u[:, 0]) * (2 + u[:, 2]) * (3 + u[:, 1])
    torch.testing.assert_close(field.geometry(u * 2 - 1)[0], wanted, rtol=1e-4, atol=1e-4)


def test_directions_use_all_of_the_grid_and_wrap() -> None:
    """Elevation from -z to z is the whole grid; azimuth is continuous across +-pi."""
    field = _radiance()
    with torch.no_grad():
        field.sphere[0] = torch.tensor([1.0, 2.0, 3.0])
        field.sphere[1] = torch.arange(10.0)[:, None]

    def seen(azimuth: float, elevation: float) -> list[float]:
        flat = math.cos(elevation)
        where = [flat * math.cos(azimuth), flat * math.sin(azimuth), math.sin(elevation)]
        return [v.item() for v in field._modulation_of(torch.tensor([where]))]

    for elevation, gamma in ((-math.pi / 2, 1), (0, 2), (math.pi / 4, 2.5), (math.pi / 2, 3)):
        assert seen(0.3, elevation)[0] == pytest.approx(gamma, abs=1e-5)
    step = 2 * math.pi / 10
    assert seen(-math.pi + 1e-4, 0)[1] == pytest.approx(0, abs=1e-2)
    assert seen(math.pi - 1e-4, 0)[1] == pytest.approx(0, abs=1e-2)
    assert seen(math.pi - step / 2, 0)[1] == pytest.approx(4.5, abs=1e-4)
    assert seen(-math.pi + 3 * step, 0)[1] == pytest.approx(3, abs=1e-4)


def test_directions_change_colour_through_the_grid_alone_too() -> None:
    field = _radiance(ModulatedRadiance(Frequency(2), Frequency(1), 16, 2, 0, 8, 4))
    x = torch.zeros(2, 3)
    directions = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.6, 0.8]])
    with torch.no_grad():
        field.color_hidden.weight[:, 16:] = 0
    assert torch.equal(*field(x, directions).rgb)
    with torch.no_grad():
        field.sphere[1].normal_()
    sample = field(x, directions)
    assert (sample.rgb[0] - sample.rgb[1]).abs().max() > 1e-3
    assert sample.density[0] == sample.density[1]


def test_sizes_of_the_released_code() -> None:
    """8 layers, gamma and beta, three planes of 512^2: 12.6 million values."""
    field = ModulatedRadiance().build(domain(CUBE, False))
    groups = field.groups()
    assert sum(p.numel() for p in groups["modulation"]) == 8 * 2 * 3 * 512**2 + 2 * 10 * 3
    assert field.trunk[4].in_features == 256 + 63 and field.trunk[3].in_features == 256


@pytest.mark.parametrize(
    ("config", "word"),
    [
        (ModulatedRadiance(layers=0), "layers"),
        (ModulatedRadiance(planes=1), "planes"),
        (ModulatedRadiance(hidden=0), "hidden"),
        (ModulatedRadiance(layers=4), "a skip below layers"),
    ],
)
def test_radiance_that_cannot_be_built_is_named(config: ModulatedRadiance, word: str) -> None:
    with pytest.raises(InputError, match=word):
        config.build(domain(CUBE, False))
