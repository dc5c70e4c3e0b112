"""The hash grid against closed forms and the published rules."""

import math

import numpy as np
import pytest
import torch

from polyfield.encodings.hash_grid import HashGrid
from polyfield.encodings.kernels.hash_grid import Levels, corner_indices, hash_grid
from polyfield.errors import InputError

PAPER = [16, 23, 31, 43, 59, 81, 112, 154, 213, 295, 407, 562, 777, 1073, 1483, 2048]


def make(count: int, base: int, growth: float, log2_size: int, dim: int = 3) -> Levels:
    return Levels.make(dim, count, base, growth, log2_size)


def test_resolutions_and_parameters_of_the_paper() -> None:
    grid = HashGrid(levels=16, features=2, log2_size=19).build(3)
    assert list(grid.levels.resolutions) == PAPER
    assert grid.table.numel() == 12_196_240
    assert grid.levels.hashed == (False,) * 5 + (True,) * 11
    assert grid.out_dim == 32


def test_resolutions_and_parameters_of_eight_levels() -> None:
    levels = make(8, 16, 2.0, 19)
    assert list(levels.resolutions) == [16 * 2**level for level in range(8)]
    assert levels.hashed == (False,) * 3 + (True,) * 5
    assert levels.entries * 4 == 11_681_792
    grid = HashGrid(levels=8, features=4, log2_size=19).build(3)
    assert grid.levels == levels and grid.out_dim == 32


@pytest.mark.parametrize(("log2_size", "dense"), [(15, 3), (19, 5), (21, 7)])
def test_how_many_levels_are_dense(log2_size: int, dense: int) -> None:
    hashed = HashGrid(log2_size=log2_size).build(3).levels.hashed
    assert hashed == (False,) * dense + (True,) * (16 - dense)


def _published_indices(cells: np.ndarray, resolution: int, size: int) -> tuple[np.ndarray, bool]:
    """tiny-cuda-nn's rule, step by step in 32-bit arithmetic: [n, d] -> [n, 2^d], hashed."""
    dim = cells.shape[1]
    primes = np.array([1, 2654435761, 805459861, 3674653429], np.uint32)
    found = np.empty((len(cells), 2**dim), np.uint32)
    hashed = False
    for corner in range(2**dim):
        place = [(cells[:, axis] + ((corner >> axis) & 1)).astype(np.uint32) for axis in range(dim)]
        stride, index = 1, np.zeros(len(cells), np.uint32)
        for axis in range(dim):
            if stride > size:
                break
            index += place[axis] * np.uint32(stride)
            stride *= resolution
        if size < stride:
            hashed = True
            index = np.zeros(len(cells), np.uint32)
            for axis in range(dim):
                index ^= place[axis] * primes[axis]
        found[:, corner] = index % np.uint32(size)
    return found, hashed


@pytest.mark.parametrize(("dim", "n"), [(1, 20_000), (2, 20_000), (3, 100_000), (4, 5_000)])
def test_indices_are_the_published_ones(dim: int, n: int) -> None:
    levels = HashGrid().build(dim).levels
    rng = np.random.default_rng(0)
    x = rng.random((n, dim), np.float32)
    x[:2] = [[0.0] * dim, [1.0] * dim]
    for scale, resolution, size, hashed in zip(
        levels.scales, levels.resolutions, levels.sizes, levels.hashed, strict=True
    ):
        cells = np.floor(x * np.float32(scale) + np.float32(0.5)).astype(np.int64)
        wanted, must_hash = _published_indices(cells, resolution, size)
        found = corner_indices(torch.from_numpy(cells), resolution, size, hashed)
        assert hashed == must_hash
        assert np.array_equal(found.numpy(), wanted)
        assert size == min(math.ceil(resolution**dim / 8) * 8, 2**19)


def test_the_kernel_reads_the_published_entries() -> None:
    """Entry i holds 1 at one place at a time: the output is then the weight of that corner."""
    levels = HashGrid(levels=16).build(3).levels
    x = torch.rand(3, 3, generator=torch.Generator().manual_seed(0))
    table = torch.zeros(levels.entries, requires_grad=True)
    start = np.cumsum([0, *levels.sizes])
    for level, (scale, resolution, size) in enumerate(
        zip(levels.scales, levels.resolutions, levels.sizes, strict=True)
    ):
        cells = np.floor(x.numpy() * np.float32(scale) + np.float32(0.5)).astype(np.int64)
        indices, _ = _published_indices(cells, resolution, size)
        for row in range(3):
            y = hash_grid(x[row : row + 1], table, levels, 1)[0, level]
            (touched,) = torch.autograd.grad(y, table)
            place = touched.nonzero()[:, 0].numpy() - start[level]
            assert set(place) == set(indices[row].tolist())
            assert touched.sum().item() == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("smooth", [False, True])
@pytest.mark.parametrize("dim", [1, 2, 3, 4])
def test_one_dense_level_reproduces_a_linear_function(dim: int, smooth: bool) -> None:
    """Corner c of the lattice lies at x = (c - 0.5) / scale; smoothstep bends between corners."""
    levels = make(1, 9, 1.0, 15, dim)
    slope = torch.arange(1.0, dim + 1)
    grid = torch.stack(torch.meshgrid(*[(torch.arange(9.0) - 0.5) / 8] * dim, indexing="ij"), -1)
    # x is the fastest axis of a dense level.
    table = torch.zeros(levels.entries)
    values = (grid * slope).sum(-1) + 0.25
    table[: 9**dim] = values.permute(*reversed(range(dim))).reshape(-1)
    # Positions up to the last corner; beyond it the published rule wraps.
    x = torch.rand(500, dim, generator=torch.Generator().manual_seed(0)) * (7.4 / 8)
    found = hash_grid(x, table, levels, 1, smooth)[:, 0]
    wanted = (x * slope).sum(-1) + 0.25
    if smooth:
        position = x * 8 + 0.5
        part = position - position.floor()
        bent = (position.floor() + part * part * (3 - 2 * part) - 0.5) / 8
        wanted = (bent * slope).sum(-1) + 0.25
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5)


def test_the_gradient_is_constant_in_a_cell_for_linear_and_continuous_for_smoothstep() -> None:
    levels = make(1, 8, 1.0, 19)
    table = torch.randn(levels.entries, generator=torch.Generator().manual_seed(0))

    def slope(at: float, smooth: bool) -> float:
        # In the middle of a cell along y and z, where smoothstep and linear weights agree.
        x = torch.tensor([[at, 2 / 7, 4 / 7]], requires_grad=True)
        (g,) = torch.autograd.grad(hash_grid(x, table, levels, 1, smooth).sum(), x)
        return float(g[0, 0])

    # Cell 3 along x: positions 3 to 4, x from 2.5/7 to 3.5/7.
    inside = [slope(x / 7, False) for x in (2.51, 2.8, 3.1, 3.49)]
    assert inside == pytest.approx([inside[0]] * 4, rel=1e-4)
    assert abs(slope(3.51 / 7, False) - inside[0]) > 0.1
    border = [slope(x / 7, True) for x in (3.4999, 3.5001)]
    assert border == pytest.approx([0, 0], abs=0.05)
    assert abs(slope(3.0 / 7, True) - 1.5 * inside[1]) < 1e-3


def test_outside_is_clamped_without_gradient_and_nan_stays() -> None:
    grid = HashGrid(levels=4, finest_resolution=64).build(2)
    with torch.no_grad():
        grid.table.uniform_(-1, 1)
    x = torch.tensor([[-3.0, 0.4], [0.4, 1.7], [1.0, 0.0], [math.nan, 0.5]], requires_grad=True)
    y = grid(x)
    assert torch.equal(y[:2], grid(torch.tensor([[0.0, 0.4], [0.4, 1.0]])))
    assert y[3].isnan().all()
    (g,) = torch.autograd.grad(y[:3].sum(), x)
    assert g[0, 0] == 0 and g[0, 1] != 0
    assert g[1, 0] != 0 and g[1, 1] == 0


def test_initial_values() -> None:
    torch.manual_seed(0)
    table = HashGrid().build(3).table.detach()
    assert table.abs().max() <= 1e-4
    assert table.std().item() == pytest.approx(1e-4 / math.sqrt(3), rel=1e-2)
    assert abs(table.mean().item()) < 1e-7


@pytest.mark.parametrize(
    ("config", "dim", "word"),
    [
        (HashGrid(), 0, "1 to 4"),
        (HashGrid(), 5, "1 to 4"),
        (HashGrid(features=3), 3, "features of 1, 2, 4 or 8"),
        (HashGrid(levels=0), 3, "levels"),
        (HashGrid(log2_size=40), 3, "log2_size"),
        (HashGrid(base_resolution=64, finest_resolution=16), 3, "finest_resolution"),
        (HashGrid(base_resolution=0), 3, "base_resolution"),
    ],
)
def test_impossible_grids_are_named(config: HashGrid, dim: int, word: str) -> None:
    with pytest.raises(InputError, match=word) as caught:
        config.build(dim)
    assert "\n" not in str(caught.value)


def test_one_level_has_no_growth() -> None:
    grid = HashGrid(levels=1, base_resolution=16, finest_resolution=2048).build(3)
    assert grid.levels.resolutions == (16,)
