"""The kernels of `rbf` and `sine_skip` against their references: value and gradient.

As in test_parity: same inputs, same cotangent; tolerances in unit roundoffs of float32.
"""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numba import njit
from torch import Tensor

from polyfield.backends import dispatch
from polyfield.backends.simd import LANES, load, store
from polyfield.backends.sine import cosine, sine
from polyfield.encodings.kernels.nearest import _nearest, nearest
from polyfield.encodings.kernels.rbf import _rbf, _rbf_backward, pairs, rbf
from polyfield.encodings.kernels.rbf import reference as rbf_reference
from polyfield.fields.kernels.sine_skip import _sine_skip, _sine_skip_backward, sine_skip
from polyfield.fields.kernels.sine_skip import reference as sine_skip_reference

ROUNDOFF = 2.0**-24


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def outcome(backend: str, op: Callable[[Tensor], Tensor], leaf: Tensor) -> list[Tensor]:
    """The output, and the gradient for a cotangent that depends on its shape alone."""
    leaf = leaf.detach().clone().requires_grad_()
    with dispatch.force(backend):
        output = op(leaf)
    cotangent = torch.randn(output.shape, generator=seeded(99), dtype=output.dtype)
    return [output, *torch.autograd.grad(output, leaf, cotangent)]


@njit
def _of_vectors(x, s, c):
    for at in range(0, x.size, LANES):
        store(s, at, sine(load(x, at, LANES), LANES))
        store(c, at, cosine(load(x, at, LANES), LANES))


@pytest.mark.parametrize("size", [1.0, 4096.0, 1e5])
def test_sine_and_cosine(size: float) -> None:
    x = ((torch.rand(160_000, generator=seeded()) * 2 - 1) * size).numpy()
    x[:4] = [0, size, -size, np.pi / 2]
    s, c = np.empty_like(x), np.empty_like(x)
    _of_vectors(x, s, c)
    # A rounding or two of numbers of size 1.
    assert abs(s - np.sin(x.astype(np.float64))).max() < 4 * ROUNDOFF
    assert abs(c - np.cos(x.astype(np.float64))).max() < 4 * ROUNDOFF


def _scene(dim: int, n: int, channels: int, neighbours: int) -> tuple[Tensor, ...]:
    """x, index, centres, shapes (positive definite), weights."""
    m = 40
    centres = torch.rand(m, dim, generator=seeded(0))
    root = torch.randn(m, dim, dim, generator=seeded(1)) * 6
    matrix = root @ root.mT
    shapes = torch.stack([matrix[:, i, j] * (1 + (i != j)) for i, j in pairs(dim)], -1)
    x = torch.rand(n, dim, generator=seeded(2))
    weights = torch.randn(m, channels, generator=seeded(3))
    return x, nearest(x, centres, neighbours), centres, shapes, weights


@pytest.mark.parametrize("n", [0, 1, 17, 1500])
@pytest.mark.parametrize(("dim", "channels", "neighbours"), [(2, 32, 4), (3, 6, 5), (2, 1, 1)])
@pytest.mark.parametrize("normalise", [True, False])
@pytest.mark.parametrize("waves", [True, False])
def test_rbf(
    waves: bool, normalise: bool, dim: int, channels: int, neighbours: int, n: int
) -> None:
    x, index, centres, shapes, weights = _scene(dim, n, channels, neighbours)
    multipliers = torch.linspace(-3, 6, channels).exp2() if waves else torch.empty(0)

    def op(w: Tensor) -> Tensor:
        return rbf(x, index, (centres, shapes), w, multipliers, normalise)

    fast, slow = outcome("numba", op, weights), outcome("reference", op, weights)
    # p is off by some roundoffs, its angle by 64 times as much; sums of up to 5 and of up to n.
    near = 20 * ROUNDOFF * (64 if waves else 1)
    torch.testing.assert_close(fast[0], slow[0], rtol=1e-5, atol=4 * near)
    torch.testing.assert_close(fast[1], slow[1], rtol=1e-5, atol=near * (4 + n**0.5))


def test_rbf_where_x_needs_a_gradient_is_the_reference() -> None:
    x, index, centres, shapes, weights = _scene(2, 30, 4, 3)
    multipliers = torch.linspace(-3, 3, 4).exp2()
    leaf = x.clone().requires_grad_()
    with dispatch.force("numba"):
        y = rbf(leaf, index, (centres, shapes), weights, multipliers, False)
    (gradient,) = torch.autograd.grad(y.sum(), leaf)
    small = 1e-3
    for axis in range(2):
        step = torch.zeros(2).index_fill(0, torch.tensor([axis]), small)
        ends = [
            rbf_reference(x + s * step, index, (centres, shapes), weights, multipliers, False)
            for s in (1, -1)
        ]
        slope = (ends[0] - ends[1]).sum(-1) / (2 * small)
        torch.testing.assert_close(gradient[:, axis], slope, rtol=0.05, atol=0.05)


def test_rbf_gradient_of_the_reference() -> None:
    x, index, centres, shapes, weights = _scene(3, 8, 4, 3)
    x, centres, shapes, weights = (t.double() for t in (x, centres, shapes, weights))
    multipliers = torch.linspace(-3, 2, 4).exp2().double()
    kernels = (centres, shapes)
    assert torch.autograd.gradcheck(
        lambda w: rbf_reference(x, index, kernels, w, multipliers, True),
        weights.requires_grad_(),
        fast_mode=True,
    )
    assert torch.autograd.gradcheck(
        lambda x: rbf_reference(x, index, kernels, weights.detach(), multipliers, False),
        x.requires_grad_(),
        fast_mode=True,
    )


@pytest.mark.parametrize(("n", "width"), [(0, 64), (1, 1), (257, 64), (1000, 6)])
def test_sine_skip(n: int, width: int) -> None:
    h = torch.randn(n, width, generator=seeded())
    w = torch.linspace(3, 6, width).exp2()
    fast = outcome("numba", lambda h: sine_skip(h, w), h)
    slow = outcome("reference", lambda h: sine_skip(h, w), h)
    # The product h w is rounded alike; a few roundoffs of size 1, and of 64 times 4.
    torch.testing.assert_close(fast[0], slow[0], rtol=1e-6, atol=10 * ROUNDOFF)
    torch.testing.assert_close(fast[1], slow[1], rtol=1e-6, atol=10 * ROUNDOFF * 64 * 4)
    assert torch.autograd.gradcheck(
        lambda h: sine_skip_reference(h, w.double()), h[:3].double().requires_grad_()
    )


def test_nan_is_passed_on() -> None:
    x, index, centres, shapes, weights = _scene(2, 5, 16, 4)
    x[2] = torch.nan
    with dispatch.force("numba"):
        y = rbf(x, index, (centres, shapes), weights, torch.linspace(-3, 6, 16).exp2())
        skipped = sine_skip(y, torch.ones(16))
    assert y[2].isnan().all() and not y[[0, 1, 3, 4]].isnan().any()
    assert skipped[2].isnan().all() and not skipped[[0, 1, 3, 4]].isnan().any()


def test_the_number_of_threads_changes_nothing() -> None:
    x, index, centres, shapes, weights = _scene(2, 3000, 32, 4)
    multipliers = torch.linspace(-3, 12, 32).exp2()
    before, found = torch.get_num_threads(), []
    for count in (1, 2, 3):
        torch.set_num_threads(count)
        found.append(
            outcome("numba", lambda w: rbf(x, index, (centres, shapes), w, multipliers), weights)
        )
    torch.set_num_threads(before)
    for other in found[1:]:
        assert all(torch.equal(one, two) for one, two in zip(found[0], other, strict=True))


def test_custom_ops_keep_torchs_rules() -> None:
    x, index, centres, shapes, weights = _scene(2, 5, 4, 3)
    multipliers, check = torch.linspace(-3, 3, 4).exp2(), torch.library.opcheck
    check(_nearest, (x, centres, 3))
    check(_rbf, (x, index, centres, shapes, weights.requires_grad_(), multipliers, True))
    share = torch.rand(5, 3, generator=seeded())
    check(_rbf_backward, (torch.rand(5, 4), index, share, multipliers, 40))
    check(_sine_skip, (weights.detach().requires_grad_(), multipliers))
    check(_sine_skip_backward, (torch.rand(40, 4), weights.detach(), multipliers))
