"""KiloNeRF's bank: the grid rule, the start, and stacked networks against separate ones."""

import math

import pytest
import torch
from torch import Tensor, nn

from polyfield.encodings.domain import Box, domain
from polyfield.errors import InputError
from polyfield.fields.kernels import bank as kernel
from polyfield.fields.kilo import KiloBank, KiloField, resolution
from polyfield.fields.networks.octaves import octaves
from polyfield.training.adam import Adam
from polyfield.training.kernels.adam import AdamNumbers

BOUNDS = torch.tensor([[-1.0, -1.0, -1.0], [1.0, 0.9, 0.2]])


def _field(**options: int | bool) -> KiloField:
    torch.manual_seed(0)
    return KiloBank(**{"cells": 2, **options}).build(Box(BOUNDS))


def _seen(n: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    x = BOUNDS[0] + torch.rand(n, 3, generator=generator) * (BOUNDS[1] - BOUNDS[0])
    directions = torch.randn(n, 3, generator=generator)
    return x, nn.functional.normalize(directions, dim=-1)


@pytest.mark.parametrize(
    ("edges", "cells"),
    [
        ((1.34, 2.4, 1.4), (9, 16, 10)),  # Lego
        ((1.0, 0.75, 1.0), (16, 12, 16)),
        ((1.0, 0.7500001, 0.7501), (16, 12, 13)),
        ((0.1, 0.3, 0.2), (6, 16, 11)),
        ((5.0, 5.0, 1e-3), (16, 16, 1)),
    ],
)
def test_resolution(edges: tuple[float, ...], cells: tuple[int, ...]) -> None:
    bounds = torch.stack([torch.zeros(3), torch.tensor(edges)])
    assert resolution(bounds, 16) == cells
    # Where the box lies, and the unit of length, do not matter.
    assert resolution(bounds * 0.3 - 7, 16) == cells


def test_lego_has_the_published_size() -> None:
    """1440 networks of 6212 values; 97.6 times less work than NeRF's 593,408 products."""
    bounds = torch.tensor([[-0.67, -1.2, -0.37], [0.67, 1.2, 1.03]])
    field = KiloBank().build(Box(bounds))
    assert field.count == 1440 and field.size().trainable == 1440 * 6212
    products = sum(
        i * o
        for widths in (field.trunk_widths, field.color_widths)
        for i, o in zip(widths, widths[1:], strict=False)
    )
    assert products == 6080 and round(593_408 / products, 1) == 97.6


def test_initial_values() -> None:
    """The published laws, tensor by tensor; all networks alike, or each its own."""
    field = _field(cells=4)
    for parameter in (field.trunks, field.colors):
        assert (parameter == parameter[:1]).all()
    other = _field(cells=4, alike=False)
    assert not (other.trunks[0] == other.trunks[1]).any()
    gains = {"trunks": [6, 6, None], "colors": [6, 3]}
    for name, widths in (("trunks", field.trunk_widths), ("colors", field.color_widths)):
        layers = kernel.layers(getattr(other, name), widths)
        for (matrix, bias), gain in zip(layers, gains[name], strict=True):
            inputs = matrix.shape[1]
            parts = [(matrix, gain)] if gain else [(matrix[..., :32], 3), (matrix[..., 32:], 6)]
            for part, own in parts:
                bound = math.sqrt(own / inputs)
                assert 0.98 * bound < part.abs().max() <= bound
            bound = 1 / math.sqrt(inputs)
            assert 0.95 * bound < bias.abs().max() <= bound


class _Separate(nn.Module):
    """One cell's network in torch's own layers."""

    def __init__(self, field: KiloField, cell: int) -> None:
        super().__init__()
        self.config = field.config
        stacks = kernel.layers(field.trunks[cell], field.trunk_widths)
        stacks += kernel.layers(field.colors[cell], field.color_widths)
        self.layers = nn.ModuleList()
        for matrix, bias in stacks:
            layer = nn.Linear(*matrix.shape)
            layer.weight = nn.Parameter(matrix.detach().T.clone())
            layer.bias = nn.Parameter(bias.detach().clone())
            self.layers.append(layer)

    def forward(self, place: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]:
        one, two, three, four, five = self.layers
        h = three(two(one(octaves(place, self.config.octaves)).relu()).relu())
        g, a = h[:, :-1], h[:, -1]
        seen = torch.cat([g, octaves(directions, self.config.direction_octaves)], -1)
        # The density's gradient below 0 is that of a leaky ReLU.
        leak = 0.01 * a.clamp(max=0)
        return a.relu() + leak - leak.detach(), five(four(seen).relu()).sigmoid()


def _numbers(x: Tensor, field: KiloField) -> tuple[Tensor, Tensor]:
    """The cell of each point and its place in it, by loops."""
    numbers, places = [], []
    for point in x.tolist():
        cell, place = [], []
        for value, low, high, count in zip(
            point, BOUNDS[0].tolist(), BOUNDS[1].tolist(), field.cells, strict=True
        ):
            u = (value - low) / (high - low) * count
            cell.append(min(int(u), count - 1))
            place.append(2 * (u - cell[-1]) - 1)
        numbers.append((cell[0] * field.cells[1] + cell[1]) * field.cells[2] + cell[2])
        places.append(place)
    return torch.tensor(numbers), torch.tensor(places, dtype=x.dtype)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_stacked_is_separate(dtype: torch.dtype) -> None:
    """Value, gradient and one step of Adam; float64 runs the reference, float32 the kernel."""
    # In float32 the rounding of a point shows in high frequencies.
    field = _field(alike=False, octaves=10 if dtype == torch.float64 else 3).to(dtype)
    assert field.cells == (2, 2, 2)
    x, directions = (tensor.to(dtype) for tensor in _seen(300))
    numbers, places = _numbers(x, field)
    separate = [_Separate(field, cell) for cell in range(field.count)]
    density, rgb = x.new_zeros(300), x.new_zeros(300, 3)
    for cell, network in enumerate(separate):
        rows = numbers == cell
        assert rows.any()
        density[rows], rgb[rows] = network(places[rows], directions[rows])
    found, scale = field(x, directions), 2 / field.domain.length
    close = {"rtol": 1e-9, "atol": 1e-9} if dtype == torch.float64 else {"rtol": 1e-4, "atol": 1e-4}
    torch.testing.assert_close(found.density, density * scale, **close)
    torch.testing.assert_close(found.rgb, rgb, **close)

    weight = torch.rand(300, 3, dtype=dtype)
    (found.density.sum() + (found.rgb * weight).sum()).backward()
    ((density * scale).sum() + (rgb * weight).sum()).backward()
    gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in field.parameters()]
    Adam(field.groups(), ("table",)).step({"table": AdamNumbers(1e-2, 0.9, 0.999, 1e-8)})
    for cell, network in enumerate(separate):
        stacks = [
            kernel.layers(values[cell], widths)
            for values, widths in zip(
                gradients, (field.trunk_widths, field.color_widths), strict=True
            )
        ]
        own = [tensor for stack in stacks for matrix, bias in stack for tensor in (matrix.T, bias)]
        other = [p.grad for p in network.parameters()]
        for one, two in zip(own, other, strict=True):
            assert two is not None
            torch.testing.assert_close(one, two, **close)
        torch.optim.Adam(network.parameters(), 1e-2).step()
        for one, two, slope in zip(
            _Separate(field, cell).parameters(), network.parameters(), other, strict=True
        ):
            assert slope is not None
            # A first step is the rate times the gradient's sign: none of its rounding may decide.
            sure = (slope.abs() > 1e-3) | (slope == 0)
            torch.testing.assert_close(one[sure], two[sure], **close)


def test_networks_that_no_point_meets_keep_still() -> None:
    field = _field(alike=False)
    x, directions = _seen(300)
    x = x[_numbers(x, field)[0] == 3]
    before = [p.detach().clone() for p in field.parameters()]
    sample = field(x, directions[: len(x)])
    (sample.density.sum() + sample.rgb.sum()).backward()
    Adam(field.groups(), ("table",)).step({"table": AdamNumbers(1e-2)})
    for old, new in zip(before, field.parameters(), strict=True):
        moved = (old != new).any(-1).nonzero()[:, 0].tolist()
        assert moved == [3]


def test_what_is_empty_can_fill_again() -> None:
    """A negative density is 0, its logarithm finite, and both have a slope."""
    field = _field()
    with torch.no_grad():
        kernel.layers(field.trunks, field.trunk_widths)[-1][1][:, -1] = -50
    x, _ = _seen(20)
    density, s = field.density(x), field.geometry(x)[0]
    assert (density == 0).all() and (s == math.log(1e-6)).all()
    for value in (density, s):
        (slope,) = torch.autograd.grad(value.sum(), [field.trunks], retain_graph=True)
        assert slope.isfinite().all() and slope.abs().sum() > 0


def test_points_are_drawn_equally_by_cell() -> None:
    field = _field(cells=3)
    generator = torch.Generator().manual_seed(0)
    x = field.draw_points(5 * field.count + 2, generator)
    counts = _numbers(x, field)[0].bincount(minlength=field.count)
    assert sorted(counts.tolist()) == [5] * (field.count - 2) + [6] * 2
    assert field.draw_points(0, generator).shape == (0, 3)


def test_all_of_space() -> None:
    """The cells of a contracted scene are those of the unit cube."""
    field = KiloBank(cells=4).build(domain(BOUNDS, True))
    far = field(torch.tensor([[40.0, -900.0, 3.0]]), torch.eye(3)[:1])
    assert far.density.isfinite().all() and far.rgb.isfinite().all()


@pytest.mark.parametrize("options", [{"cells": 0}, {"hidden": 0}, {"cells": 400}])
def test_impossible_sizes(options: dict[str, int]) -> None:
    with pytest.raises(InputError):
        KiloBank(**options).build(Box(BOUNDS))
