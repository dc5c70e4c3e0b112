"""What every sampler must do: one parametrised test for each member of the union.

tests/gpu runs a copy of this module on a GPU, by its DEVICE.
"""

import typing
from typing import Any

import pytest
import torch
from torch import Tensor

from polyfield.encodings.domain import Box
from polyfield.fields.probe import Probe
from polyfield.renderers.intervals import Intervals
from polyfield.renderers.radiance_model import SamplerConfig
from polyfield.renderers.samplers import Sampler
from polyfield.scenes.rays import Rays

CONFIGS = [pytest.param(c(), id=c.__name__) for c in typing.get_args(SamplerConfig)]
DEVICE = torch.device("cpu")
BOUNDS = torch.tensor([[-1.0, -2.0, -1.0], [1.0, 2.0, 1.5]])

pytestmark = pytest.mark.parametrize("config", CONFIGS)


def _ball(x: Tensor) -> Tensor:
    """Density per world unit of a ball of radius 0.6."""
    return torch.where(x.norm(dim=-1) < 0.6, 40.0, 0.0)


def _rays(n: int) -> Rays:
    """Towards the middle, from outside the box; the last of them looks away."""
    generator = torch.Generator().manual_seed(0)
    origins = torch.nn.functional.normalize(torch.randn(n, 3, generator=generator), dim=-1) * 5
    aim = torch.rand(n, 3, generator=generator) - 0.5
    directions = torch.nn.functional.normalize(aim - origins, dim=-1)
    directions[-1:] = -directions[-1:]
    near, far = torch.full((n,), 0.1), torch.full((n,), 20.0)
    return Rays(origins, directions, near, far, torch.zeros(n, dtype=torch.int64)).to(DEVICE)


def _trained(config: Any) -> Sampler:
    sampler = config.build(Box(BOUNDS)).to(DEVICE)
    for step in range(0, 272, 16):
        sampler.refresh(_ball, step)
    return sampler


def _check(found: Intervals, rays: Rays) -> None:
    """Packed, in order, apart from one another, in the box up to a step."""
    offsets = found.offsets
    assert len(offsets) == len(rays) + 1 and offsets[0] == 0 and offsets[-1] == len(found)
    assert (offsets.diff() >= 0).all() and (found.length > 0).all()
    same = found.ray[1:] == found.ray[:-1]
    assert (found.start[1:] >= found.end[:-1] - 1e-4)[same].all()
    x = rays.origins[found.ray] + found.middle[:, None] * rays.directions[found.ray]
    low, high = BOUNDS.to(DEVICE)
    assert ((x >= low - 1e-3) & (x <= high + 1e-3)).all()
    assert (found.middle >= rays.near[found.ray]).all()
    assert (found.middle <= rays.far[found.ray]).all()


def test_intervals(config: Any) -> None:
    sampler, rays = _trained(config), _rays(50)
    for generator in (None, torch.Generator().manual_seed(0)):
        found = sampler(rays, Probe(_ball), generator)
        _check(found, rays)
        counts = found.offsets.diff()
        assert (counts[:-1] > 0).any() and counts[-1] == 0
        if found.marched is not None:
            assert (found.marched >= counts).all()


def test_a_generator_says_all(config: Any) -> None:
    sampler, rays = _trained(config), _rays(20)
    same = [sampler(rays, Probe(_ball), torch.Generator().manual_seed(s)) for s in (3, 3, 4)]
    assert torch.equal(same[0].start, same[1].start)
    assert not torch.equal(same[0].start[:5], same[2].start[:5])
    assert torch.equal(sampler(rays, Probe(_ball)).start, sampler(rays, Probe(_ball)).start)


def test_what_is_full_is_covered(config: Any) -> None:
    """Along a ray through the middle of the ball, intervals fill its diameter."""
    sampler = _trained(config)
    # Not along an axis: a ray in the faces of cells belongs to either side.
    direction = torch.nn.functional.normalize(torch.tensor([[1.0, 0.11, 0.07]]), dim=-1)
    rays = Rays(
        -4 * direction,
        direction,
        torch.tensor([0.0]),
        torch.tensor([9.0]),
        torch.zeros(1, dtype=torch.int64),
    ).to(DEVICE)
    found = sampler(rays, Probe(_ball))
    inside = (found.middle - 4).abs() < 0.6
    assert float(found.length[inside].sum()) == pytest.approx(1.2, abs=0.03)


def test_rounds_add_up(config: Any) -> None:
    """The first intervals, then those beyond: together all there are, none of them twice."""
    sampler, rays = _trained(config), _rays(20)
    begin, parts = torch.full_like(rays.near, -torch.inf), []
    whole = sampler.next_intervals(rays, begin, 10_000, _ball)
    _check(whole, rays)
    for _ in range(400):
        part = sampler.next_intervals(rays, begin, 7, _ball)
        _check(part, rays)
        counts = part.offsets.diff()
        assert (counts <= 7).all()
        if not len(part):
            break
        parts.append(part.length.sum())
        last = part.end[(part.offsets[1:] - 1).clamp(min=0)]
        begin = torch.where(counts > 0, last, torch.inf)
    assert float(sum(parts)) == pytest.approx(float(whole.length.sum()), rel=1e-2)


def test_no_rays(config: Any) -> None:
    sampler, rays = _trained(config), _rays(1)[slice(0, 0)]
    for found in (sampler(rays, Probe(_ball)), sampler.next_intervals(rays, rays.near, 4, _ball)):
        assert len(found) == 0 and found.offsets.tolist() == [0]


def test_a_state_says_all(config: Any) -> None:
    one, two, rays = _trained(config), config.build(Box(BOUNDS)).to(DEVICE), _rays(20)
    two.load_state_dict(one.state_dict())
    assert torch.equal(one(rays, Probe(_ball)).start, two(rays, Probe(_ball)).start)


def test_what_it_knows_is_there(config: Any) -> None:
    sampler = _trained(config)
    known = sampler.occupied_points()
    if known is not None:
        x, value = known
        assert len(x) == len(value) > 0 and (x.norm(dim=-1) < 0.9).all()
        assert value.max().item() == pytest.approx(40, rel=1e-3)
    inside = torch.nn.functional.normalize(torch.randn(99, 3), dim=-1) * 0.59
    assert sampler.is_near_occupied(inside.to(DEVICE)).all()
    assert sampler.is_occupied(inside.to(DEVICE) / 2).all()
