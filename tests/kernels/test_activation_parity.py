"""Sine activations and CAM's modulation: kernel against reference, value and gradients."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from polyfield.backends import dispatch
from polyfield.fields.kernels import modulate as modulation
from polyfield.fields.kernels import waves


def _outcome(backend: str, run: Any, leaves: list[Tensor], cotangent: Tensor) -> list[Tensor]:
    inputs = [t.clone().requires_grad_() for t in leaves]
    with dispatch.force(backend):
        y = run(*inputs)
        return [y, *torch.autograd.grad(y, inputs, cotangent)]


@pytest.mark.parametrize("shape", [(40, 16), (3, 7, 5), (1,), (0, 8), (20000,)])
@pytest.mark.parametrize(("kind", "w"), [("sine", 1.0), ("damped", 1.0), ("finer", 30.0)])
def test_waves(kind: waves.Kind, w: float, shape: tuple[int, ...]) -> None:
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(shape, generator=generator) * 3
    cotangent = torch.randn(shape, generator=generator)
    wanted, found = (
        _outcome(backend, lambda v: waves.wave(v, kind, w), [z], cotangent)
        for backend in ("reference", "numba")
    )
    # Rounding of the sine's argument, up to 30 * 12 * 13, is what the two differ by.
    for one, two in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-3, atol=1e-3 * max(1.0, w / 3))


def test_the_damped_sine_has_a_slope_at_zero() -> None:
    for backend in ("reference", "numba"):
        y, slope = _outcome(
            backend, lambda v: waves.wave(v, "damped"), [torch.zeros(16)], torch.ones(16)
        )
        assert (y == 0).all() and slope.isfinite().all() and slope.abs().max() < 1e-6


@pytest.mark.parametrize("kind", ["sine", "damped", "finer"])
def test_slopes_of_slopes(kind: waves.Kind) -> None:
    z = torch.linspace(-2, 2, 32, requires_grad=True)
    found = []
    for backend in ("reference", "numba"):
        with dispatch.force(backend):
            (first,) = torch.autograd.grad(waves.wave(z, kind, 2.0).sum(), z, create_graph=True)
            found.append(torch.autograd.grad(first.square().sum(), z)[0])
    torch.testing.assert_close(*found, rtol=1e-3, atol=1e-3)


def test_waves_pass_nan_on() -> None:
    z = torch.ones(16)
    z[3] = math.nan
    for kind in ("sine", "damped", "finer"):
        with dispatch.force("numba"):
            found = waves.wave(z, kind, 2.0)  # type: ignore[arg-type]
        assert found.isnan().nonzero()[:, 0].tolist() == [3]


def _rows(n: int, width: int) -> tuple[list[Tensor], Tensor]:
    generator = torch.Generator().manual_seed(0)
    h = torch.randn(n, width, generator=generator) * 2 + 0.5
    gamma, beta = (torch.randn(n, generator=generator) for _ in range(2))
    return [h, gamma, beta], torch.randn(n, width, generator=generator)


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize(("n", "width"), [(300, 64), (7, 33), (0, 16), (600, 256)])
def test_modulation(n: int, width: int, normalize: bool) -> None:
    leaves, cotangent = _rows(n, width)
    wanted, found = (
        _outcome(backend, lambda *t: modulation.modulate(*t, normalize), leaves, cotangent)
        for backend in ("reference", "numba")
    )
    for one, two in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-3, atol=1e-3)


def test_gradient_of_the_references() -> None:
    leaves = [t.double().requires_grad_() for t in _rows(4, 5)[0]]
    assert torch.autograd.gradcheck(lambda *t: modulation.reference(*t, True), leaves)
    z = torch.tensor([-1.3, 0.2, 2.0], dtype=torch.float64, requires_grad=True)
    for kind in ("sine", "damped", "finer"):
        assert torch.autograd.gradcheck(lambda v, k=kind: waves.reference(v, k, 2.0), (z,))


def test_the_ops_keep_their_promises() -> None:
    leaves = [t.requires_grad_() for t in _rows(6, 16)[0]]
    torch.library.opcheck(torch.ops.polyfield.modulate.default, (*leaves, True))
    torch.library.opcheck(torch.ops.polyfield.wave.default, (leaves[0], "damped", 1.0))
