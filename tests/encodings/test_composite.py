"""A composite is its parts, side by side."""

from typing import Any

import pytest
import torch
import yaml
from torch import Tensor

from polyfield.config import from_tree, to_tree
from polyfield.encodings import EncodingConfig
from polyfield.encodings.base import Encoding
from polyfield.encodings.composite import Composite, CompositeEncoding, Part
from polyfield.encodings.factored import TriPlane
from polyfield.encodings.frequency import Frequency
from polyfield.encodings.hash_grid import HashGrid
from polyfield.encodings.identity import Identity
from polyfield.errors import InputError

SMALL = HashGrid(levels=2, log2_size=8, finest_resolution=32)


def test_it_equals_its_parts() -> None:
    config = Composite((Part(SMALL), Part(Frequency(3), 1, 1), Part(Identity(), 1)))
    torch.manual_seed(0)
    whole = config.build(3)
    torch.manual_seed(0)
    grid, waves = SMALL.build(3), Frequency(3).build(1)
    x = torch.rand(4, 5, 3)
    wanted = torch.cat([grid(x), waves(x[..., 1:2]), x[..., 1:]], -1)
    assert torch.equal(whole(x), wanted)
    assert whole.out_dim == wanted.shape[-1] == 4 + 7 + 2
    assert [t.shape for t in whole.tables()] == [grid.table.shape]


def test_it_goes_through_yaml() -> None:
    config = Composite((Part(TriPlane(8), 0, 2), Part(Frequency(2), first=2)))
    text = yaml.safe_dump(to_tree(config, EncodingConfig))
    assert from_tree(EncodingConfig, yaml.safe_load(text)) == config
    short = "Composite: {parts: [{encoding: {Frequency: {octaves: 2}}, first: 1}, {}]}"
    wanted = Composite((Part(Frequency(2), 1), Part()))
    assert from_tree(EncodingConfig, yaml.safe_load(short)) == wanted


class _Told(Encoding):
    """Notes what it is told."""

    def __init__(self, observes: bool) -> None:
        super().__init__()
        self.in_dim = self.out_dim = 2
        self.takes_errors = self.takes_points = observes
        self.exact_gradient = "parameters" if observes else "both"
        self.notes: list[Any] = []

    def forward(self, x: Tensor) -> Tensor:
        return x

    def set_progress(self, t: float) -> None:
        self.notes.append(t)

    def update_error(self, x: Tensor, error: Tensor) -> None:
        self.notes.append((x, error))

    def init_from_points(self, x: Tensor, weight: Tensor) -> None:
        self.notes.append((x, weight))


def test_it_hands_on_what_it_is_told() -> None:
    parts = [_Told(False), _Told(True)]
    whole = CompositeEncoding(3, list(parts), [slice(0, 2), slice(1, 3)])
    assert whole.takes_errors and whole.takes_points and whole.exact_gradient == "parameters"
    assert not CompositeEncoding(3, [_Told(False)], [slice(0, 2)]).takes_errors
    x, error = torch.rand(6, 3), torch.rand(6)
    whole.set_progress(0.25)
    whole.update_error(x, error)
    whole.init_from_points(x, error)
    for part, columns in zip(parts, (slice(0, 2), slice(1, 3)), strict=True):
        progress, seen, placed = part.notes
        assert progress == 0.25
        for points, numbers in (seen, placed):
            assert torch.equal(points, x[:, columns]) and numbers is error


@pytest.mark.parametrize(
    ("parts", "word"),
    [
        ((), "parts"),
        ((Part(Identity(), 3),), "0 to 2"),
        ((Part(Identity(), 1, 3),), "0 to 2"),
        ((Part(Identity(), -1, 2),), "first between 0 and 16 at parts.0.first; got -1"),
        ((Part(Identity(), 0, 0),), "count between 1 and 16"),
    ],
)
def test_impossible_parts_are_named(parts: tuple[Part, ...], word: str) -> None:
    with pytest.raises(InputError, match=word):
        Composite(parts).build(3)
