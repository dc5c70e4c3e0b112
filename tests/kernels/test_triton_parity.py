"""Every Triton kernel against its reference: on a GPU, or in Triton's interpreter without one.

float32 must agree to rounding. In fp16 the inputs of products are rounded to 2^-11, so results of
sums of k products of size 1 are off by about sqrt(k) of that; hidden units near 0 may land on the
other side of their ReLU, which moves single rows of gradients: those are compared by their mean.
bf16 is for GPUs alone (the interpreter computes nonsense in it).
"""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from polyfield.backends import dispatch, gpu
from polyfield.encodings.domain import domain
from polyfield.encodings.kernels.hash_grid import Levels, hash_grid
from polyfield.fields.kernels.bank import bank
from polyfield.fields.kernels.bank import size as bank_size
from polyfield.fields.kernels.mlp import mlp, size
from polyfield.renderers.kernels.composite import composite
from polyfield.renderers.kernels.march import Lattice, clearance, entry, march
from polyfield.training.kernels.adam import AdamNumbers, adam

pytest.importorskip("triton", reason="Triton comes with PyTorch for CUDA, or as a test tool")

ON_GPU = torch.cuda.is_available()
DEVICE = torch.device("cuda" if ON_GPU else "cpu")
EXACT, HALF = "fp32", "fp16"
Op = Callable[..., Tensor | tuple[Tensor, ...]]


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def outcome(backend: str, precision: str, op: Op, *inputs: Tensor) -> list[Tensor]:
    """Outputs, and gradients in all inputs for a cotangent that depends on their shapes alone."""
    leaves = [x.detach().clone().to(DEVICE).requires_grad_() for x in inputs]
    with dispatch.force(backend), gpu.force_precision(precision):
        outputs = op(*leaves)
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        cotangents = [torch.randn(o.shape, generator=seeded(99)).to(DEVICE) for o in outputs]
        gradients = torch.autograd.grad(outputs, leaves, cotangents)
    return [t.detach().cpu() for t in (*outputs, *gradients)]


def both(precision: str, op: Op, *inputs: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Pairs of (kernel's, reference's) results."""
    found = outcome("triton", precision, op, *inputs)
    return list(zip(found, outcome("reference", EXACT, op, *inputs), strict=True))


def close(pair: tuple[Tensor, Tensor], share: float) -> None:
    """Equal up to a share of the largest number."""
    found, wanted = pair
    torch.testing.assert_close(found, wanted, rtol=0, atol=share * float(wanted.abs().max()))


def close_on_average(pair: tuple[Tensor, Tensor], share: float) -> None:
    """The mean difference is at most a share of the mean size."""
    found, wanted = pair
    assert found.shape == wanted.shape and bool(found.isfinite().all())
    assert float((found - wanted).abs().mean()) <= share * float(wanted.abs().mean())


# Hash grid.


@pytest.mark.parametrize("dim", [2, 3])
@pytest.mark.parametrize(("features", "smooth"), [(2, False), (2, True), (4, False), (1, False)])
@pytest.mark.parametrize("precision", [EXACT, HALF])
def test_hash_grid(dim: int, features: int, smooth: bool, precision: str) -> None:
    """Five levels: a program's group of four and a rest."""
    levels = Levels.make(dim, 5, 4, 1.6, 9)
    assert any(levels.hashed) and not all(levels.hashed)
    x = torch.rand(200, dim, generator=seeded(0))
    table = torch.rand(levels.entries * features, generator=seeded(1)) * 2 - 1
    pairs = both(precision, lambda x, t: hash_grid(x, t, levels, features, smooth), x, table)
    share = 1e-5 if precision == EXACT else 2e-3
    for pair in pairs:
        close(pair, share)


def test_hash_grid_outside_and_not_finite() -> None:
    levels = Levels.make(3, 4, 4, 1.6, 10)
    table = torch.rand(levels.entries * 2, generator=seeded(1))
    x = torch.tensor([[-0.5, 0.3, 0.2], [0.4, 1.5, 0.0], [1, 1, 1], [torch.nan, 0.5, 0.5]])
    values, dx, _ = both(EXACT, lambda x, t: hash_grid(x, t, levels, 2), x[:3], table)
    close(values, 1e-6)
    close(dx, 1e-5)
    found = outcome("triton", EXACT, lambda x, t: hash_grid(x, t, levels, 2), x, table)[0]
    assert found[3].isnan().all() and not found[:3].isnan().any()


def test_no_points() -> None:
    levels = Levels.make(3, 2, 4, 1.6, 10)
    x, table = torch.zeros(0, 3), torch.rand(levels.entries * 2)
    values, _, dtable = both(HALF, lambda x, t: hash_grid(x, t, levels, 2), x, table)
    assert values[0].shape == (0, 4) and (dtable[0] == 0).all()
    widths = [5, 16, 2]
    _, _, dw = both(HALF, lambda x, w: mlp(x, w, widths), torch.zeros(0, 5), torch.rand(112))
    assert (dw[0] == 0).all()


# Perceptrons. Fused and layer by layer, with biases and without, widths that need padding.

SHAPES = [
    ([32, 64, 16], False),
    ([5, 16, 16, 3], True),
    ([27, 64, 64, 3], False),
    ([9, 33, 33, 33, 2], True),
    ([3, 16, 16, 16, 16, 1], False),
    ([20, 100, 100, 4], True),
]


@pytest.mark.parametrize(("widths", "bias"), SHAPES)
@pytest.mark.parametrize("precision", [EXACT, HALF])
def test_mlp(widths: list[int], bias: bool, precision: str) -> None:
    if precision == EXACT and ON_GPU:
        pytest.skip("products in fp32 are PyTorch's own on a GPU")
    x = torch.randn(150, widths[0], generator=seeded(0))
    w = torch.randn(size(widths, bias), generator=seeded(1)) / max(widths) ** 0.5
    y, dx, dw = both(precision, lambda x, w: mlp(x, w, widths, bias), x, w)
    if precision == EXACT:
        for pair in (y, dx, dw):
            close(pair, 1e-5)
        return
    close(y, 4e-3)
    close_on_average(dx, 2e-2)
    close_on_average(dw, 2e-2)


@pytest.mark.parametrize("size_of_gradient", [1e-9, 1.0, 1e6])
def test_gradients_of_any_size_survive_fp16(size_of_gradient: float) -> None:
    """fp16 itself ends at 6e-8 and 65504."""
    widths = [32, 64, 16]
    x = torch.randn(100, 32, generator=seeded(0))
    w = torch.randn(size(widths, False), generator=seeded(1)) / 8
    y, dx, dw = both(HALF, lambda x, w: mlp(x, w, widths) * size_of_gradient, x, w)
    close_on_average(dx, 2e-2)
    close_on_average(dw, 2e-2)


def test_what_is_not_a_number_shows() -> None:
    widths = [5, 16, 16, 3]
    x = torch.randn(40, 5, generator=seeded(0))
    x[7, 2] = torch.nan
    w = torch.randn(size(widths, False), generator=seeded(1))
    y = outcome("triton", HALF, lambda x, w: mlp(x, w, widths), x, w)[0]
    assert y.isnan().any(1).nonzero().flatten().tolist() == [7]


@pytest.mark.parametrize("widths", [[26, 32, 32, 4], [26, 16, 5]])
@pytest.mark.parametrize("precision", [EXACT, HALF])
def test_bank(widths: list[int], precision: str) -> None:
    """Networks without rows, with fewer than a block, with more than a tile."""
    if precision == EXACT and ON_GPU:
        pytest.skip("products in fp32 are PyTorch's own on a GPU")
    counts = [0, 3, 0, 64, 530, 1, 0]
    offsets = torch.tensor([0, *counts]).cumsum(0).to(DEVICE)
    n = sum(counts)
    x = torch.rand(n, 3, generator=seeded(0)) * 2 - 1
    extra = torch.randn(n, 7, generator=seeded(1))
    w = torch.randn(len(counts), bank_size(widths), generator=seeded(2)) * 0.2
    pairs = both(precision, lambda x, e, w: bank(x, e, w, offsets, widths, 3), x, extra, w)
    idle = torch.tensor(counts) == 0
    assert (pairs[3][0][idle] == 0).all()
    for pair in pairs:
        if precision == EXACT:
            close(pair, 1e-5)
        else:
            close_on_average(pair, 2e-2)


def test_bank_of_more_networks_than_grouped_products_take() -> None:
    """Those of PyTorch end at 1023; here each of 40 among 2000 has a row."""
    widths, count = [3, 16, 2], 2000
    x = torch.rand(40, 3, generator=seeded(0)).to(DEVICE)
    w = torch.randn(count, bank_size(widths), generator=seeded(1)).to(DEVICE)
    offsets = torch.arange(count + 1, device=DEVICE) // 50
    found = {}
    for backend in ("triton", "reference"):
        with dispatch.force(backend), gpu.force_precision(HALF):
            found[backend] = bank(x, None, w, offsets, widths, 0).cpu()
    close((found["triton"], found["reference"]), 5e-3)


# Rays.


def _packed(counts: list[int], thick: float) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    n = sum(counts)
    values = torch.rand(n, 4, generator=seeded(0))
    density = torch.rand(n, generator=seeded(1)) * thick
    length = torch.rand(n, generator=seeded(2)) * 0.1
    return values, density, length.to(DEVICE), torch.tensor([0, *counts]).cumsum(0).to(DEVICE)


@pytest.mark.parametrize("thick", [0.01, 1.0, 100.0])
def test_composite(thick: float) -> None:
    values, density, length, offsets = _packed([0, 5, 64, 0, 200, 65, 0], thick)
    pairs = both(EXACT, lambda v, s: composite(v, s, length, offsets), values, density)
    for pair in pairs:
        close(pair, 5e-6)


@pytest.mark.parametrize("cone", [0.0, 0.02])
@pytest.mark.parametrize("unbounded", [False, True])
def test_march(unbounded: bool, cone: float) -> None:
    bounds = torch.tensor([[-1.0, -1, -1], [1, 1, 1]])
    space = domain(bounds, unbounded).to(DEVICE)
    n = 60
    origins = torch.rand(n, 3, generator=seeded(0)) * 4 - 2
    target = torch.rand(n, 3, generator=seeded(1)) * 1.6 - 0.8
    directions = torch.nn.functional.normalize(target - origins, dim=-1)
    # Some along an axis: they cross no cell along the others.
    directions[:6] = torch.eye(3).repeat(2, 1) * torch.tensor([1.0] * 3 + [-1.0] * 3)[:, None]
    occupied = torch.rand(19, 19, 19, generator=seeded(2)) < 0.2
    o, d = origins.to(DEVICE), directions.to(DEVICE)
    near, far = torch.zeros(n, device=DEVICE), torch.full((n,), 20.0, device=DEVICE)
    jitter = torch.rand(n, generator=seeded(3)).to(DEVICE)
    cells = (occupied.to(DEVICE), clearance(occupied).to(DEVICE))
    lattice = Lattice(0.041, cone, 40)
    found = {}
    for backend in ("triton", "reference"):
        with dispatch.force(backend):
            found[backend] = march(
                o, d, entry(o, d, near, far, space), jitter, cells, space, lattice
            )
    fast, slow = found["triton"], found["reference"]
    counts, wanted = fast[0].diff(), slow[0].diff()
    # A middle on a border of a cell may fall to either side.
    same = (counts == wanted).cpu()
    assert int((~same).sum()) <= 2 and int(wanted.sum()) > 300
    for i in same.nonzero().flatten().tolist():
        begin, end = int(fast[0][i]), int(fast[0][i + 1])
        there = int(slow[0][i])
        for one, two in zip(fast[1:], slow[1:], strict=True):
            torch.testing.assert_close(
                one[begin:end], two[there : there + end - begin], rtol=1e-4, atol=1e-4
            )


@pytest.mark.parametrize("skip", [False, True])
def test_adam(skip: bool) -> None:
    numbers = AdamNumbers(0.03, 0.9, 0.99, 1e-15, 0.1)
    ends = []
    for backend in ("triton", "reference"):
        n = 2500
        state = [torch.randn(n, generator=seeded(0)), torch.zeros(n), torch.zeros(n)]
        state = [t.to(DEVICE) for t in (*state, torch.zeros(n, dtype=torch.int32))]
        for step in range(4):
            grad = torch.randn(n, generator=seeded(step))
            grad[torch.rand(n, generator=seeded(100 + step)) < 0.6] = 0
            with dispatch.force(backend):
                adam(state[0], grad.to(DEVICE), *state[1:], numbers, skip)
        ends.append(state)
    for one, two in zip(*ends, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-5, atol=1e-5)


# The first use of each kernel, and the compiler.


def test_self_checks_pass_and_notice_a_wrong_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    from polyfield.backends import probe_triton
    from polyfield.encodings.kernels import hash_grid_triton
    from polyfield.fields.kernels import bank_triton, mlp_triton
    from polyfield.renderers.kernels import composite_triton, march_triton
    from polyfield.training.kernels import adam_triton

    modules = (hash_grid_triton, adam_triton, bank_triton, mlp_triton, composite_triton)
    for module in (probe_triton, march_triton, *modules):
        module.check(DEVICE)
    one = torch.ones(3)
    with pytest.raises(ArithmeticError, match="off by 1"):
        gpu.compare(one, 2 * one, 1e-3)
    with pytest.raises(ArithmeticError, match="off by nan"):
        gpu.compare(one * torch.nan, one, 1e-3)
    right = hash_grid_triton.forward
    monkeypatch.setattr(hash_grid_triton, "forward", lambda *given: right(*given) * 1.01)
    with pytest.raises(ArithmeticError, match="off by"):
        hash_grid_triton.check(DEVICE)


def test_every_kernel_compiles_without_spilling() -> None:
    """For GPUs that need not be here; the interpreter takes what the compiler refuses."""
    script = Path(__file__).with_name("compile_triton.py")
    environment = {k: v for k, v in os.environ.items() if k != "TRITON_INTERPRET"}
    done = subprocess.run(
        [sys.executable, "-P", str(script)], capture_output=True, text=True, env=environment
    )
    bad = [line for line in done.stdout.splitlines() if " 0 bytes of stack" not in line]
    assert done.returncode == 0, "\n".join([*bad, done.stderr[-2000:]])
