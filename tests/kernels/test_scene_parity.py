"""Kernels that put several ops in one, against the ops that they are made of."""

from typing import Any

import pytest
import torch
from torch import Tensor

from polyfield.backends import dispatch
from polyfield.encodings.domain import domain
from polyfield.encodings.hash_grid import HashGrid
from polyfield.fields.kernels.grid_radiance import GridRadiance, grid_radiance, reference
from polyfield.fields.probe import GridDensity, Probe
from polyfield.fields.radiance import Radiance, RadianceMLPField
from polyfield.renderers.intervals import Intervals
from polyfield.renderers.kernels import reach as kernel
from polyfield.renderers.kernels import reach_numba
from polyfield.renderers.kernels.march import Lattice, clearance, entry, march
from polyfield.renderers.kernels.reach import Limits, Marching, reach
from polyfield.scenes.rays import Rays

BOUNDS = torch.tensor([[-1.0, -0.5, -2.0], [1.5, 1.0, 0.5]])
GRID = HashGrid(levels=5, features=4, log2_size=10, base_resolution=4, finest_resolution=40)


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def a_field(unbounded: bool, degree: int = 4, smooth: bool = False) -> RadianceMLPField:
    torch.manual_seed(3)
    field = Radiance(position=GRID).build(domain(BOUNDS, unbounded))
    field.position.smooth = smooth
    field.direction.degree, field.direction.out_dim = degree, degree**2
    with torch.no_grad():
        field.position.table.normal_(generator=seeded(1))
    return field


def directions(n: int) -> Tensor:
    return torch.nn.functional.normalize(torch.randn(n, 3, generator=seeded(5)), dim=-1)


def parts(field: RadianceMLPField) -> GridRadiance:
    found = field._as_one_op()
    assert found is not None
    return found


@pytest.mark.parametrize("n", [0, 1, 17, 1000, 3000])
@pytest.mark.parametrize("unbounded", [False, True])
def test_a_radiance_field_is_its_parts(n: int, unbounded: bool) -> None:
    """Values and gradients of float32 sums of some hundred terms, in another order."""
    field = a_field(unbounded, smooth=unbounded)
    x = torch.randn(n, 3, generator=seeded(2)) * 2
    learned = [field.position.table, field.density_network.weights, field.color_network.weights]
    cotangents = [torch.randn(s, generator=seeded(9)) for s in ((n,), (n, 3), (n, 16))]

    def outcome(op):  # type: ignore[no-untyped-def]
        answers = op(x, directions(n), parts(field))
        return [*answers, *torch.autograd.grad(answers, learned, cotangents)]

    for ours, theirs in zip(outcome(grid_radiance), outcome(reference), strict=True):
        scale = float(theirs.detach().abs().max()) if theirs.numel() else 1.0
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=3e-5 * scale)


def test_what_nobody_asks_for_has_no_gradient() -> None:
    field = a_field(False)
    x = torch.rand(50, 3, generator=seeded(2))
    answers = grid_radiance(x, directions(50), parts(field))
    table = field.position.table
    for which in range(3):
        ours = torch.autograd.grad(answers[which].sum(), table, retain_graph=True)[0]
        theirs = torch.autograd.grad(reference(x, directions(50), parts(field))[which].sum(), table)
        torch.testing.assert_close(ours, theirs[0], rtol=1e-3, atol=1e-5)


def test_points_and_directions_have_gradients() -> None:
    """Where poses are learned the field is its parts."""
    field = a_field(False)
    x = (torch.rand(20, 3, generator=seeded(2)) - 0.3).requires_grad_()
    way = directions(20).requires_grad_()
    sample = field(x, way)
    found = torch.autograd.grad(sample.rgb.sum() + sample.density.sum(), [x, way])
    assert all(bool((g != 0).any()) for g in found)


def test_a_field_is_the_same_in_any_backend() -> None:
    field, x = a_field(True), torch.randn(300, 3, generator=seeded(2))
    fast = field(x, directions(300))
    with dispatch.force("reference"):
        slow = field(x, directions(300))
    torch.testing.assert_close(fast.rgb, slow.rgb, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(fast.density, slow.density, rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(fast.log_density, slow.log_density, rtol=1e-3, atol=1e-5)


def test_a_batch_of_any_shape() -> None:
    field = a_field(False)
    x, way = torch.rand(4, 5, 3, generator=seeded(2)), directions(20).view(4, 5, 3)
    whole, flat = field(x, way), field(x.view(-1, 3), way.view(-1, 3))
    assert whole.rgb.shape == (4, 5, 3) and whole.density.shape == (4, 5)
    assert torch.equal(whole.rgb.view(-1, 3), flat.rgb)


def some_rays(
    rays: int, unbounded: bool = False, limit: int = 1024
) -> tuple[Rays, Any, Tensor, Any]:
    """Rays through the box and past it, through cells of which a third are empty."""
    generator = seeded(7)
    origins = torch.randn(rays, 3, generator=generator) * 2
    aim = torch.randn(rays, 3, generator=generator) * 0.5 - origins
    aim = torch.nn.functional.normalize(aim, dim=-1)
    near, far = torch.full((rays,), 0.05), torch.full((rays,), 9.0)
    batch = Rays(origins, aim, near, far, torch.zeros(rays, dtype=torch.int64))
    space = domain(BOUNDS, unbounded)
    occupied = torch.rand(12, 12, 12, generator=generator) > 1 / 3
    lattice = Lattice(0.05, 0.004 if unbounded else 0.0, limit)
    marching = Marching((occupied, clearance(occupied)), space, lattice)
    spans = entry(origins, aim, near, far, space)
    return batch, spans, torch.rand(rays, generator=generator), marching


def a_probe(unbounded: bool) -> Probe:
    """Of foggy places and opaque ones."""
    field = a_field(unbounded)
    with torch.no_grad():
        field.density_network.weights.mul_(4)
    return field.probe()


def every_sample(way: tuple[Rays, Any, Tensor, Any]) -> Intervals:
    rays, spans, jitter, m = way
    where = (m.cells, m.domain, m.lattice)
    return Intervals(*march(rays.origins, rays.directions, spans, jitter, *where))


@pytest.mark.parametrize("unbounded", [False, True])
@pytest.mark.parametrize("limits", [Limits(1e-4), Limits(1e-2, 0.05), Limits(0.0, 0.02)])
def test_light_reaches_the_same_samples(unbounded: bool, limits: Limits) -> None:
    """All but those so near to a limit that rounding decides."""
    probe, way = a_probe(unbounded), some_rays(300, unbounded)
    assert probe.grid is not None
    ours, theirs = (f(*way, probe, limits) for f in (reach, kernel.reference))
    assert 0 < len(theirs) < len(every_sample(way))
    same = ours.offsets.diff() == theirs.offsets.diff()
    assert float(same.float().mean()) > 0.98
    for one, two in ((ours.start, theirs.start), (ours.end, theirs.end)):
        torch.testing.assert_close(one[same[ours.ray]], two[same[theirs.ray]])


@pytest.mark.parametrize("limit", [1, 6, 1024])
def test_every_sample_reaches_where_nothing_is_left_out(limit: int) -> None:
    """Marched in rounds or at once."""
    way = some_rays(200, limit=limit)
    found, every = reach(*way, a_probe(False), Limits(0.0)), every_sample(way)
    assert int(every.offsets.diff().max()) == min(limit, int(every.offsets.diff().max()))
    assert torch.equal(found.offsets, every.offsets)
    assert torch.equal(found.start, every.start) and torch.equal(found.end, every.end)


def test_more_rays_than_slots_on_one_thread_and_two(monkeypatch: pytest.MonkeyPatch) -> None:
    """And in a buffer that is too small at first."""
    probe, way = a_probe(False), some_rays(1000)
    before = torch.get_num_threads()
    try:
        found = []
        for count in (1, 2):
            torch.set_num_threads(count)
            monkeypatch.setattr(reach_numba, "_room", [100])
            found.append(reach(*way, probe, Limits(1e-3)))
    finally:
        torch.set_num_threads(before)
    assert len(found[0]) > 1000
    assert torch.equal(found[0].offsets, found[1].offsets)
    assert torch.equal(found[0].start, found[1].start)


def test_what_is_no_number_stays() -> None:
    """Training has to notice it."""
    probe, way = a_probe(False), some_rays(20)
    assert isinstance(probe.grid, GridDensity)
    with torch.no_grad():
        probe.grid.weights.fill_(float("nan"))
    every = every_sample(way)
    for found in (reach, kernel.reference):
        kept = found(*way, probe, Limits(1e-3, 0.01))
        assert ((kept.offsets.diff() > 0) == (every.offsets.diff() > 0)).all()


def test_no_rays() -> None:
    found = reach(*some_rays(0), a_probe(False), Limits(1e-3))
    assert found.offsets.tolist() == [0] and len(found) == 0
