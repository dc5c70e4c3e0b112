"""Kernels that put several ops in one, against the ops that they are made of."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from polyfield.backends import dispatch
from polyfield.encodings.domain import domain
from polyfield.encodings.hash_grid import HashGrid
from polyfield.encodings.kernels.spherical_harmonics import spherical_harmonics
from polyfield.encodings.spherical_harmonics import SphericalHarmonics
from polyfield.fields.kernels import grid_radiance_numba
from polyfield.fields.kernels.grid_radiance import (
    GridRadiance,
    _grid_radiance,
    _grid_radiance_backward,
    grid_radiance,
    reference,
)
from polyfield.fields.probe import GridDensity, Probe
from polyfield.fields.radiance import Radiance, RadianceMLPField
from polyfield.renderers.intervals import Intervals
from polyfield.renderers.kernels import reach as kernel
from polyfield.renderers.kernels import reach_numba
from polyfield.renderers.kernels.along import along
from polyfield.renderers.kernels.along import reference as along_reference
from polyfield.renderers.kernels.march import Lattice, clearance, entry, march
from polyfield.renderers.kernels.reach import Limits, Marching, reach
from polyfield.scenes.rays import Rays

BOUNDS = torch.tensor([[-1.0, -0.5, -2.0], [1.5, 1.0, 0.5]])
GRID = HashGrid(levels=5, features=4, log2_size=10, base_resolution=4, finest_resolution=40)
USUAL = Radiance(position=GRID)
NEAR = 1e-4
"""Of a hidden unit to where its slope changes; see `from_zero`."""


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def a_field(unbounded: bool, smooth: bool = False, config: Radiance = USUAL) -> RadianceMLPField:
    torch.manual_seed(3)
    field = config.build(domain(BOUNDS, unbounded))
    field.position.smooth = smooth
    with torch.no_grad():
        field.position.table.normal_(generator=seeded(1))
    return field


def directions(n: int) -> Tensor:
    return torch.nn.functional.normalize(torch.randn(n, 3, generator=seeded(5)), dim=-1)


def parts(field: RadianceMLPField) -> GridRadiance:
    found = field._as_one_op()
    assert found is not None
    return found


def learned(field: RadianceMLPField) -> list[Tensor]:
    return [field.position.table, field.density_network.weights, field.color_network.weights]


def from_zero(inputs: Tensor, network: tuple[Tensor, list[int]]) -> Tensor:
    """How near to 0 a row's nearest hidden value is before its ReLU, in means of the layer's."""
    weights, widths = network
    least, at = torch.full((len(inputs),), torch.inf), 0
    for n_in, n_out in zip(widths[:-2], widths[1:-1], strict=True):
        inputs = inputs @ weights[at : at + n_in * n_out].view(n_out, n_in).T
        at += n_in * n_out
        least = torch.minimum(least, (inputs.abs() / inputs.abs().mean()).amin(1))
        inputs = inputs.relu()
    return least


@torch.no_grad()
def some_points(field: RadianceMLPField, n: int) -> tuple[Tensor, Tensor]:
    """n points and directions where rounding does not decide which units of the networks are on."""
    x, way = torch.randn(2 * n, 3, generator=seeded(2)) * 2, directions(2 * n)
    whole = parts(field)
    view = spherical_harmonics(way, whole.degree)
    v = reference(x, way, whole)[2]
    clear = from_zero(whole.grid(whole.domain(x)), whole.density) > NEAR
    clear &= from_zero(torch.cat([v, view], -1), whole.color) > NEAR
    assert int(clear.sum()) >= n
    return x[clear][:n], way[clear][:n]


def outcome(op: Any, field: RadianceMLPField, n: int) -> list[Tensor]:
    """Values and gradients of n points."""
    answers = op(*some_points(field, n), parts(field))
    along = [torch.randn(a.shape, generator=seeded(9)) for a in answers]
    return [*answers, *torch.autograd.grad(answers, learned(field), along)]


def check_parts(field: RadianceMLPField, n: int) -> None:
    """float32 sums of some hundred terms, in another order."""
    pairs = zip(outcome(grid_radiance, field, n), outcome(reference, field, n), strict=True)
    for ours, theirs in pairs:
        scale = float(theirs.detach().abs().max()) if theirs.numel() else 1.0
        torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=3e-5 * scale)


@pytest.mark.parametrize("n", [0, 1, 17, 1000, 3000])
@pytest.mark.parametrize("unbounded", [False, True])
def test_a_radiance_field_is_its_parts(n: int, unbounded: bool) -> None:
    check_parts(a_field(unbounded, smooth=unbounded), n)


@pytest.mark.parametrize("degree", [1, 2, 3, 4])
def test_harmonics_of_any_degree(degree: int) -> None:
    config = replace(USUAL, direction=SphericalHarmonics(degree))
    field = a_field(False, config=config)
    assert parts(field).degree == degree
    check_parts(field, 900)


@pytest.mark.parametrize("features", [1, 2, 8])
def test_entries_of_any_size(features: int) -> None:
    check_parts(a_field(True, config=Radiance(position=replace(GRID, features=features))), 900)


@pytest.mark.parametrize(
    "config",
    [
        replace(USUAL, hidden=20),
        replace(USUAL, hidden=100),
        replace(USUAL, density_layers=0),
        replace(USUAL, color_layers=0),
        replace(USUAL, color_layers=1),
        replace(USUAL, feature=1),
        replace(USUAL, feature=5),
        replace(USUAL, feature=1, density_layers=0, color_layers=0),
    ],
)
def test_networks_of_any_shape(config: Radiance) -> None:
    check_parts(a_field(False, config=config), 900)


def test_the_same_bits_each_time() -> None:
    field = a_field(False)
    again = zip(outcome(grid_radiance, field, 900), outcome(grid_radiance, field, 900), strict=True)
    assert all(torch.equal(one, two) for one, two in again)


@pytest.mark.parametrize("frozen", [0, 1, 2])
def test_what_is_frozen_has_no_gradient(frozen: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """And a frozen table's is not even computed; the others' are the same."""
    field = a_field(False)
    every = outcome(grid_radiance, field, 900)[3:]
    if frozen == 0:
        monkeypatch.setattr(grid_radiance_numba, "backward_table", None)
    learned(field)[frozen].requires_grad_(False)
    answers = grid_radiance(*some_points(field, 900), parts(field))
    torch.autograd.backward(answers, [torch.randn(a.shape, generator=seeded(9)) for a in answers])
    for i, (parameter, gradient) in enumerate(zip(learned(field), every, strict=True)):
        if i == frozen:
            assert parameter.grad is None
        else:
            assert parameter.grad is not None and torch.equal(parameter.grad, gradient)


@pytest.mark.parametrize("need_table", [True, False])
def test_torch_sees_one_op(need_table: bool) -> None:
    field, n = a_field(True), 40
    whole, x = parts(field), torch.randn(n, 3, generator=seeded(2))
    levels, bounds = whole.grid.levels, whole.domain.bounds
    shape = (
        whole.domain.contracted, list(levels.scales), list(levels.resolutions),
        list(levels.sizes), whole.grid.features, whole.grid.smooth, whole.degree,
        whole.density[1], whole.color[1],
    )  # fmt: skip
    given = (x, directions(n), *(t.detach() for t in learned(field)), bounds)
    torch.library.opcheck(_grid_radiance, (*given, *shape))
    found = list(_grid_radiance(*given, *shape))
    grads = [torch.rand(t.shape, generator=seeded(9)) for t in found[:3]]
    backward = (grads, *given, found, *shape, need_table)
    torch.library.opcheck(_grid_radiance_backward, backward)
    assert bool(_grid_radiance_backward(*backward)[0].numel()) == need_table


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
    most = int(every.offsets.diff().max())
    assert most == limit or (limit == 1024 and most > 6)
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


@pytest.mark.parametrize("rays", [0, 1, 300])
def test_points_lie_along_their_rays(rays: int) -> None:
    way, *_ = some_rays(rays)
    every = every_sample(some_rays(rays))
    given = (way.origins, way.directions, every.offsets, every.start, every.end)
    for ours, theirs in zip(along(*given), along_reference(*given), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-6)


def test_points_have_the_gradient_of_rays() -> None:
    way, *_ = some_rays(5)
    every = every_sample(some_rays(5))
    origins = way.origins.requires_grad_()
    x, _ = along(origins, way.directions, every.offsets, every.start, every.end)
    found = torch.autograd.grad(x.sum(), origins)[0]
    torch.testing.assert_close(found, every.offsets.diff()[:, None].expand(-1, 3).float())


def test_rays_enter_and_leave_the_box_where_torch_says() -> None:
    """Also those that run along a face, and those that miss."""
    generator = seeded(4)
    origins = torch.randn(500, 3, generator=generator) * 2
    aim = torch.nn.functional.normalize(torch.randn(500, 3, generator=generator), dim=-1)
    aim[:30, 1], aim[30:40, 2] = 0.0, -0.0
    near, far = torch.full((500,), 0.05), torch.full((500,), 9.0)
    space = domain(BOUNDS, False)
    ours = entry(origins, aim, near, far, space)
    with dispatch.force("reference"):
        theirs = entry(origins, aim, near, far, space)
    for one, two in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one, two, rtol=1e-5, atol=1e-6)
