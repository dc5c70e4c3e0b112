"""Samplers on a GPU, and nerfacc itself against our march and our compositing."""

import importlib.util
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from polyfield.encodings.domain import Box
from polyfield.renderers import nerfacc, volume
from polyfield.renderers.intervals import Intervals
from polyfield.renderers.nerfacc import NerfaccGrid
from polyfield.renderers.occupancy import OccupancyGrid
from polyfield.scenes.rays import Rays

# Where nerfacc can't be used, tests/conftest.py skips what asks for it, with the reason.
pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]
BOX = Box(torch.tensor([[-1.0, -1.0, -1.0], [1.0, 2.0, 1.0]]))


def _contract() -> types.ModuleType:
    """A copy of the samplers' contract, on the GPU."""
    path = Path(__file__).parents[1] / "renderers" / "contracts.py"
    spec = importlib.util.spec_from_file_location("sampler_contracts_gpu", path)
    assert spec is not None and spec.loader is not None
    module = types.ModuleType(spec.name)
    spec.loader.exec_module(module)
    module.DEVICE = torch.device("cuda")  # type: ignore[attr-defined]
    return module


CONTRACT = _contract()
CHECKS = [check for name, check in vars(CONTRACT).items() if name.startswith("test_")]


@pytest.mark.parametrize("config", CONTRACT.CONFIGS)
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_the_contract(check: Callable[[Any], None], config: Any) -> None:
    check(config)


def _rays(n: int) -> Rays:
    generator = torch.Generator().manual_seed(0)
    origins = torch.nn.functional.normalize(torch.randn(n, 3, generator=generator), dim=-1) * 4
    aim = torch.rand(n, 3, generator=generator) - 0.5
    directions = torch.nn.functional.normalize(aim - origins, dim=-1)
    ones = torch.ones(n)
    return Rays(origins, directions, 0 * ones, 9 * ones, torch.zeros(n, dtype=torch.int64)).to(
        "cuda"
    )


@pytest.mark.parametrize("cone", [0.0, 0.01])
def test_its_march_is_ours(cone: float) -> None:
    """The same cells: but for rounding at their faces, the same samples."""
    choices = {"resolution": 32, "steps": 300, "cone": cone}
    theirs, ours = (kind(**choices).build(BOX).to("cuda") for kind in (NerfaccGrid, OccupancyGrid))
    full = torch.rand(32, 32, 32, generator=torch.Generator().manual_seed(0)).cuda() < 0.2
    theirs.estimator.binaries.copy_(full[None])
    ours.adopt(full.float() * 1e3)
    assert torch.equal(ours.occupied, full)
    rays, density = _rays(2000), lambda x: x.new_zeros(len(x))
    found, wanted = theirs(rays, density), ours(rays, density)
    assert len(found) == pytest.approx(len(wanted), rel=0.01)
    same = found.offsets.diff() == wanted.offsets.diff()
    assert same.float().mean() > 0.9
    one, other = found.keep(same[found.ray]), wanted.keep(same[wanted.ray])
    near = (one.start - other.start).abs() < 1e-3
    assert near.float().mean() > 0.99


def test_its_compositing_is_ours() -> None:
    """Values, and gradients with the same cotangents; some rays have no samples."""
    generator = torch.Generator().manual_seed(0)
    counts = torch.randint(0, 40, (3000,), generator=generator)
    counts[::7] = 0
    offsets = torch.nn.functional.pad(counts.cumsum(0), (1, 0))
    n = int(offsets[-1])
    start = torch.arange(n) * 0.01
    found = Intervals(offsets.cuda(), start.cuda(), (start + 0.01).cuda())
    leaves = [
        torch.rand(n, 3, generator=generator).cuda().requires_grad_(),
        (torch.rand(n, generator=generator) * 20).cuda().requires_grad_(),
    ]
    results = []
    for module in (nerfacc, volume):
        pixels = module.composite(*leaves, found)
        results.append([pixels.color, pixels.opacity])
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)
    cotangents = [torch.randn(t.shape, generator=generator).cuda() for t in results[0]]
    grads = [torch.autograd.grad(part, leaves, cotangents) for part in results]
    for one, other in zip(*grads, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-2, atol=1e-3)
    empty = Intervals(found.offsets[:3] * 0, found.start[:0], found.end[:0])
    nothing = nerfacc.composite(leaves[0][:0], leaves[1][:0], empty)
    assert nothing.color.shape == (2, 3) and not nothing.opacity.any()
