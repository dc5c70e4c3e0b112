"""tiny-cuda-nn's hash grid: its published layout read by hand, and the wrapper on a stand-in."""

import types
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from polyfield.backends import optional
from polyfield.encodings.hash_grid import HashGrid
from polyfield.encodings.kernels.hash_grid import Levels, reference
from polyfield.encodings.tcnn import TcnnHashGrid, from_tcnn, to_tcnn
from polyfield.errors import InputError

PRIMES = (1, 2654435761, 805459861)


def _by_hand(params: np.ndarray, x: np.ndarray, cells: tuple[int, ...], cap: int) -> np.ndarray:
    """Features [n, 2 L] of x [n, d] in levels of these resolutions, entry by entry."""
    features, dim = 2, x.shape[1]
    out = np.zeros((len(x), features * len(cells)))
    begin = 0
    for level, resolution in enumerate(cells):
        dense = resolution**dim <= cap
        size = -(-(resolution**dim) // 8) * 8 if dense else cap
        for row, point in enumerate(x):
            # Here scales are whole numbers, one less than the resolution.
            place = point.astype(np.float64) * (resolution - 1) + 0.5
            low = np.floor(place).astype(int)
            for corner in np.ndindex(*[2] * dim):
                weight, index = 1.0, 0
                for axis in range(dim):
                    part = place[axis] - low[axis]
                    weight *= part if corner[axis] else 1 - part
                    at = int(low[axis] + corner[axis])
                    if dense:
                        index += at * resolution**axis
                    else:
                        index ^= at * PRIMES[axis] % 2**32
                entry = begin + index % size
                for f in range(features):
                    value = float(params[entry * features + f])
                    out[row, level * features + f] += weight * value
        begin += size
    assert begin * features == len(params)
    return out


@pytest.mark.parametrize(
    ("dim", "entries"),
    [
        # 3^2 = 9 and 6^2 = 36 vertices, in eights; 12^2 = 144 do not fit into 64.
        (2, 16 + 40 + 64),
        # 3^3 = 27; 6^3 and 12^3 do not fit.
        (3, 32 + 64 + 64),
    ],
)
@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_an_imported_grid_gives_what_the_published_layout_says(
    dim: int, entries: int, dtype: type
) -> None:
    rng = np.random.default_rng(0)
    params = rng.normal(size=entries * 2).astype(dtype)
    x = rng.random((40, dim), np.float32)
    grid = HashGrid(3, 2, log2_size=6, base_resolution=3, finest_resolution=12).build(dim)
    assert grid.levels.resolutions == (3, 6, 12)
    assert grid.levels.hashed == ((False, False, True) if dim == 2 else (False, True, True))
    with torch.no_grad():
        grid.table.copy_(from_tcnn(torch.from_numpy(params), grid.levels, 2))
    wanted = _by_hand(params, x, (3, 6, 12), 64)
    torch.testing.assert_close(
        grid(torch.from_numpy(x)), torch.from_numpy(wanted).float(), rtol=1e-4, atol=1e-5
    )


LEVELS = Levels.make(2, 2, 2, 2.0, 4)


@given(st.lists(st.floats(width=16, allow_nan=False), min_size=24 * 2, max_size=24 * 2))
def test_there_and_back_changes_nothing(values: list[float]) -> None:
    """4 -> 8 and 16 entries. Halves are exact in both."""
    table = torch.tensor(values)
    for dtype in (torch.float16, torch.float32):
        params = to_tcnn(table, LEVELS, 2, dtype)
        assert params.dtype == dtype and torch.equal(from_tcnn(params, LEVELS, 2), table)
        assert torch.equal(to_tcnn(from_tcnn(params, LEVELS, 2), LEVELS, 2, dtype), params)
    assert params.data_ptr() != table.data_ptr()


@pytest.mark.parametrize("shape", [(47,), (49,), (0,)])
def test_another_size_is_told(shape: tuple[int, ...]) -> None:
    for convert in (from_tcnn, to_tcnn):
        with pytest.raises(InputError, match="48 values") as caught:
            convert(torch.zeros(shape), LEVELS, 2)
        assert "\n" not in str(caught.value) and str(list(shape)) in str(caught.value)


class _Native(nn.Module):
    """Stands in for tinycudann.Encoding: the published rules in fp16, rows alone."""

    def __init__(
        self, n_input_dims: int, encoding_config: dict[str, Any], seed: int = 1337
    ) -> None:
        super().__init__()
        c = encoding_config
        assert c["otype"] == "HashGrid" and c["interpolation"] in ("Linear", "Smoothstep")
        self.levels = Levels.make(
            n_input_dims,
            c["n_levels"],
            c["base_resolution"],
            c["per_level_scale"],
            c["log2_hashmap_size"],
        )
        self.features = c["n_features_per_level"]
        self.smooth = c["interpolation"] == "Smoothstep"
        generator = torch.Generator().manual_seed(seed)
        size = self.levels.entries * self.features
        self.params = nn.Parameter(torch.rand(size, generator=generator) * 2 - 1)

    def forward(self, x: Tensor) -> Tensor:
        assert x.ndim == 2 and len(x) and x.dtype == torch.float32
        assert ((x >= 0) & (x <= 1)).all()
        return reference(x, self.params, self.levels, self.features, self.smooth).half()


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    found = types.SimpleNamespace(Encoding=_Native)
    monkeypatch.setattr(optional, "load", lambda package: found)
    monkeypatch.setattr(optional, "on_cuda", lambda package, tensor: None)


@pytest.mark.parametrize("interpolation", ["linear", "smoothstep"])
def test_the_wrapper_is_our_grid_in_float32(stand_in: None, interpolation: Any) -> None:
    choices = (4, 2, 9, 4, 50, interpolation)
    torch.manual_seed(0)
    theirs, ours = TcnnHashGrid(*choices).build(3), HashGrid(*choices).build(3)
    assert (theirs.in_dim, theirs.out_dim) == (3, 8) and theirs.levels == ours.levels
    (table,) = theirs.tables()
    assert table is theirs.native.params
    with torch.no_grad():
        ours.table.copy_(from_tcnn(table, ours.levels, 2))
    x = torch.rand(5, 4, 3) * 1.5 - 0.25
    y = theirs(x)
    assert y.dtype == torch.float32 and y.shape == (5, 4, 8)
    torch.testing.assert_close(y, ours(x), rtol=1e-3, atol=1e-3)
    assert theirs(x[:0]).shape == (0, 4, 8) and theirs(x[0, 0]).shape == (8,)
    stages = theirs.intermediate_features(x.view(-1, 3))
    wanted = ours.intermediate_features(x.view(-1, 3))
    assert [s.shape[1] for s in stages] == [s.shape[1] for s in wanted]
    y.sum().backward()
    assert table.grad is not None and table.grad.any()


def test_torch_s_seed_says_all(stand_in: None) -> None:
    found = []
    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        found.append(TcnnHashGrid(levels=2, log2_size=6).build(2).native.params.detach())
    assert torch.equal(found[0], found[1]) and not torch.equal(found[0], found[2])


@pytest.mark.parametrize(
    ("levels", "base", "finest"), [(16, 16, 2048), (4, 16, 2048), (4, 16, 32), (8, 16, 2048)]
)
def test_its_own_arithmetic_finds_our_resolutions(levels: int, base: int, finest: int) -> None:
    """float32 throughout, the logarithm too: with float64 some finest grids had a vertex less."""
    ours = HashGrid(levels=levels, base_resolution=base, finest_resolution=finest).geometry(2)
    log = np.log2(np.float32((finest / base) ** (1 / (levels - 1))))
    for level, resolution in enumerate(ours.resolutions):
        scale = np.exp2(np.float32(level) * log) * np.float32(base) - np.float32(1)
        assert int(np.ceil(scale)) + 1 == resolution


@pytest.mark.parametrize("wrong", [{"features": 3}, {"levels": 0}, {"log2_size": 40}])
def test_impossible_grids_are_told_with_or_without_the_package(wrong: dict[str, int]) -> None:
    with pytest.raises(InputError, match=next(iter(wrong))):
        TcnnHashGrid(**wrong).build(3)  # type: ignore[arg-type]
