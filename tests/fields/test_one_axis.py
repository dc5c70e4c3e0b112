"""Fields of one coordinate, as sound has it: every network, every number of channels, refusals."""

import math
import typing
from typing import Any

import pytest
import torch
from torch import Tensor

from polyfield.encodings.dense_grid import DenseGrid
from polyfield.encodings.domain import Box, Contraction
from polyfield.encodings.frequency import Frequency
from polyfield.encodings.hash_grid import HashGrid
from polyfield.encodings.identity import Identity
from polyfield.encodings.random_fourier import RandomFourier
from polyfield.errors import InputError
from polyfield.fields.coordinate import Coordinate
from polyfield.fields.functional import Functional
from polyfield.fields.modulated import Modulated
from polyfield.fields.networks import NetworkConfig
from polyfield.fields.networks.mlp import Perceptron
from polyfield.fields.networks.siren import Siren
from polyfield.fields.networks.spder import Spder
from polyfield.training.loop import FitConfig, fit

NETWORKS = [pytest.param(k(), id=k.__name__) for k in typing.get_args(NetworkConfig)]
SECONDS = torch.tensor([[0.0], [7.0]])


def _instants(n: int) -> Tensor:
    return (torch.arange(n) + 0.5)[:, None] * (7 / n)


def test_a_box_and_a_contraction_of_one_axis() -> None:
    box = Box(SECONDS)
    assert (box.dim, box.length, box.span) == (1, 7.0, 7.0)
    x = torch.tensor([[-1.0], [0.0], [3.5], [7.0], [9.0]])
    assert box(x).tolist() == [[0.0], [0.0], [0.5], [1.0], [1.0]]
    assert box.inverse(box(x[1:4])).tolist() == x[1:4].tolist()
    assert box.stretch(x).tolist() == [1.0] * 5
    torch.testing.assert_close(Contraction(SECONDS).inverse(Contraction(SECONDS)(x)), x)


@pytest.mark.parametrize("config", NETWORKS)
def test_every_network_takes_a_coordinate_and_gives_up_to_eight_channels(config: Any) -> None:
    for channels in (1, 2, 3, 5, 8):
        torch.manual_seed(0)
        field = Coordinate(Identity(centered=True), config).build(Box(SECONDS), channels)
        x = _instants(33)
        y = field(x)
        assert y.shape == (33, channels) and y.isfinite().all()
        y.square().sum().backward()
        for name, parameter in field.named_parameters():
            assert parameter.grad is not None and parameter.grad.isfinite().all(), name
    assert field(x[:0]).shape == (0, 8)


@pytest.mark.parametrize(
    "config",
    [
        Coordinate(HashGrid(levels=4, log2_size=8, finest_resolution=512)),
        Coordinate(DenseGrid(levels=3, finest_resolution=100)),
        Coordinate(Identity(centered=True), Siren(16, 2)),
        Modulated(RandomFourier(count=8), hidden=8, columns=(0,)),
    ],
    ids=["hash", "dense", "siren", "modulated"],
)
@pytest.mark.parametrize("channels", [1, 2, 8])
def test_on_grid_of_one_axis(config: Any, channels: int) -> None:
    torch.manual_seed(0)
    field = config.build(Box(SECONDS), channels)
    axis = _instants(50)[:, 0]
    found = field.on_grid([axis])
    assert found.shape == (50, channels)
    torch.testing.assert_close(found, field(axis[:, None]))
    assert field.on_grid([axis[:0]]).shape == (0, channels)


@pytest.mark.parametrize(
    ("config", "word"),
    [
        (Functional(), "2 axes or more"),
        (Functional(form="tt"), "2 axes or more"),
        (Functional(form="tucker"), "2 axes or more"),
        (Modulated(), "columns from 0 to 0"),
    ],
    ids=["cp", "tt", "tucker", "modulated"],
)
def test_what_needs_more_axes_says_so(config: Any, word: str) -> None:
    with pytest.raises(InputError, match=word) as caught:
        config.build(Box(SECONDS), 1)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 300


def test_a_network_an_axis_can_have_grids() -> None:
    """F-INR asks its encodings for one coordinate: grids take it."""
    config = Functional(rank=4, encoding=DenseGrid(), network=Perceptron(hidden=16))
    field = config.build(Box(torch.tensor([[0.0, 0.0], [4.0, 3.0]])), 3)
    assert field.on_grid([torch.rand(5) * 4, torch.rand(6) * 3]).shape == (5, 6, 3)


@pytest.mark.parametrize("first", [None, 90.0])
def test_spders_first_frequency(first: float | None) -> None:
    torch.manual_seed(0)
    network = Spder(8, 3, 20.0, first).build(1, 1)
    assert network.scales == [first or 20.0, 20.0, 20.0]
    torch.manual_seed(0)
    plain = Spder(8, 3, 20.0).build(1, 1)
    for one, two in zip(network.parameters(), plain.parameters(), strict=True):
        assert torch.equal(one, two)


@pytest.mark.parametrize("config", [Siren(first_frequency=0), Spder(first_frequency=-1.0)])
def test_first_frequencies_are_above_0(config: Any) -> None:
    with pytest.raises(InputError, match="above 0"):
        config.build(1, 1)


class _Line:
    """All samples of a sound at each step."""

    def __init__(self, field: Any, x: Tensor, y: Tensor) -> None:
        self.field, self.x, self.y = field, x, y

    def __call__(self, step: int, progress: float) -> tuple[Tensor, dict[str, float]]:
        return (self.field(self.x) - self.y).square().mean(), {}

    def state(self) -> dict[str, Tensor]:
        return {}

    def load_state(self, state: Any) -> None:
        pass


def test_a_chirp_is_learnt_where_octaves_alone_are_too_few() -> None:
    """40 to 120 periods on 1000 samples: a grid of 250 cells follows, 5 octaves don't."""
    x = _instants(1000)
    u = x / 7
    y = torch.sin(2 * math.pi * (40 * u + 40 * u.square()))
    left = []
    for encoding in (DenseGrid(3, 4, 64, 250), Frequency(octaves=5)):
        torch.manual_seed(0)
        field = Coordinate(encoding, Perceptron(hidden=32, bias=True)).build(Box(SECONDS), 1)
        fit(field, _Line(field, x, y), FitConfig(steps=200))
        error = (field(x).detach() - y).square().mean()
        left.append(float(error / y.square().mean()))
    assert left[0] < 0.03 and left[1] > 0.5
