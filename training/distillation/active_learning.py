"""PVD-AL's three levels: hard poses, hard rays and the points that matter.

Source: PVD-AL (arXiv 2304.04012), released code. All numbers are shares of what a step or an epoch
has: a tenth of the rays, a tenth of the poses, the 30 % of a ray's points of largest weight.

Mended: the released code pairs the errors of shuffled poses with poses in order, so that its hard
poses are random ones; here each pose keeps its own error.
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Float, Int64
from torch import Tensor

from polyfield.devices import move
from polyfield.renderers.intervals import Intervals
from polyfield.scenes.poses import turned

CPU = torch.device("cpu")
SHARE = 0.1
"""Of rays and poses that count as hard."""
POOL_STEPS = 150
"""The pool of rays holds as many as so many steps have: 614,400 for 4096."""
POOL_OPENS = 1503 / 30_000
"""Progress after which rays come back, however full the pool is: the released one is full then."""
POINTS = 0.3
"""Of a ray's points that are kept, and one more."""
SOLID = 0.5
"""Least opacity of a ray whose points count."""
FIRST_EPOCH = 4
"""Epoch from which on poses are taken as hard."""
POOL_POSES = 100 / 312
"""The pool of poses is full when it holds more than this share of an epoch's."""


class RayPool:
    """Rays that were hard; once it is open, some of them come back at every step.

    It takes as many steps to fill as the released one. Where a budget has fewer, it opens after as
    much progress, with what it has by then.
    """

    def __init__(self, capacity: int, device: torch.device = CPU) -> None:
        """An empty pool; `device` is that of the rays."""
        self.capacity, self.count, self.is_open = capacity, 0, False
        self.began = math.inf
        self.rays = torch.zeros(capacity, 6, device=device)
        self._drawn = torch.zeros(0, dtype=torch.int64, device=device)

    def draw(self, rays: int, progress: float, generator: torch.Generator) -> Float[Tensor, "k 6"]:
        """Origins and directions for a step of so many rays: a tenth of them, or none."""
        self.began = min(self.began, progress) if self.count else math.inf
        ripe = self.count >= self.capacity or progress >= self.began + POOL_OPENS
        self.is_open = self.count > 0 and (self.is_open or ripe)
        n = hard_count(rays) if self.is_open else 0
        drawn = torch.randint(max(1, self.count), (n,), generator=generator)
        self._drawn = move(drawn, self.rays.device)
        return self.rays[self._drawn]

    def store(self, rays: Float[Tensor, "n 6"], error: Float[Tensor, "n"], batch: int) -> None:
        """Keep the hardest of a step's rays: in place of the drawn ones, or behind the others.

        Args:
            rays: Origins and directions, those that came back included.
            error: Of each, summed over colours.
            batch: Rays the step has without those that came back.
        """
        hard = error.topk(min(hard_count(batch), len(error))).indices
        if self.is_open:
            hard = hard[: len(self._drawn)]
            self.rays[self._drawn[: len(hard)]] = rays[hard]
            return
        hard = hard[: self.capacity - self.count]
        self.rays[self.count : self.count + len(hard)] = rays[hard]
        self.count += len(hard)

    def state(self) -> dict[str, Tensor]:
        """What resuming needs."""
        return {
            "rays": self.rays,
            "count": torch.tensor(self.count),
            "open": torch.tensor(self.is_open),
            "began": torch.tensor(self.began),
        }

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Take over what `state` gave."""
        self.rays = state["rays"].to(self.rays.device, copy=True)
        self.count = int(state["count"])
        self.is_open, self.began = bool(state["open"]), float(state["began"])


def hard_count(rays: int) -> int:
    """How many of a step's rays are hard: 409 of 4096."""
    return int(SHARE * rays)


class PosePool:
    """Poses that were hard; once it is full, some come back in each epoch, turned a little.

    There are few of them: they stay on the CPU.
    """

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
    a half. Points that no light reaches count among the n, and are never among the first.
    """
    ray = intervals.ray
    # Sorted by ray, heavy ones first: the rank is the place behind the ray's beginning.
    order = weights.argsort(descending=True, stable=True)
    order = order[ray[order].argsort(stable=True)]
    rank: Int64[Tensor, "n"] = torch.empty_like(order)
    place = torch.arange(len(order), device=order.device)
    rank[order] = place - intervals.offsets[ray[order]]
    counts = intervals.offsets.diff() if intervals.marched is None else intervals.marched
    most = (POINTS * counts).floor().long()
    return (rank <= most[ray]) & (opacity[ray] >= SOLID)
