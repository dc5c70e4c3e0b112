"""PVD-AL's three levels: hard poses, hard rays and the points that matter.

Source: PVD-AL (arXiv 2304.04012), released code. All numbers are shares of what a step or an epoch
has: a tenth of the rays, a tenth of the poses, the 30 % of a ray's points of largest weight.

Mended: the released code pairs the errors of shuffled poses with poses in order, so that its hard
poses are random ones; here each pose keeps its own error.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from polyfield.renderers.intervals import Intervals
from polyfield.scenes.random_poses import turned

SHARE = 0.1
"""Of rays and poses that count as hard."""
POOL_STEPS = 150
"""The pool of rays holds as many as so many steps have: 614,400 for 4096."""
POINTS = 0.3
"""Of a ray's points that are kept, and one more."""
SOLID = 0.5
"""Least opacity of a ray whose points count."""
FIRST_EPOCH = 4
"""Epoch from which on poses are taken as hard."""
POOL_POSES = 100 / 312
"""The pool of poses is full when it holds more than this share of an epoch's."""


class RayPool:
    """Rays that were hard; once it is full, some of them come back at every step."""

    def __init__(self, capacity: int) -> None:
        self.capacity, self.count = capacity, 0
        self.rays = torch.zeros(capacity, 6)
        self._drawn = torch.zeros(0, dtype=torch.int64)

    @property
    def is_full(self) -> bool:
        """Whether rays come back from now on."""
        return self.count >= self.capacity

    def draw(self, rays: int, generator: torch.Generator) -> Float[Tensor, "k 6"]:
        """Origins and directions for a step of so many rays: a tenth of them, or none."""
        n = hard_count(rays) if self.is_full else 0
        self._drawn = torch.randint(self.capacity, (n,), generator=generator)
        return self.rays[self._drawn]

    def store(self, rays: Float[Tensor, "n 6"], error: Float[Tensor, "n"], batch: int) -> None:
        """Keep the hardest of a step's rays: in place of the drawn ones, or behind the others.

        Args:
            rays: Origins and directions, those that came back included.
            error: Of each, summed over colours.
            batch: Rays the step has without those that came back.
        """
        hard = error.topk(min(hard_count(batch), len(error))).indices
        if self.is_full:
            hard = hard[: len(self._drawn)]
            self.rays[self._drawn[: len(hard)]] = rays[hard]
            return
        hard = hard[: self.capacity - self.count]
        self.rays[self.count : self.count + len(hard)] = rays[hard]
        self.count += len(hard)

    def state(self) -> dict[str, Tensor]:
        """What resuming needs."""
        return {"rays": self.rays, "count": torch.tensor(self.count)}

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Take over what `state` gave."""
        self.rays, self.count = state["rays"].clone(), int(state["count"])


def hard_count(rays: int) -> int:
    """How many of a step's rays are hard: 409 of 4096."""
    return int(SHARE * rays)


class PosePool:
    """Poses that were hard; once it is full, some come back in each epoch, turned a little."""

    def __init__(self, epoch_poses: int) -> None:
        self.limit = POOL_POSES * epoch_poses
        self.poses = torch.zeros(0, 4, 4)

    def renew(
        self,
        seen: Float[Tensor, "n 4 4"],
        error: Float[Tensor, "n"],
        fresh: Float[Tensor, "n 4 4"],
        epoch: int,
        generator: torch.Generator,
    ) -> Float[Tensor, "n 4 4"]:
        """The poses of the next epoch.

        Args:
            seen: The last epoch's.
            error: Mean square error of each of them.
            fresh: New random poses.
            epoch: Number of the epoch that ended, from 1.
            generator: Source of randomness.

        Returns:
            `fresh`, or `fresh` with a tenth of it replaced.
        """
        if epoch < FIRST_EPOCH:
            return fresh
        hard = seen[error.topk(max(1, int(SHARE * len(seen)))).indices]
        if len(self.poses) <= self.limit:
            self.poses = torch.cat([self.poses, hard])
            return fresh
        drawn = torch.randperm(len(self.poses), generator=generator)[: len(hard)]
        places = torch.randperm(len(fresh), generator=generator)[: len(drawn)]
        result = fresh.clone()
        result[places] = turned(self.poses[drawn].double(), generator).float()
        self.poses[drawn] = hard[: len(drawn)]
        return result


def heavy_points(
    weights: Float[Tensor, "n"], opacity: Float[Tensor, "r"], intervals: Intervals
) -> Bool[Tensor, "n"]:
    """The points of largest weight on rays that are solid.

    The first 1 + floor(0.3 n) of a ray's n points in order of weight, none if its opacity is below
    a half.
    """
    ray = intervals.ray
    # Sorted by ray, heavy ones first: the rank is the place behind the ray's beginning.
    order = weights.argsort(descending=True, stable=True)
    order = order[ray[order].argsort(stable=True)]
    rank: Int64[Tensor, "n"] = torch.empty_like(order)
    rank[order] = torch.arange(len(order)) - intervals.offsets[ray[order]]
    counts = intervals.offsets.diff()
    most = (POINTS * counts).floor().long()
    return (rank <= most[ray]) & (opacity[ray] >= SOLID)
