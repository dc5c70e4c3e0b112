"""Marching through an occupancy grid, against a loop over single samples in float64."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from polyfield.backends import dispatch
from polyfield.encodings.domain import domain
from polyfield.renderers.kernels.march import (
    BLOCK,
    FARTHEST,
    HORIZON,
    Lattice,
    clearance,
    entry,
    march,
)

CUBE = torch.tensor([[-1.0, -1.0, -1.0], [1.0, 1.0, 1.0]])
INFINITE = float("inf")


def _norm(p: np.ndarray, bounds: np.ndarray) -> float:
    """Maximum norm of a world point, 1 on the box."""
    return float(np.abs(2 * (p - bounds[0]) / (bounds[1] - bounds[0]) - 1).max())


def _unit(p: np.ndarray, bounds: np.ndarray, unbounded: bool) -> np.ndarray:
    """SceneInfo -> unit cube, from the definition."""
    u = 2 * (p - bounds[0]) / (bounds[1] - bounds[0]) - 1
    if not unbounded:
        return (u + 1) / 2
    norm = _norm(p, bounds)
    if norm > 1:
        u = (2 - 1 / norm) * (u / norm)
    return (u + 2) / 4


def _by_hand(
    ray: tuple[np.ndarray, np.ndarray, float, float, float],
    occupied: np.ndarray,
    bounds: np.ndarray,
    unbounded: bool,
    lattice: Lattice,
) -> tuple[list[tuple[float, float]], list[float]]:
    """(start, end) of the kept samples of one ray, and starts of those on a border.

    A ray is its origin, direction, entry, exit and jitter.
    """
    origin, direction, t, leave, jitter = ray

    def height(t: float) -> float:
        stretch = max(1.0, _norm(origin + t * direction, bounds)) ** 2 if unbounded else 1.0
        return max(lattice.step, lattice.cone * t) * stretch

    t += jitter * height(t)
    r, kept, doubtful = occupied.shape[0], [], []
    while t + height(t) / 2 < leave + 1e-3:
        middle, end = t + height(t) / 2, t + height(t)
        place = _unit(origin + middle * direction, bounds, unbounded) * r
        if np.abs(place - np.round(place)).min() < 1e-3 or abs(middle - leave) < 1e-3:
            doubtful.append(t)
        elif middle < leave and occupied[tuple(np.clip(np.floor(place).astype(int), 0, r - 1))]:
            kept.append((t, end))
        t = end
    return kept, doubtful


@pytest.fixture(params=["numba", "triton", "reference"])
def backend(request: pytest.FixtureRequest):  # noqa: ANN201
    with dispatch.force(request.param):
        yield request.param


def _march(
    origins: Tensor,
    directions: Tensor,
    occupied: Tensor,
    lattice: Lattice,
    unbounded: bool = False,
    jitter: Tensor | None = None,
    far: float = 20.0,
) -> list[list[tuple[float, float]]]:
    """(start, end) of the samples of each ray."""
    n = len(origins)
    space = domain(CUBE, unbounded)
    span = entry(origins, directions, torch.zeros(n), torch.full((n,), far), space)
    jitter = torch.zeros(n) if jitter is None else jitter
    cells = (occupied, clearance(occupied))
    offsets, starts, ends = march(origins, directions, span, jitter, cells, space, lattice)
    pairs = list(zip(starts.tolist(), ends.tolist(), strict=True))
    return [pairs[a:b] for a, b in zip(offsets.tolist(), offsets.tolist()[1:], strict=False)]


@pytest.mark.parametrize("cone", [0.0, 0.02])
@pytest.mark.parametrize("unbounded", [False, True])
def test_against_a_loop(backend: str, unbounded: bool, cone: float) -> None:
    generator = torch.Generator().manual_seed(0)
    n, lattice = 24, Lattice(0.041, cone, 10_000)
    origins = torch.rand(n, 3, generator=generator) * 4 - 2
    target = torch.rand(n, 3, generator=generator) * 1.6 - 0.8
    directions = torch.nn.functional.normalize(target - origins, dim=-1)
    jitter = torch.rand(n, generator=generator)
    occupied = torch.rand(19, 19, 19, generator=generator) < 0.25
    found = _march(origins, directions, occupied, lattice, unbounded, jitter)
    begin, leave = entry(
        origins, directions, torch.zeros(n), torch.full((n,), 20.0), domain(CUBE, unbounded)
    )
    total = 0
    for i in range(n):
        ray = (
            origins[i].double().numpy(),
            directions[i].double().numpy(),
            float(begin[i]),
            float(leave[i]),
            float(jitter[i]),
        )
        wanted, doubtful = _by_hand(
            ray, occupied.numpy(), CUBE.double().numpy(), unbounded, lattice
        )
        sure = [s for s in found[i] if all(abs(s[0] - d) > 3e-3 for d in doubtful)]
        assert len(sure) == len(wanted)
        assert np.allclose(sure, wanted, rtol=1e-4, atol=1e-4)
        total += len(wanted)
    assert total > 200


def test_a_ray_along_an_axis(backend: str) -> None:
    occupied = torch.zeros(8, 8, 8, dtype=torch.bool)
    occupied[2, 5, 5] = occupied[6, 5, 5] = True
    (found,) = _march(
        torch.tensor([[-3.0, 0.3, 0.3]]), torch.tensor([[1.0, 0.0, 0.0]]), occupied, Lattice(0.125)
    )
    # Cells 2 and 6 along x begin 2.5 and 3.5 from the origin and are 0.25 long.
    starts = [s for s, _ in found]
    assert starts == pytest.approx([2.5, 2.625, 3.5, 3.625], abs=1e-5)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_every_axis_and_sense(backend: str, axis: int, sign: float) -> None:
    direction = torch.zeros(1, 3)
    direction[0, axis] = sign
    origin = torch.full((1, 3), 0.1)
    origin[0, axis] = -2.0 * sign
    (found,) = _march(origin, direction, torch.ones(16, 16, 16, dtype=torch.bool), Lattice(0.1))
    assert len(found) == 20
    assert found[0][0] == pytest.approx(1) and found[-1][1] == pytest.approx(3, abs=1e-5)


def test_rays_that_miss(backend: str) -> None:
    origins = torch.tensor([[-3.0, 0.0, 0.0], [0.0, 3.0, 0.0], [-3.0, 1.5, 0.0], [0.0, 0.0, 0.0]])
    directions = torch.tensor([[-1.0, 0.0, 0.0], [0.0, 0.6, 0.8], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])
    found = _march(origins, directions, torch.ones(4, 4, 4, dtype=torch.bool), Lattice(0.5))
    assert [len(f) for f in found] == [0, 0, 0, 2]


def test_a_ray_that_starts_inside(backend: str) -> None:
    (found,) = _march(
        torch.tensor([[0.0, 0.0, 0.5]]),
        torch.tensor([[0.0, 0.0, -1.0]]),
        torch.ones(4, 4, 4, dtype=torch.bool),
        Lattice(0.25),
    )
    assert [s for s, _ in found] == pytest.approx([0, 0.25, 0.5, 0.75, 1, 1.25])


def test_jitter_moves_the_lattice_by_a_share_of_a_step(backend: str) -> None:
    origins = torch.tensor([[-2.0, 0.1, 0.1]]).expand(3, 3).contiguous()
    directions = torch.tensor([[1.0, 0.0, 0.0]]).expand(3, 3).contiguous()
    found = _march(
        origins,
        directions,
        torch.ones(4, 4, 4, dtype=torch.bool),
        Lattice(0.25),
        jitter=torch.tensor([0.0, 0.5, 0.75]),
    )
    assert [f[0][0] for f in found] == pytest.approx([1, 1.125, 1.1875])
    # A middle beyond the exit isn't a sample.
    assert [len(f) for f in found] == [8, 7, 7]


def test_near_and_far_bound_the_middles(backend: str) -> None:
    full = torch.ones(4, 4, 4, dtype=torch.bool)
    origins, directions = torch.tensor([[-2.0, 0.1, 0.1]]), torch.tensor([[1.0, 0.0, 0.0]])
    space = domain(CUBE, False)
    span = entry(origins, directions, torch.tensor([1.3]), torch.tensor([1.9]), space)
    offsets, starts, ends = march(
        origins, directions, span, torch.zeros(1), (full, clearance(full)), space, Lattice(0.25)
    )
    assert starts.tolist() == pytest.approx([1.3, 1.55])
    assert ends.tolist() == pytest.approx([1.55, 1.8]) and offsets.tolist() == [0, 2]


def test_steps_outside_the_box_are_even_in_the_contraction(backend: str) -> None:
    """Beyond |u| = 1 the contracted radius is 2 - 1 / norm: a step is a step of it."""
    (found,) = _march(
        torch.tensor([[0.0, 0.0, 0.0]]),
        torch.tensor([[1.0, 0.0, 0.0]]),
        torch.ones(8, 8, 8, dtype=torch.bool),
        Lattice(0.01),
        unbounded=True,
        far=1000.0,
    )
    t = np.array(found)
    assert t[0, 0] == 0 and t[-1, 1] > 100
    assert np.allclose(t[1:, 0], t[:-1, 1])
    lengths = t[:, 1] - t[:, 0]
    assert np.allclose(lengths, 0.01 * np.maximum(1, t[:, 0]) ** 2, rtol=1e-3)
    radius = 2 - 1 / np.maximum(1, t[(t[:, 0] > 1) & (t[:, 1] < 10)])
    assert np.allclose(np.diff(radius), 0.01, rtol=0.12)


def test_no_ray_ends_later_than_the_horizon() -> None:
    space = domain(CUBE, True)
    begin, leave = entry(
        torch.zeros(1, 3),
        torch.tensor([[1.0, 0, 0]]),
        torch.zeros(1),
        torch.tensor([INFINITE]),
        space,
    )
    assert begin.tolist() == [0] and leave.tolist() == [2 * HORIZON]


def test_entry_by_hand() -> None:
    space = domain(CUBE, False)
    origins = torch.tensor([[-3.0, 0.0, 0.0], [0.5, 0.0, 0.0], [-3.0, 2.0, 0.0], [-2.0, -2.0, 0.0]])
    slant = 1 / math.sqrt(2)
    directions = torch.tensor(
        [[1.0, 0.0, 0.0], [1.0, 0.0, 0.0], [1.0, 0.0, 0.0], [slant, slant, 0.0]]
    )
    begin, leave = entry(origins, directions, torch.zeros(4), torch.full((4,), INFINITE), space)
    assert begin[[0, 1, 3]].tolist() == pytest.approx([2, 0, math.sqrt(2)])
    assert leave[[0, 1, 3]].tolist() == pytest.approx([4, 0.5, 3 * math.sqrt(2)])
    assert leave[2] <= begin[2]
    near, far = torch.tensor([0.5] * 4), torch.tensor([7.0] * 4)
    begin, leave = entry(origins, directions, near, far, domain(CUBE, True))
    assert torch.equal(begin, near) and torch.equal(leave, far)


@pytest.mark.parametrize("size", [1, BLOCK - 1, BLOCK, BLOCK + 1, 20, 50])
def test_clearance_is_the_distance_between_blocks(size: int) -> None:
    occupied = torch.zeros(size, size, size, dtype=torch.bool)
    occupied[-1, -1, 0] = occupied[-1, size // 2, 0] = True
    found = clearance(occupied)
    assert found.shape == (-(-size // BLOCK),) * 3
    full = (occupied.nonzero() // BLOCK).tolist()
    for place in np.ndindex(*found.shape):
        far = min(max(abs(a - b) for a, b in zip(place, one, strict=True)) for one in full)
        assert found[place] == min(far, FARTHEST)


def test_clearance_where_there_is_nothing() -> None:
    assert (clearance(torch.zeros(9, 9, 9, dtype=torch.bool)) == FARTHEST).all()
