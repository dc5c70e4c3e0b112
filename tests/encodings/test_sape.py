"""SAPE's controller against closed forms and a dense mask, channel by channel and cell by cell."""

import itertools
import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from polyfield.encodings.factored import TriPlane
from polyfield.encodings.frequency import Frequency
from polyfield.encodings.hash_grid import HashGrid
from polyfield.encodings.identity import Identity
from polyfield.encodings.random_fourier import RandomFourier
from polyfield.encodings.sape import Sape, SapeEncoding
from polyfield.errors import InputError

INNER = RandomFourier(count=8, sigma=2.0, law="sorted")


def _built(dim: int = 2, seed: int = 0, **given: float) -> SapeEncoding:
    torch.manual_seed(seed)
    config = {"blocks": 4, "resolution": 6, **given}
    return Sape(INNER, **config).build(dim)


def _blocks(encoding: SapeEncoding, x: Tensor) -> Tensor:
    """The mask at points, one column a block, from what the features are multiplied by."""
    features = encoding(x)[:, encoding.in_dim :] / encoding.inner(x)
    return features.view(len(x), encoding.blocks, -1).median(-1).values


class _Dense:
    """The published rules with a mask for each cell and channel, in plain loops."""

    def __init__(self, dim: int, resolution: int, channels: int, blocks: int, eps: float) -> None:
        self.dim, self.r, self.eps = dim, resolution, eps
        self.cells = list(itertools.product(range(resolution), repeat=dim))
        self.k = 5 if len(self.cells) > 100 else 3
        self.mask = {cell: torch.zeros(channels) for cell in self.cells}
        self.alive = dict.fromkeys(self.cells, True)
        size = channels // blocks
        self.edges = [size * b for b in range(blocks)] + [channels]
        self.next = 0
        self._forget()

    def _forget(self) -> None:
        self.loss, self.weight = dict.fromkeys(self.cells, 0.0), dict.fromkeys(self.cells, 0.0)

    def _around(self, cell: tuple[int, ...]) -> list[tuple[int, ...]]:
        half = self.k // 2
        offsets = itertools.product(range(-half, half + 1), repeat=self.dim)
        return [
            tuple(min(max(c + o, 0), self.r - 1) for c, o in zip(cell, offset, strict=True))
            for offset in offsets
        ]

    def corners(self, x: Tensor) -> list[tuple[tuple[int, ...], float]]:
        place = [((2 * v - 1 + 1) / 2) * max(self.r - 2, 1) + 0.5 for v in x.double().tolist()]
        found = []
        for corner in itertools.product((0, 1), repeat=self.dim):
            cell = tuple(math.floor(u) + c for u, c in zip(place, corner, strict=True))
            shares = [
                u - math.floor(u) if c else 1 - (u - math.floor(u))
                for u, c in zip(place, corner, strict=True)
            ]
            found.append((cell, math.prod(shares)))
        return found

    def at(self, x: Tensor) -> Tensor:
        total = torch.zeros_like(self.mask[self.cells[0]])
        for cell, share in self.corners(x):
            blurred = sum((self.mask[c] for c in self._around(cell)), torch.zeros(1))
            total = total + share * blurred / self.k**self.dim
        return total

    def update_error(self, x: Tensor, error: Tensor) -> None:
        for point, value in zip(x, error.tolist(), strict=True):
            for cell, share in self.corners(point):
                self.loss[cell] += share * value
                self.weight[cell] += share

    def reveal(self) -> None:
        mean = {c: self.loss[c] / (self.weight[c] or 1) for c in self.cells}
        n = self.k**self.dim
        filled = {
            c: mean[c] if self.weight[c] else sum(mean[a] for a in self._around(c)) / (n - 1)
            for c in self.cells
        }
        for cell in self.cells:
            blurred = sum(filled[a] for a in self._around(cell)) / n
            self.alive[cell] &= blurred > self.eps
            if self.alive[cell]:
                self.mask[cell][self.edges[self.next] : self.edges[self.next + 1]] = 1
        self.next += 1
        self._forget()


@pytest.mark.parametrize(("dim", "resolution"), [(1, 9), (2, 5), (2, 11), (3, 4)])
def test_counts_are_the_dense_mask(dim: int, resolution: int) -> None:
    """Random errors, some cells never visited: the same mask as that of the published rules."""
    torch.manual_seed(dim)
    encoding = Sape(INNER, blocks=3, resolution=resolution, eps=0.4).build(dim)
    dense = _Dense(dim, resolution, 16, 3, 0.4)
    probe = torch.rand(20, dim)
    probe[0], probe[1] = 0, 1
    for reveal in range(3):
        for _ in range(2):
            x, error = torch.rand(10, dim), torch.rand(10)
            encoding.update_error(x, error)
            dense.update_error(x, error)
        encoding.set_progress((reveal + 1) / 6)
        dense.reveal()
        found = encoding._mask_at(probe).index_select(1, encoding.block)
        torch.testing.assert_close(found, torch.stack([dense.at(p) for p in probe]))
    shown = torch.stack([dense.mask[c] for c in dense.cells]).sum(1)
    assert 0 < float(shown.mean()) < 16  # some cells stopped, some did not
    # 16 channels in three blocks: 5, 5 and the rest.
    assert encoding.block.bincount().tolist() == [5, 5, 6]


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_without_errors_above_eps_only_coordinates_pass(dim: int) -> None:
    encoding = _built(dim, eps=math.inf)
    x = torch.rand(50, dim)
    for t in (0.0, 0.2, 0.6, 1.0):
        encoding.update_error(x, torch.rand(50))
        encoding.set_progress(t)
        assert torch.equal(encoding(x)[:, :dim], x * 2 - 1)
        assert (encoding(x)[:, dim:] == 0).all()


@pytest.mark.parametrize("dim", [1, 2, 3])
def test_eps_0_is_one_mask_for_all_of_space(dim: int) -> None:
    """Hard steps: block b is on from progress b / 8 on, and all of it from 1/2 on."""
    encoding = _built(dim, eps=0.0)
    x = torch.rand(50, dim)
    for t in torch.linspace(0, 1, 33).tolist():
        encoding.update_error(x, torch.rand(50) + 0.1)
        encoding.set_progress(t)
        on = torch.arange(16) // 4 < min(math.floor(t * 8), 4)
        torch.testing.assert_close(encoding(x)[:, dim:], encoding.inner(x) * on)
    torch.testing.assert_close(encoding.shown(), torch.ones(6**dim))


def test_a_jump_reveals_all_that_is_due_and_no_feedback_stops_nothing() -> None:
    encoding, x = _built(), torch.rand(9, 2)
    encoding.set_progress(0.3)
    torch.testing.assert_close(_blocks(encoding, x), torch.tensor([[1.0, 1, 0, 0]]).expand(9, 4))
    encoding.set_progress(0.9)
    torch.testing.assert_close(_blocks(encoding, x), torch.ones(9, 4))


def test_a_ramp_rises_in_half_a_window() -> None:
    encoding, x = _built(ramp=True), torch.rand(9, 2)
    for t, newest in ((0.125, 0.0), (0.125 + 1 / 32, 0.5), (0.125 + 1 / 16, 1.0), (0.24, 1.0)):
        encoding.set_progress(t)
        torch.testing.assert_close(
            _blocks(encoding, x), torch.tensor([[newest, 0, 0, 0]]).expand(9, 4)
        )
    encoding.set_progress(1.0)
    torch.testing.assert_close(_blocks(encoding, x), torch.ones(9, 4))


@settings(max_examples=25)
@given(
    st.lists(st.tuples(st.floats(0, 1), st.integers(0, 999)), min_size=1, max_size=12),
    st.sampled_from([1, 2, 3]),
)
def test_a_mask_only_grows_in_prefixes_and_a_stopped_cell_stays(
    events: list[tuple[float, int]], dim: int
) -> None:
    encoding = _built(dim, eps=0.5)
    x = torch.rand(30, dim)
    before, stopped = encoding.mask.clone(), encoding.count < 0
    for t, seed in events:
        noise = torch.Generator().manual_seed(seed)
        at = torch.rand(40, dim, generator=noise)
        encoding.update_error(at, (at[:, 0] > 0.5) * torch.rand(40, generator=noise) * 2)
        count = encoding.count.clone()
        encoding.set_progress(t)
        assert (encoding.mask >= before).all() and (encoding.count >= count).all()
        assert (encoding.count[stopped] == count[stopped]).all()
        stopped = encoding.count < encoding.revealed
        before = encoding.mask.clone()
        shares = _blocks(encoding, x)
        assert (shares.diff(dim=1) <= 1e-5).all()
        assert ((shares >= 0) & (shares <= 1 + 1e-5)).all()


def test_frequencies_come_where_the_error_is() -> None:
    encoding = Sape(INNER, blocks=4, resolution=32).build(2)
    x = torch.rand(20_000, 2, generator=torch.Generator().manual_seed(0))
    for t in torch.linspace(0, 0.5, 21).tolist():
        encoding.set_progress(t)
        encoding.update_error(x, (x[:, 0] > 0.5).float() * 0.1)
    shown = encoding.shown().view(32, 32)
    # Two blurs of two cells each lie between all and nothing.
    assert (shown[20:] > 0.99).all() and (shown[:11] < 0.01).all()


def test_a_state_goes_on_where_it_stopped() -> None:
    """Resumed in the middle of a window: the same bits as without a stop."""

    def go(encoding: SapeEncoding, steps: range) -> None:
        for step in steps:
            encoding.set_progress(step / 40)
            noise = torch.Generator().manual_seed(step)
            x = torch.rand(50, 2, generator=noise)
            encoding.update_error(x, torch.rand(50, generator=noise) * x[:, 1])

    straight, first, second = (_built(eps=0.25, ramp=True, seed=s) for s in (0, 0, 7))
    go(straight, range(18))
    go(first, range(8))
    second.load_state_dict({k: v.clone() for k, v in first.state_dict().items()})
    x = torch.rand(100, 2)
    assert torch.equal(first(x), second(x))
    go(second, range(8, 18))
    assert 0 < int((second.count < second.revealed).sum()) < 36
    assert torch.equal(straight(x), second(x))
    for name, tensor in straight.state_dict().items():
        assert torch.equal(tensor, second.state_dict()[name]), name


def test_the_mask_carries_no_gradient_and_the_inner_encoding_does() -> None:
    grid = HashGrid(levels=4, log2_size=8, base_resolution=4, finest_resolution=16)
    encoding = Sape(grid, blocks=4, resolution=6).build(2)
    encoding.set_progress(0.3)
    assert encoding.tables() == list(encoding.parameters())
    encoding(torch.rand(9, 2)).sum().backward()
    table = encoding.tables()[0]
    used = table.grad.split([2 * s for s in encoding.inner.levels.sizes])
    assert [bool(g.any()) for g in used] == [True, True, False, False]


def test_it_holds_a_small_state() -> None:
    """A count a cell, not a mask a channel: 128^2 x 514 floats would be 34 MB."""
    encoding = Sape().build(2)
    held = sum(t.nbytes for t in encoding.state_dict().values())
    assert held < 128**2 * 12 and encoding.mask.shape == (128**2, 32)
    assert Sape().build(3).count.shape == (64**3,)
    assert encoding.out_dim == 514 and encoding.takes_errors


def test_more_blocks_than_channels_is_a_channel_a_block() -> None:
    assert Sape(Identity(), resolution=8).build(2).blocks == 2
    assert Sape(Frequency(octaves=2), resolution=8).build(3).blocks == 15


@pytest.mark.parametrize(
    ("config", "dim", "word"),
    [
        (Sape(), 4, "1, 2 or 3"),
        (Sape(blocks=0), 2, "blocks"),
        (Sape(resolution=2), 2, "resolution"),
        (Sape(eps=-1.0), 2, "eps"),
        (Sape(eps=math.nan), 2, "eps"),
    ],
)
def test_what_cannot_be_built_is_named(config: Sape, dim: int, word: str) -> None:
    with pytest.raises(InputError, match=word):
        config.build(dim)


@pytest.mark.parametrize("inner", [RandomFourier(), TriPlane(features=2, resolution=4)])
def test_frequencies_must_be_in_order(inner: Any) -> None:
    with pytest.raises(InputError, match="low to high"):
        Sape(inner).build(3)
