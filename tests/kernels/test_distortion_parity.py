"""`distortion` against its reference and its definition: value and gradient.

As in test_parity: same inputs, same cotangent; tolerances in unit roundoffs of float32.
"""

import math
from collections.abc import Callable, Iterator

import pytest
import torch
from torch import Tensor

from polyfield.backends import dispatch
from polyfield.renderers.kernels.distortion import (
    _distortion,
    _distortion_backward,
    distortion,
    reference,
)

ROUNDOFF = 2.0**-24
LENGTH = 2.0
SIZES = [(0, 0), (1, 0), (5, 0), (1, 1), (64, 64), (7, 100), (300, 5001)]
Packed = tuple[Tensor, Tensor, Tensor, Tensor]


@pytest.fixture
def threads() -> Iterator[Callable[[int], None]]:
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def packed(counts: list[int], seed: int = 0, thick: bool = False) -> Packed:
    """Density, start, end and offsets of rays of so many samples, with gaps between these.

    Densities are from none to opaque; where `thick`, some are beyond the kernels' greatest.
    """
    n = sum(counts)
    offsets = torch.tensor([0, *counts]).cumsum(0)
    length, gap = torch.rand(2, n, generator=seeded(seed), dtype=torch.float64) * 0.2
    length += 1e-3
    end = torch.cat([part.cumsum(0) for part in (length + gap).split(counts)] or [length])
    density = torch.rand(n, generator=seeded(seed + 1)) ** 4 * 30
    density[3::7] = 0
    if thick:
        density[5::11] = 1e6
    return density, (end - length).float(), end.float(), offsets


def drawn(rays: int, n: int, seed: int = 0) -> list[int]:
    """Sample counts of so many rays: very different ones, some 0."""
    if rays == n:
        return [1] * n
    cuts = torch.randint(0, n + 1, (max(0, rays - 1),), generator=seeded(seed)).sort().values
    bounds = [0, *cuts.tolist(), n] if rays else [0]
    return [b - a for a, b in zip(bounds, bounds[1:], strict=False)]


def outcome(backend: str, of: Packed) -> list[Tensor]:
    """The loss, the sum over rays, and its gradient: one ray's then has a size of its own."""
    density, start, end, offsets = of
    leaf = density.detach().clone().requires_grad_()
    with dispatch.force(backend):
        loss = distortion(leaf, start, end, offsets, LENGTH) * (len(offsets) - 1)
    return [loss, *torch.autograd.grad(loss, leaf, torch.tensor(-1.5, dtype=loss.dtype))]


def by_pairs(density: Tensor, start: Tensor, end: Tensor, offsets: Tensor) -> Tensor:
    """The definition in float64: every pair of samples of a ray, the mean over rays."""
    total = density.new_zeros((), dtype=torch.float64)
    for one, beyond in zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True):
        a, b = start[one:beyond].double(), end[one:beyond].double()
        clear = torch.exp(-(density[one:beyond].double() * (b - a)).clamp(max=200))
        before = torch.cat([clear.new_ones(1), clear[:-1]]).cumprod(0) if len(a) else clear
        weight, near, far = before * (1 - clear), a / (a + LENGTH), b / (b + LENGTH)
        middle = (near + far) / 2
        gaps = (middle[:, None] - middle).abs() + torch.diag((far - near) / 3)
        total = total + weight @ gaps @ weight
    return total / (len(offsets) - 1)


@pytest.mark.parametrize("thick", [False, True])
@pytest.mark.parametrize(("rays", "n"), SIZES)
def test_distortion(rays: int, n: int, thick: bool) -> None:
    of = packed(drawn(rays, n), thick=thick)
    fast, slow = outcome("numba", of), outcome("reference", of)
    # The reference's sums of a ray are of numbers below 1, with a few roundings each; they are
    # weighted by weights whose sum is 1 at most.
    torch.testing.assert_close(fast[0], slow[0], rtol=1e-5, atol=20 * ROUNDOFF)
    # Those times lengths of 0.2 and a cotangent of 1.5.
    torch.testing.assert_close(fast[1], slow[1], rtol=1e-5, atol=20 * ROUNDOFF)
    assert bool(fast[1].any()) == (n > 0)


@pytest.mark.parametrize("thick", [False, True])
@pytest.mark.parametrize("backend", ["numba", "reference"])
def test_distortion_is_the_sum_over_pairs(backend: str, thick: bool) -> None:
    of = packed([0, 1, 40, 0, 0, 7, 1, 90, 2, 0], seed=3, thick=thick)
    found = outcome(backend, of)
    leaf = of[0].double().requires_grad_()
    wanted = by_pairs(leaf, *of[1:]) * 10
    (slope,) = torch.autograd.grad(wanted, leaf, torch.tensor(-1.5, dtype=torch.float64))
    torch.testing.assert_close(found[0].double(), wanted, rtol=1e-5, atol=20 * ROUNDOFF)
    torch.testing.assert_close(found[1].double(), slope, rtol=1e-5, atol=20 * ROUNDOFF)


def test_thin_samples_keep_their_digits() -> None:
    """Weights of 1e-6 as differences of numbers near 1."""
    density, *rest = packed([50, 30], seed=5)
    of = (density * 1e-6, *rest)
    leaf = of[0].double().requires_grad_()
    wanted = by_pairs(leaf, *of[1:]) * 2
    (slope,) = torch.autograd.grad(wanted, leaf, torch.tensor(-1.5, dtype=torch.float64))
    # Lengths in float32 are differences of numbers of size 10: all others are in float64.
    found = outcome("numba", of)
    torch.testing.assert_close(found[0].double(), wanted, rtol=1e-5, atol=0)
    torch.testing.assert_close(found[1].double(), slope, rtol=1e-4, atol=0)


def test_what_is_beyond_opaque_has_no_slope() -> None:
    density, start, end, offsets = packed([4, 4], seed=1)
    density[1], density[6] = math.inf, 201 / float(end[6] - start[6])
    for backend in ("numba", "reference"):
        loss, slope = outcome(backend, (density, start, end, offsets))
        assert bool(loss.isfinite()) and bool(slope.isfinite().all()), backend
        assert not slope[[1, 6]].any() and slope[[0, 4, 5]].all(), backend
        # The reference's sums over all rays leave a rounding of float64's.
        assert float(slope[[2, 3, 7]].abs().max()) < 1e-8, backend


def test_nan_is_passed_on_and_stays_in_its_ray() -> None:
    density, start, end, offsets = packed([3, 5, 2])
    density[4] = math.nan
    loss, slope = outcome("numba", (density, start, end, offsets))
    assert bool(loss.isnan()) and bool(slope[3:8].isnan().any())
    assert not slope[:3].isnan().any() and not slope[8:].isnan().any()


@pytest.mark.parametrize("backend", ["numba", "reference"])
@pytest.mark.parametrize("rays", [0, 3])
def test_no_samples_cost_nothing(backend: str, rays: int) -> None:
    leaf, offsets = torch.zeros(0, requires_grad=True), torch.zeros(rays + 1, dtype=torch.int64)
    with dispatch.force(backend):
        loss = distortion(leaf, torch.zeros(0), torch.zeros(0), offsets, LENGTH)
    assert loss.shape == () and float(loss.detach()) == 0
    loss.backward()
    assert leaf.grad is not None and leaf.grad.shape == (0,)


@pytest.mark.parametrize("needs", [1, 2])
def test_where_an_end_needs_a_gradient_it_has_one(needs: int) -> None:
    of = packed([5, 3])
    of[needs].requires_grad_()
    with dispatch.force("numba"):
        loss = distortion(*of, LENGTH)
    (slope,) = torch.autograd.grad(loss, of[needs])
    assert slope[of[0] > 0].all()


def test_the_same_bits_on_any_number_of_threads(threads: Callable[[int], None]) -> None:
    found = []
    for count in (1, 1, 2, 3):
        threads(count)
        found.append(outcome("numba", packed(drawn(300, 5001), thick=True)))
    for other in found[1:]:
        assert all(torch.equal(one, two) for one, two in zip(found[0], other, strict=True))


def test_gradients_of_the_reference() -> None:
    *given, offsets = packed([2, 0, 1, 3])
    leaves = [tensor.double().requires_grad_() for tensor in given]

    def op(*inputs: Tensor) -> Tensor:
        return reference(*inputs, offsets, LENGTH)

    assert torch.autograd.gradcheck(op, leaves)
    assert torch.autograd.gradgradcheck(op, leaves)


def test_the_ops_keep_torchs_rules() -> None:
    """Schema, fake tensors, autograd registration and tracing, by torch's own checker."""
    density, *rest = packed([4, 0, 3])
    torch.library.opcheck(_distortion, (density.requires_grad_(), *rest, LENGTH))
    grad = torch.tensor(1.5)
    torch.library.opcheck(_distortion_backward, (grad, density.detach(), *rest, LENGTH))
