"""The kernels of planes, lines and voxels against their reference, as in test_parity.py."""

import math
from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor

from polyfield.backends import dispatch
from polyfield.encodings.kernels import factored_numba
from polyfield.encodings.kernels.factored import (
    Factors,
    _factored,
    _factored_backward,
    factored,
    reference,
)

ROUNDOFF = 2.0**-24
PLANES = ((0, 1), (0, 2), (1, 2))
LINES = ((2,), (1,), (0,))
CASES = {
    "planes": Factors(tuple((p,) for p in PLANES), 9, 16, False, False),
    "planes side by side": Factors(tuple((p,) for p in PLANES), 9, 27, False, True),
    "product of planes": Factors((PLANES,), 9, 16, False, False),
    "planes across lines": Factors(tuple(zip(PLANES, LINES, strict=True)), 8, 48, True, True),
    "planes plus lines": Factors(tuple(zip(PLANES, LINES, strict=True)), 8, 16, True, False),
    "product of lines": Factors((((0,), (1,), (2,)),), 11, 20, True, False),
    "voxels": Factors((((0, 1, 2),),), 6, 28, True, False),
    "one channel": Factors((((0, 1, 2),),), 6, 1, True, False),
    "a transposed plane": Factors((((2, 0),),), 9, 17, False, False),
}


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def points(n: int, factors: Factors) -> Tensor:
    """n points, none nearer than 1e-3 cells to a border, where the gradient in x jumps."""
    x = torch.rand(4 * n + 64, 3, generator=seeded())
    r = factors.resolution
    position = x.double() * (r - 1) if factors.align else x.double() * r - 0.5
    far = ((position - position.round()).abs() > 1e-3).all(1)
    return x[far][:n].contiguous()


def table_of(factors: Factors) -> Tensor:
    return torch.rand(sum(factors.sizes), generator=seeded(1)) * 2 - 1


def outcome(backend: str, x: Tensor, table: Tensor, factors: Factors) -> list[Tensor]:
    """Values, and gradients in points and table for one cotangent."""
    leaves = [t.clone().requires_grad_() for t in (x, table)]
    with dispatch.force(backend):
        y = factored(*leaves, factors)
    cotangent = torch.randn(y.shape, generator=seeded(2))
    return [y.detach(), *torch.autograd.grad(y, leaves, cotangent)]


@pytest.fixture
def threads() -> Iterator[Callable[[int], None]]:
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.mark.parametrize("n", [0, 1, 17, 2500])
@pytest.mark.parametrize("name", CASES)
def test_lookup(name: str, n: int) -> None:
    factors = CASES[name]
    x, table = points(n, factors), table_of(factors)
    fast, slow = (outcome(b, x, table, factors) for b in ("numba", "reference"))
    # A position is off by a few roundoffs of the resolution, a weight by as much; entries are
    # below 1, cotangents below 5. Up to 48 channels and 9 factors meet in a gradient in x, which is
    # larger by the resolution; an entry's gradient sums up to n points.
    near = 32 * factors.resolution * ROUNDOFF
    torch.testing.assert_close(fast[0], slow[0], rtol=0, atol=near)
    torch.testing.assert_close(fast[1], slow[1], rtol=1e-5, atol=40 * factors.resolution * near)
    torch.testing.assert_close(fast[2], slow[2], rtol=1e-5, atol=near * (4 + math.sqrt(n)))


@pytest.mark.parametrize("name", CASES)
def test_lookup_on_faces_and_outside(name: str) -> None:
    """Corners, edges, faces, points beyond the border and huge ones: values and table gradient."""
    factors = CASES[name]
    x = torch.cartesian_prod(*[torch.tensor([-1e30, -0.5, 0.0, 0.3, 1.0, 1.5])] * 3)
    fast, slow = (outcome(b, x, table_of(factors), factors) for b in ("numba", "reference"))
    torch.testing.assert_close(fast[0], slow[0], rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(fast[2], slow[2], rtol=1e-5, atol=1e-4)
    assert ((fast[1] == 0) | ((x >= 0) & (x <= 1))).all()


@pytest.mark.parametrize("name", ["planes", "product of lines", "voxels"])
def test_lookup_keeps_nan(name: str) -> None:
    factors = CASES[name]
    x = points(40, factors)
    x[7, 1] = math.nan
    for backend in ("numba", "reference"):
        with dispatch.force(backend):
            y = factored(x, table_of(factors), factors)
        assert y[7].isnan().all() and not y[:7].isnan().any() and not y[8:].isnan().any()


@pytest.mark.parametrize("needed", [0, 1])
def test_lookup_with_one_gradient_only(needed: int) -> None:
    factors = CASES["planes plus lines"]
    inputs = [points(100, factors), table_of(factors)]
    inputs[needed].requires_grad_()
    found = []
    for backend in ("numba", "reference"):
        with dispatch.force(backend):
            y = factored(*inputs, factors)
        found += torch.autograd.grad(y.square().sum(), inputs[needed])
    torch.testing.assert_close(*found, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("name", ["planes", "planes across lines", "product of lines", "voxels"])
def test_lookup_is_the_same_bits_on_any_number_of_threads(
    name: str, threads: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A factor is cut into as many ranges of rows as there are threads, and more than it has."""
    factors = CASES[name]
    x, table = torch.rand(3000, 3, generator=seeded()), table_of(factors)
    threads(1)
    whole = outcome("numba", x, table, factors)
    for count in (2, 3):
        threads(count)
        for one, two in zip(outcome("numba", x, table, factors), whole, strict=True):
            assert torch.equal(one, two)
    monkeypatch.setattr(dispatch, "threads", lambda: 64)
    grad = torch.randn(3000, factors.width, generator=seeded(2))
    assert torch.equal(factored_numba.backward_table(grad, x, table, factors.plain), whole[2])
    assert whole[2].abs().sum() > 0


@pytest.mark.parametrize("name", ["planes", "product of lines", "planes across lines", "voxels"])
def test_gradients_of_the_reference(name: str) -> None:
    """Against finite differences in float64, and once more."""
    wide = CASES[name]
    factors = Factors(wide.modes, 3, 2, wide.align, wide.concat)
    x = points(3, factors).double().requires_grad_()
    table = table_of(factors).double().requires_grad_()
    run = torch.autograd.gradcheck, torch.autograd.gradgradcheck
    for check in run:
        assert check(lambda x, t: reference(x, t, factors), (x, table), fast_mode=True)


def test_custom_ops_keep_torchs_rules() -> None:
    factors = CASES["planes plus lines"]
    x, table = points(5, factors).requires_grad_(), table_of(factors).requires_grad_()
    geometry = factors.plain
    torch.library.opcheck(_factored, (x, table, *geometry))
    plain = (torch.rand(5, factors.width), x.detach(), table.detach())
    for need in ((True, True), (True, False), (False, True)):
        torch.library.opcheck(_factored_backward, (*plain, *geometry, *need))
