"""The occupancy grid: what it must not miss."""

import pytest
import torch
from torch import Tensor

from polyfield.encodings.domain import Box
from polyfield.fields.probe import Probe
from polyfield.renderers.occupancy import OccupancyGrid, OccupancySampler
from polyfield.scenes.rays import Rays

BOUNDS = torch.tensor([[-1.0, -1.0, -1.0], [1.0, 1.0, 1.0]])


def corner_of_a_cell(x: Tensor) -> Tensor:
    """Dense within a hundredth of a corner of cells alone."""
    return ((x - 0.25).norm(dim=-1) < 0.01).float() * 1e4


def thin_sheet(x: Tensor) -> Tensor:
    """A slanted sheet, a tenth of a cell thick: a random point of a cell seldom meets it."""
    tilt = x @ torch.tensor([0.8, 0.6, 0.02])
    return (tilt.abs() < 0.006).float() * 1e4


def grid(**numbers: float) -> OccupancySampler:
    config = OccupancyGrid(resolution=16, steps=128, sweep=32, points=512, **numbers)  # type: ignore[arg-type]
    return config.build(Box(BOUNDS))


@pytest.mark.parametrize("corners", [0, 256])
def test_corners_are_looked_at(corners: int) -> None:
    sampler = grid(corners=corners)
    for step in range(0, 513, 16):
        sampler.refresh(corner_of_a_cell, step)
    # The corner at (0.25, 0.25, 0.25) is of the cells 9 and 10 along each axis.
    assert bool(sampler.occupied[9:11, 9:11, 9:11].all()) == bool(corners)


def test_all_layers_of_corners_are_looked_at() -> None:
    """In pieces or at once: a cell has the greatest density of its eight corners."""
    sampler = grid()
    sampler.value.zero_()
    sampler._look_at_corners(lambda x: x.sum(-1).exp(), 1.0)
    axis = torch.arange(1, 17) / 16 * 2 - 1
    high = axis[:, None, None] + axis[:, None] + axis
    torch.testing.assert_close(sampler.value, high.exp())


def test_pieces_of_corners_are_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    whole, pieces = grid(), grid()
    whole._look_at_corners(thin_sheet, 1.0)
    monkeypatch.setattr("polyfield.renderers.occupancy.CHUNK", 17 * 17 * 3)
    pieces._look_at_corners(thin_sheet, 1.0)
    assert torch.equal(whole.value, pieces.value)


def test_settled_it_misses_little_of_a_sheet() -> None:
    """Cells that the sheet goes through, by a thousand points each."""
    sampler = grid()
    for step in range(0, 513, 16):
        sampler.refresh(thin_sheet, step)
    offered = torch.rand(16, 16, 16, 1000, 3, generator=torch.Generator().manual_seed(1))
    index = torch.stack(torch.meshgrid(*[torch.arange(16)] * 3, indexing="ij"), -1)
    x = (index[..., None, :] + offered) / 16 * 2 - 1
    through = (thin_sheet(x.view(-1, 3)).view(16, 16, 16, -1) > 0).float().mean(-1) > 0.03
    before = float(sampler.occupied[through].float().mean())
    sampler.settle(thin_sheet)
    after = float(sampler.occupied[through].float().mean())
    assert after > 2 * before and after > 0.7


def test_settled_it_forgets_what_was_there() -> None:
    sampler = grid()
    sampler.refresh(lambda x: torch.full((len(x),), 50.0), 0)
    sampler.settle(corner_of_a_cell)
    assert int(sampler.occupied.sum()) == 8


def test_settling_is_the_same_each_time() -> None:
    one, two = grid(), grid()
    one.settle(thin_sheet)
    two.settle(thin_sheet)
    two.settle(thin_sheet)
    assert torch.equal(one.value, two.value) and torch.equal(one.occupied, two.occupied)


def test_cells_that_never_may_be_occupied_stay_empty() -> None:
    sampler = grid()
    sampler.keep_only(lambda x: x[:, 0] < -0.5)
    sampler.settle(lambda x: torch.full((len(x),), 50.0))
    assert bool(sampler.occupied[:3].all()) and not bool(sampler.occupied[6:].any())


def test_thin_samples_are_left_out_of_training_alone() -> None:
    """Fog of thickness 0.001 a sample, and a ball of something."""

    def foggy(x: Tensor) -> Tensor:
        step = 3**0.5 * 2 / 128
        return torch.where(x.norm(dim=-1) < 0.3, 5.0, 0.001 / step)

    ray = _one_ray()
    every, thick = grid(threshold=5e-4), grid(threshold=5e-4, thin=0.02)
    for sampler in (every, thick):
        sampler.settle(foggy)
    draw = torch.Generator().manual_seed
    assert len(every(ray, Probe(foggy), draw(0))) > 60
    kept = thick(ray, Probe(foggy), draw(0))
    assert len(kept) and bool(((kept.middle - 3).abs() < 0.31).all())
    assert len(thick(ray, Probe(foggy))) == len(every(ray, Probe(foggy)))


@pytest.mark.parametrize("steps", [128, 600, 2048])
def test_a_field_of_fog_keeps_its_samples(steps: int) -> None:
    """As each field begins; the finer the steps, the thinner its samples."""
    config = OccupancyGrid(resolution=16, steps=steps, sweep=32, thin=3e-3)
    sampler = config.build(Box(BOUNDS))
    sampler.refresh(_fog, 0)
    draw = torch.Generator().manual_seed(0)
    kept, every = sampler(_one_ray(), Probe(_fog), draw), sampler(_one_ray(), None)
    assert len(kept) > 0.8 * len(every) > 0


def test_what_is_fog_is_known_of_a_grid_that_was_read() -> None:
    one, two = grid(thin=0.02), grid(thin=0.02)
    one.settle(lambda x: torch.where(x.norm(dim=-1) < 0.3, 5.0, 0.1))
    two.load_state_dict(one.state_dict())
    assert two._mean == one._mean > 0


def test_finer_steps_of_another_make_thinner_fog() -> None:
    teacher = OccupancyGrid(resolution=16, steps=512, thin=0.5).build(Box(BOUNDS)).handover()
    assert OccupancyGrid(steps=256, thin=0.004).following(teacher, True).thin == 0.002


def _fog(x: Tensor) -> Tensor:
    """One, but for a little: as of a field whose table is next to zero."""
    return 0.5 + 1e-3 * x[:, 0]


def _one_ray() -> Rays:
    return Rays(
        torch.tensor([[-3.0, 0.05, 0.02]]),
        torch.tensor([[1.0, 0.0, 0.0]]),
        torch.tensor([0.0]),
        torch.tensor([9.0]),
        torch.zeros(1, dtype=torch.int64),
    )
