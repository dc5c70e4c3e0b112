"""The dense grid is the hash grid where nothing is shared."""

import pytest
import torch

from polyfield.encodings.dense_grid import DenseGrid
from polyfield.encodings.hash_grid import HashGrid
from polyfield.errors import InputError


@pytest.mark.parametrize("dim", [1, 2, 3, 4])
def test_it_is_a_hash_grid_without_a_cap(dim: int) -> None:
    numbers = {"levels": 3, "features": 2, "base_resolution": 5, "finest_resolution": 14}
    dense = DenseGrid(**numbers).build(dim)
    roomy = HashGrid(**numbers, log2_size=24).build(dim)
    assert not any(dense.levels.hashed) and dense.levels == roomy.levels
    with torch.no_grad():
        dense.table.uniform_(-1, 1)
    roomy.load_state_dict(dense.state_dict())
    x = torch.rand(100, dim)
    assert torch.equal(dense(x), roomy(x))


def test_every_vertex_has_its_own_entry() -> None:
    """Where a hash grid of 2^9 entries shares, this one holds 33^3."""
    grid = DenseGrid(levels=1, features=1, base_resolution=33, finest_resolution=33).build(3)
    assert grid.table.numel() == -(-(33**3) // 8) * 8


@pytest.mark.parametrize(
    ("config", "dim", "word"),
    [
        (DenseGrid(), 5, "1 to 4"),
        (DenseGrid(features=3), 3, "features"),
        (DenseGrid(levels=0), 3, "levels"),
        (DenseGrid(base_resolution=9, finest_resolution=8), 3, "finest_resolution"),
        (DenseGrid(finest_resolution=512), 3, "at most"),
        (DenseGrid(finest_resolution=4096), 3, "at most"),
    ],
)
def test_impossible_grids_are_named(config: DenseGrid, dim: int, word: str) -> None:
    with pytest.raises(InputError, match=word) as caught:
        config.build(dim)
    assert "\n" not in str(caught.value)
