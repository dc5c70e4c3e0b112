"""Activations, layers of splines, CAM's modulation: kernel against reference, and gradients."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from polyfield.backends import dispatch
from polyfield.fields.kernels import gabor, splines, waves
from polyfield.fields.kernels import modulate as modulation


def _outcome(backend: str, run: Any, leaves: list[Tensor], cotangent: Tensor) -> list[Tensor]:
    inputs = [t.clone().requires_grad_() for t in leaves]
    with dispatch.force(backend):
        y = run(*inputs)
        return [y, *torch.autograd.grad(y, inputs, cotangent)]


@pytest.mark.parametrize("shape", [(40, 16), (3, 7, 5), (1,), (0, 8), (20000,)])
@pytest.mark.parametrize(
    ("kind", "w"), [("sine", 1.0), ("damped", 1.0), ("finer", 30.0), ("bell", 1.0), ("decay", 1.0)]
)
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


@pytest.mark.parametrize("kind", ["sine", "damped", "finer", "bell", "decay"])
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
    for kind in ("sine", "damped", "finer", "bell", "decay"):
        with dispatch.force("numba"):
            found = waves.wave(z, kind, 2.0)  # type: ignore[arg-type]
        assert found.isnan().nonzero()[:, 0].tolist() == [3]


@pytest.mark.parametrize("is_complex", [True, False])
@pytest.mark.parametrize(("units", "w", "s"), [(181, 20.0, 30.0), (16, 1.0, 0.1), (5, 5.0, 3.0)])
@pytest.mark.parametrize("n", [0, 1, 300])
def test_gabor(n: int, units: int, w: float, s: float, is_complex: bool) -> None:
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(n, units * (1 + is_complex), generator=generator) * (1.5 / s)
    cotangent = torch.randn(n, 2 * units, generator=generator)
    wanted, found = (
        _outcome(backend, lambda v: gabor.gabor(v, units, w, s), [z], cotangent)
        for backend in ("reference", "numba")
    )
    for one, two in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-5 * max(1.0, s))


def test_gabor_far_away_is_zero_and_no_number_stays_none() -> None:
    z = torch.tensor([[100.0, math.nan]]).repeat(1, 8)
    for both in (z, torch.cat([z, z], 1)):
        with dispatch.force("numba"):
            y = gabor.gabor(both, 16, 20.0, 30.0)
        assert (y[:, ::2] == 0).all() and y[:, 1::2].isnan().all()


def test_slopes_of_slopes_of_gabor() -> None:
    z = torch.linspace(-0.3, 0.3, 32).view(2, 16).requires_grad_()
    found = []
    for backend in ("reference", "numba"):
        with dispatch.force(backend):
            y = gabor.gabor(z, 8, 3.0, 2.0)
            (first,) = torch.autograd.grad(y.sum(), z, create_graph=True)
            found.append(torch.autograd.grad(first.square().sum(), z)[0])
    torch.testing.assert_close(*found, rtol=1e-4, atol=1e-4)


def _layer(n: int, inputs: int, outputs: int, splines: int) -> tuple[list[Tensor], Tensor]:
    generator = torch.Generator().manual_seed(0)
    shapes = ((n, inputs), (outputs, inputs), (outputs, inputs, splines), (n, outputs))
    x, base, weights, cotangent = (torch.randn(s, generator=generator) for s in shapes)
    return [x, base, weights], cotangent


@pytest.mark.parametrize(
    ("inputs", "outputs", "cells", "order"),
    [(64, 64, 5, 3), (2, 64, 5, 3), (64, 3, 5, 3), (5, 70, 7, 2), (3, 130, 4, 1), (2, 2, 3, 5)],
)
@pytest.mark.parametrize("n", [0, 1, 77])
def test_splines(n: int, inputs: int, outputs: int, cells: int, order: int) -> None:
    leaves, cotangent = _layer(n, inputs, outputs, cells + order)
    wanted, found = (
        _outcome(backend, lambda *t: splines.splines(*t, cells, order), leaves, cotangent)
        for backend in ("reference", "numba")
    )
    for one, two in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-4)


def test_splines_end_with_their_grid_and_no_number_stays_none() -> None:
    (_, base, weights), _ = _layer(1, 3, 5, 8)
    x = torch.zeros(4, 3)
    x[1, 1], x[2], x[3] = math.nan, 50.0, -50.0
    with dispatch.force("numba"):
        y = splines.splines(x, torch.zeros_like(base), weights, 5, 3)
    assert y[1].isnan().all() and (y[2:] == 0).all() and (y[0] != 0).all()


def test_slopes_of_slopes_of_splines() -> None:
    leaves, _ = _layer(20, 3, 4, 8)
    found = []
    for backend in ("reference", "numba"):
        inputs = [t.clone().requires_grad_() for t in leaves]
        with dispatch.force(backend):
            y = splines.splines(*inputs, 5, 3)
            (first,) = torch.autograd.grad(y.sum(), inputs[0], create_graph=True)
            found.append(torch.autograd.grad(first.square().sum(), inputs))
    for one, two in zip(*found, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-3, atol=1e-3)


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
