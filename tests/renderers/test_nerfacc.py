"""nerfacc: what of it runs on a CPU is an oracle of our compositing; the rest is stood in for.

Its CUDA code is replaced by loops over what its documentation says of them: a grid is crossed in
steps from the near plane on, and one is kept if the cell at its middle is occupied.
"""

import importlib.util
import types
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from polyfield.backends import dispatch, optional
from polyfield.encodings.domain import Box, Contraction
from polyfield.errors import InputError
from polyfield.fields.probe import Probe
from polyfield.renderers import nerfacc as ours
from polyfield.renderers import volume
from polyfield.renderers.intervals import Intervals
from polyfield.renderers.nerfacc import NerfaccGrid
from polyfield.renderers.occupancy import OccupancyGrid
from polyfield.scenes.rays import Rays

with warnings.catch_warnings():
    # Its docstrings have invalid escapes, seen where Python compiles it anew.
    warnings.simplefilter("ignore")
    nerfacc = pytest.importorskip("nerfacc", reason="not installed: pip install nerfacc")

SAMPLES = st.lists(
    st.tuples(st.floats(0, 50, width=32), st.floats(0.001953125, 2, width=32)), max_size=9
)
RAYS = st.lists(SAMPLES, min_size=1, max_size=5)


def _packed(rays: list[list[tuple[float, float]]]) -> tuple[Intervals, Tensor, Tensor]:
    """Intervals one behind the other on each ray, densities, and colours."""
    offsets = torch.tensor([0, *(len(ray) for ray in rays)]).cumsum(0)
    lengths = [torch.tensor([length for _, length in ray]) for ray in rays]
    end = torch.cat([part.cumsum(0) + 1 for part in lengths])
    start = end - torch.cat(lengths)
    density = torch.tensor([value for ray in rays for value, _ in ray])
    rgb = torch.rand(len(density), 3, generator=torch.Generator().manual_seed(0))
    return Intervals(offsets, start, end), density, rgb


def _dense(values: Tensor, found: Intervals) -> Tensor:
    """[n, *c] packed -> [r, most, *c], zeros behind the last of a ray."""
    most = max(1, int(found.offsets.diff().max()))
    out = values.new_zeros(found.n_rays, most, *values.shape[1:])
    rank = torch.arange(len(found)) - found.offsets[found.ray]
    return out.index_put((found.ray, rank), values)


@pytest.mark.parametrize("backend", ["reference", "numba"])
@settings(max_examples=40)
@given(rays=RAYS)
def test_its_dense_rendering_is_our_packed_one(backend: str, rays: Any) -> None:
    """Values, and gradients with the same cotangents."""
    found, density, rgb = _packed(rays)
    leaves = [density.requires_grad_(), rgb.requires_grad_()]
    start, end, sigma, color, middle = (
        _dense(t, found) for t in (found.start, found.end, density, rgb, found.middle)
    )
    weight, light, _ = nerfacc.render_weight_from_density(start, end, sigma)
    wanted = [
        nerfacc.accumulate_along_rays(weight, color),
        nerfacc.accumulate_along_rays(weight)[:, 0],
        nerfacc.accumulate_along_rays(weight, middle[..., None])[:, 0],
    ]
    with dispatch.force(backend):
        pixels = volume.composite(rgb, density, found)
        lit = volume.transmittance(density, found)
    depth = pixels.depth * pixels.opacity.detach().clamp(min=1e-6)
    results = [pixels.color, pixels.opacity, depth]
    for one, other in zip(results, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(_dense(lit, found), light * (sigma + end > 0), rtol=1e-4, atol=1e-6)
    generator = torch.Generator().manual_seed(1)
    cotangents = [torch.randn(t.shape, generator=generator) for t in wanted]
    grads = [torch.autograd.grad(t, leaves, cotangents) for t in (results, wanted)]
    for one, other in zip(*grads, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-3)


def _traverse(
    origins: Tensor,
    directions: Tensor,
    binaries: Tensor,
    aabbs: Tensor,
    near_planes: Tensor,
    far_planes: Tensor,
    step_size: float = 1e-3,
    cone_angle: float = 0.0,
    traverse_steps_limit: int | None = None,
) -> tuple[Any, Any, None]:
    """The packed edges and samples of traverse_grids; edges that touch are one."""
    assert all(t.shape == near_planes.shape for t in (origins[:, 0], far_planes))
    (box,), (cells,) = aabbs, binaries
    edges: list[tuple[float, bool, bool]] = []
    owner: list[int] = []
    for ray in range(len(origins)):
        t, kept, open_edge = near_planes[ray], 0, False
        while t < min(float(far_planes[ray]), 50):
            step = (t * cone_angle).clamp(min=step_size)
            x = origins[ray] + (t + step / 2) * directions[ray]
            unit = (x - box[:3]) / (box[3:] - box[:3])
            inside = bool(((unit >= 0) & (unit < 1)).all()) and t + step / 2 < far_planes[ray]
            full = kept != traverse_steps_limit
            if full and inside and cells[tuple((unit * cells.shape[0]).long())]:
                if open_edge:
                    edges[-1] = (edges[-1][0], True, True)
                else:
                    edges.append((float(t), True, False))
                edges.append((float(t + step), False, True))
                owner.append(ray)
                kept += 1
                open_edge = True
            else:
                open_edge = False
            t = t + step
    values, left, right = (torch.tensor([e[i] for e in edges]) for i in range(3))
    intervals = nerfacc.RayIntervals(
        vals=values.float(), is_left=left.bool(), is_right=right.bool()
    )
    index = torch.tensor(owner, dtype=torch.int64)
    samples = nerfacc.RaySamples(vals=torch.zeros(len(index)), ray_indices=index)
    return intervals, samples, None


def _exclusive_sum(inputs: Tensor, packed_info: Tensor) -> Tensor:
    assert inputs.ndim == 1 and len(inputs) == int(packed_info[:, 1].sum())
    parts = inputs.split(packed_info[:, 1].tolist())
    return torch.cat([part.cumsum(0) - part for part in parts])


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> None:
    """nerfacc's own Python code, with loops for CUDA's."""
    for module in ("nerfacc.estimators.occ_grid", "nerfacc"):
        monkeypatch.setattr(f"{module}.traverse_grids", _traverse)
    monkeypatch.setattr("nerfacc.volrend.exclusive_sum", _exclusive_sum)
    monkeypatch.setattr(optional, "load", lambda package: nerfacc)
    monkeypatch.setattr(optional, "on_cuda", lambda package, tensor: None)


def _contract() -> list[Callable[[Any], None]]:
    path = Path(__file__).with_name("contracts.py")
    spec = importlib.util.spec_from_file_location("sampler_contracts", path)
    assert spec is not None and spec.loader is not None
    module = types.ModuleType(spec.name)
    spec.loader.exec_module(module)
    return [check for name, check in vars(module).items() if name.startswith("test_")]


@pytest.mark.parametrize("check", _contract(), ids=lambda check: check.__name__)
def test_the_sampler_keeps_the_contract(check: Callable[[Any], None], stand_in: None) -> None:
    check(NerfaccGrid(resolution=16, steps=64))


BOX = Box(torch.tensor([[-1.0, -1.0, -1.0], [1.0, 2.0, 1.0]]))


def _ball(x: Tensor) -> Tensor:
    return torch.where(x.norm(dim=-1) < 0.5, 30.0, 0.0)


def _ray() -> Rays:
    direction = torch.nn.functional.normalize(torch.tensor([[1.0, 0.2, 0.1]]), dim=-1)
    t = torch.tensor([0.0])
    return Rays(-3 * direction, direction, t, t + 9, torch.zeros(1, dtype=torch.int64))


@pytest.mark.parametrize("cone", [0.0, 0.05])
def test_steps_lie_where_those_of_our_own_grid_do(cone: float, stand_in: None) -> None:
    """Before anything is known, everything is occupied, in both."""
    choices = {"resolution": 8, "steps": 50, "cone": cone}
    theirs, own = (kind(**choices).build(BOX) for kind in (NerfaccGrid, OccupancyGrid))
    for ask in (
        lambda sampler: sampler(_ray(), Probe(_ball)),
        lambda sampler: sampler.next_intervals(_ray(), torch.tensor([2.5]), 4, _ball),
    ):
        found, wanted = ask(theirs), ask(own)
        assert torch.equal(found.offsets, wanted.offsets) and len(found) > 3
        torch.testing.assert_close(found.start, wanted.start, rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(found.end, wanted.end, rtol=1e-4, atol=1e-4)


def test_training_leaves_out_what_no_light_reaches(stand_in: None) -> None:
    sampler = NerfaccGrid(resolution=8, steps=200).build(BOX)
    found = sampler(_ray(), Probe(_ball), torch.Generator().manual_seed(0))
    assert found.marched is not None and len(found) < int(found.marched)
    light = volume.transmittance(_ball(volume.points(_ray(), found)[0]), found)
    assert light.min() >= 1e-4
    every = NerfaccGrid(resolution=8, steps=200, prune=0.0).build(BOX)
    assert len(every(_ray(), Probe(_ball), torch.Generator().manual_seed(0))) == int(found.marched)


def test_looking_again_depends_on_the_step_alone(stand_in: None) -> None:
    one, two = (NerfaccGrid(resolution=8, sweep=16).build(BOX) for _ in range(2))
    before = torch.random.get_rng_state()
    for sampler in (one, two.eval()):
        for step in range(40):
            sampler.refresh(_ball, step)
    assert torch.equal(torch.random.get_rng_state(), before)
    assert torch.equal(one.estimator.occs, two.estimator.occs)
    assert 0 < int(one.estimator.binaries.sum()) < 8**3


def test_its_compositing_is_ours(stand_in: None) -> None:
    """The same call; rays without samples among the rays, and no samples at all."""
    for rays in ([[(3.0, 0.1), (5.0, 0.2)], [], [(50.0, 1.0)]], [[], []]):
        found, density, rgb = _packed(rays)
        one, other = (module.composite(rgb, density, found) for module in (ours, volume))
        for name in ("color", "opacity", "depth"):
            torch.testing.assert_close(getattr(one, name), getattr(other, name))


def test_an_unbounded_scene_and_impossible_values_are_told() -> None:
    with pytest.raises(InputError, match="bounded scene"):
        NerfaccGrid().build(Contraction(BOX.bounds))
    with pytest.raises(InputError, match="resolution between 1"):
        NerfaccGrid(resolution=0).build(BOX)
