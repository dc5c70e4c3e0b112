"""PVD-AL's counts and thresholds, as released."""

import torch

from polyfield.renderers.intervals import Intervals
from polyfield.training.distillation.active_learning import (
    POOL_STEPS,
    PosePool,
    RayPool,
    hard_count,
    heavy_points,
)


def _rays(n: int, start: int = 0) -> torch.Tensor:
    return torch.arange(start, start + n).float()[:, None].expand(n, 6).clone()


def test_published_counts() -> None:
    assert hard_count(4096) == 409 and POOL_STEPS * 4096 == 614_400
    pool = PosePool(312)
    assert round(pool.limit, 6) == 100


def test_rays_fill_the_pool_and_come_back() -> None:
    """Top tenth of each step until it is full; then the drawn slots get the step's hardest."""
    pool, generator = RayPool(7), torch.Generator().manual_seed(0)
    assert len(pool.draw(30, 0.0, generator)) == 0
    pool.store(_rays(30), torch.arange(30.0), 30)
    assert (
        pool.rays[:3, 0].tolist() == [29, 28, 27]
        and pool.count == 3
        and len(pool.draw(30, 0.04, generator)) == 0
    )
    pool.store(_rays(30, 100), -torch.arange(30.0), 30)
    pool.store(_rays(30, 200), torch.ones(30), 30)
    assert pool.count == 7
    assert pool.rays[3:6, 0].tolist() == [100, 101, 102]
    before = pool.rays.clone()
    drawn = pool.draw(30, 0.04, generator)
    assert drawn.shape == (3, 6)
    batch = torch.cat([_rays(30, 300), drawn])
    error = torch.zeros(33)
    error[4] = 2.0
    error[31] = 1.0
    pool.store(batch, error, 30)
    moved = (pool.rays != before).any(1)
    assert moved.sum() <= 3 and 304 in pool.rays[:, 0].tolist()


def test_the_pool_opens_early_where_steps_are_few() -> None:
    """After as much progress as the released one, with what it has; there is no way back."""
    pool, generator = RayPool(1000), torch.Generator().manual_seed(0)
    assert len(pool.draw(30, 0.5, generator)) == 0
    for progress in (0.5, 0.54, 0.55):
        pool.store(_rays(30), torch.arange(30.0), 30)
        assert len(pool.draw(30, progress, generator)) == 0
    assert pool.count == 9
    assert set(pool.draw(30, 0.551, generator)[:, 0].tolist()) <= {27.0, 28.0, 29.0}
    pool.store(_rays(33, 50), torch.arange(33.0), 30)
    assert pool.count == 9 and pool.rays[:9, 0].max() == 82
    other = RayPool(1000)
    other.load_state(pool.state())
    assert len(other.draw(30, 0.0, generator)) == 3


def test_poses_keep_their_own_errors() -> None:
    """From the fourth epoch the worst tenth is kept; over 100 of 312, some come back, turned."""
    generator = torch.Generator().manual_seed(0)
    pool = PosePool(20)
    seen = torch.eye(4).repeat(20, 1, 1)
    seen[:, 0, 3] = torch.arange(20.0)
    error = torch.zeros(20)
    error[13], error[4] = 2.0, 1.0
    fresh = torch.eye(4).repeat(20, 1, 1)
    fresh[:, 0, 3] = -1
    assert torch.equal(pool.renew(seen, error, fresh, 3, generator), fresh)
    assert len(pool.poses) == 0
    for epoch in range(4, 8):
        assert torch.equal(pool.renew(seen, error, fresh, epoch, generator), fresh)
        assert set(pool.poses[:, 0, 3].tolist()) == {13.0, 4.0}
    assert len(pool.poses) == 8  # more than 20 * 100 / 312
    found = pool.renew(seen, error, fresh, 8, generator)
    back = found[:, 0, 3] >= 0
    assert back.sum() == 2 and not torch.equal(found[back][:, :3, :3], torch.eye(3).repeat(2, 1, 1))
    assert (found[~back] == fresh[~back]).all() and len(pool.poses) == 8


def test_points_of_largest_weight() -> None:
    """1 + floor(0.3 n) of each ray with an opacity of at least a half."""
    offsets = torch.tensor([0, 10, 10, 13, 15])
    intervals = Intervals(offsets, torch.zeros(15), torch.ones(15))
    weights = torch.tensor([0.0, 0.1, 0.05, 0.2, 0.02, 0.15, 0.01, 0.0, 0.0, 0.0])
    weights = torch.cat([weights, torch.tensor([0.2, 0.5, 0.1]), torch.tensor([0.2, 0.29])])
    opacity = torch.tensor([0.53, 0.0, 0.8, 0.49])
    found = heavy_points(weights, opacity, intervals).nonzero()[:, 0].tolist()
    assert found == [1, 2, 3, 5, 11]


def test_points_in_the_dark_count_among_a_rays() -> None:
    """Of 10 marched points, three of which are left: the four heaviest, so all three."""
    intervals = Intervals(torch.tensor([0, 3]), torch.zeros(3), torch.ones(3), torch.tensor([10]))
    weights = torch.tensor([0.3, 0.2, 0.4])
    assert heavy_points(weights, torch.ones(1), intervals).all()
    few = Intervals(torch.tensor([0, 3]), torch.zeros(3), torch.ones(3))
    assert heavy_points(weights, torch.ones(1), few).tolist() == [False, False, True]


def test_no_points_at_all() -> None:
    intervals = Intervals(torch.tensor([0, 0]), torch.zeros(0), torch.zeros(0))
    assert heavy_points(torch.zeros(0), torch.zeros(1), intervals).shape == (0,)
