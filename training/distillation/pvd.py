"""Distillation along the rays of random poses (PVD, PVD-AL), as an objective of `fit`.

The terms at points are in points.py, PVD-AL's levels in active_learning.py. Teacher and student
are asked at the very same points, the student at some of them (student_subsampling.py); a slow
teacher is not asked at every step (teacher_cache.py). Neither needs an image.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Annotated, Literal

import torch
from torch import Tensor

from polyfield.devices import uniform
from polyfield.fields.base import RadianceField, RadianceSample
from polyfield.ranges import Count, Range, check
from polyfield.renderers.intervals import Intervals
from polyfield.renderers.kernels import composite as kernel
from polyfield.renderers.samplers import Sampler
from polyfield.renderers.volume import points, rendered
from polyfield.scenes.cameras import Cameras
from polyfield.scenes.poses import random_cameras
from polyfield.scenes.rays import Rays
from polyfield.training.distillation.active_learning import (
    POOL_STEPS,
    PosePool,
    RayPool,
    heavy_points,
)
from polyfield.training.distillation.early_termination import ask_until_opaque
from polyfield.training.distillation.extract_occupancy import place_kernels
from polyfield.training.distillation.heads import WithHeads
from polyfield.training.distillation.points import (
    PointLoss,
    feature_term,
    point_terms,
    share_feature,
    size,
)
from polyfield.training.distillation.student_subsampling import at, drawn_samples, filled_in
from polyfield.training.distillation.teacher_cache import Batch, TeacherCache, times_used
from polyfield.training.objectives.photometric import first_rays, ray_count, stored_rays

Level = Literal["poses", "rays", "points"]
LEVELS: tuple[Level, ...] = ("poses", "rays", "points")


@dataclass(frozen=True)
class PoseDistillation:
    """PVD: the student sees what the teacher sees from random poses."""

    loss: PointLoss = PointLoss()
    """Terms at points, and when they count."""
    rendered: Annotated[float, Range(0, 1e6)] = 1.0
    """Weight of the rendered colour in stage 3."""
    samples: Annotated[int, Range(1, 1 << 22)] = 16384
    """Evaluations of the student a step aims at; the number of rays follows."""
    max_rays: Annotated[int, Range(1, 1 << 22)] = 4096
    """Most rays a step; released 4096 of one pose."""
    poses: Annotated[int, Range(1, 1 << 16)] = 48
    """Random poses an epoch, one a step; released 312, in 96 epochs."""
    levels: Annotated[tuple[Level, ...], Count(0, 3)] = ()
    """PVD-AL's levels in use."""
    all_samples: bool = False
    """Ask the student at every sample; else the teacher answers at most of little weight."""
    placed: bool = False
    """Whether the student's kernels are where the detail is, if it has kernels."""

    def build(
        self,
        teacher: RadianceField,
        student: RadianceField,
        sampler: Sampler,
        cameras: Cameras,
        seed: int,
        heads: WithHeads | None = None,
    ) -> PoseObjective:
        """The objective.

        Args:
            teacher: Keeps still.
            student: Learns.
            sampler: Of the student; its grid keeps still too.
            cameras: What random poses are like.
            seed: Of everything random.
            heads: The student with auxiliary heads, if it has them.
        """
        check(self)
        return PoseObjective(self, (teacher, student), sampler, cameras, seed, heads)


class PoseObjective:
    """Draws a pose, marches its rays, asks both fields, compares."""

    def __init__(
        self,
        config: PoseDistillation,
        pair: tuple[RadianceField, RadianceField],
        sampler: Sampler,
        cameras: Cameras,
        seed: int,
        heads: WithHeads | None,
    ) -> None:
        self.config, self.sampler, self.cameras, self.heads = config, sampler, cameras, heads
        self.teacher, self.student = pair
        self.shares = share_feature(self.student, self.teacher)
        # Samples of a field that shades rays don't mix with another's.
        self.all_samples = config.all_samples or any(field.shades_rays for field in pair)
        self.generator = torch.Generator().manual_seed(seed)
        self.rays = min(first_rays(config.samples), config.max_rays)
        self.epoch, self.at = 0, 0
        self.device = self.student.domain.bounds.device
        self._see(random_cameras(cameras, config.poses, self.generator))
        capacity = POOL_STEPS * config.max_rays if "rays" in config.levels else 0
        self.ray_pool = RayPool(capacity, self.device)
        self.pose_pool = PosePool(config.poses)
        self.placed = config.placed
        # Hard examples are hard for the student of now.
        self.cache = TeacherCache(1 if config.levels else times_used(*pair))

    def _see(self, views: Cameras) -> None:
        """Take an epoch's poses: counted on the CPU, rays are made on the fields' device."""
        self.views, self._eyes = views, views.to(self.device)
        self.errors = torch.full((self.config.poses,), -1.0)

    def __call__(self, step: int, progress: float) -> tuple[Tensor, dict[str, float]]:
        """Loss at the rays of one pose."""
        config = self.config
        if self.student.takes_points and not self.placed:
            place_kernels(self.student, self.teacher, self.sampler, self.generator)
            self.placed = True
        batch = self.cache.draw(self.generator)
        new = batch is None
        rays, intervals, theirs = self._ask(progress) if batch is None else _unpacked(batch)
        x, directions = points(rays, intervals)
        if self.all_samples:
            index = torch.arange(len(intervals), device=self.device)
        else:
            index = drawn_samples(theirs.density, intervals, self.generator)
        x, directions = x[index], directions[index]
        numbers = {"rays": float(len(rays)), "samples": float(len(index))}
        stage = config.loss.stage(progress, self.shares)
        if stage == 1:
            mine = self.student.geometry(x)[1]
            loss = feature_term(config.loss, mine, at(theirs, index).feature)
        else:
            few = self.student(x, directions)
            ours = few if self.all_samples else filled_in(few, theirs, index)
            one, two = few, at(theirs, index)
            if "points" in config.levels:
                heavy = (_heavy(ours, intervals) | _heavy(theirs, intervals))[index]
                one, two = at(one, heavy), at(two, heavy)
                x, directions = x[heavy], directions[heavy]
            loss = self._points(one, two, x, directions)
            if stage == 3:
                term, mse = self._rendered(rays, ours, theirs, intervals)
                loss = loss + config.rendered * term
                numbers["mse"] = mse
                if new:
                    self.errors[self.at] = mse
        if new:
            self.at += 1
            self.rays = ray_count(self.rays, len(index), config.samples, config.max_rays)
        return loss, numbers

    def _ask(self, progress: float) -> tuple[Rays, Intervals, RadianceSample]:
        """New rays, and what the teacher answers along them."""
        rays = self._rays(progress)
        every = self.sampler(rays, None, self.generator)
        intervals, theirs = ask_until_opaque(self.teacher, rays, every)
        self.cache.keep(_packed(rays, intervals, theirs))
        return rays, intervals, theirs

    def _rays(self, progress: float) -> Rays:
        """Random pixels of the next pose, and hard rays."""
        if self.at == len(self.views):
            self._next_epoch()
        pose = torch.full((self.rays,), self.at, device=self.device)
        u = uniform((self.rays, 2), self.generator, self.device)
        pixel = (u * self._eyes.size[self.at]).floor() + 0.5
        fresh = self._eyes.rays(pose, pixel)
        if "rays" not in self.config.levels:
            return fresh
        hard = self.ray_pool.draw(self.rays, progress, self.generator)
        return Rays(
            torch.cat([fresh.origins, hard[:, :3]]),
            torch.cat([fresh.directions, hard[:, 3:]]),
            torch.cat([fresh.near, fresh.near[:1].expand(len(hard))]),
            torch.cat([fresh.far, fresh.far[:1].expand(len(hard))]),
            torch.cat([fresh.camera, fresh.camera[:1].expand(len(hard))]),
        )

    def _next_epoch(self) -> None:
        self.epoch, self.at = self.epoch + 1, 0
        fresh = random_cameras(self.cameras, self.config.poses, self.generator)
        # Before stage 3 nothing is rendered, and no pose has shown how hard it is.
        if "poses" in self.config.levels and bool((self.errors >= 0).all()):
            poses = self.pose_pool.renew(
                self.views.poses, self.errors, fresh.poses, self.epoch, self.generator
            )
            fresh = replace(fresh, poses=poses)
        self._see(fresh)

    def _points(
        self,
        ours: RadianceSample,
        theirs: RadianceSample,
        x: Tensor,
        directions: Tensor,
    ) -> Tensor:
        """The terms at points, and those of the heads."""
        loss = self.config.loss
        total = sum(point_terms(loss, ours, theirs, self.shares).values(), x.new_zeros(()))
        if self.heads is not None:
            total = total + self.heads.terms(loss, x, directions, theirs)
        return total

    def _rendered(
        self,
        rays: Rays,
        ours: RadianceSample,
        theirs: RadianceSample,
        intervals: Intervals,
    ) -> tuple[Tensor, float]:
        """Size of the difference in rendered colour, over random backgrounds; its mean square."""
        background = uniform((len(rays), 3), self.generator, self.device)
        seen = rendered(self.student, ours, intervals, rays).over(background)
        with torch.no_grad():
            wanted = rendered(self.teacher, theirs, intervals, rays).over(background)
        residual = seen - wanted
        if "rays" in self.config.levels:
            both = torch.cat([rays.origins, rays.directions], -1)
            self.ray_pool.store(both, residual.detach().abs().sum(-1), self.rays)
        return size(self.config.loss.form, residual), residual.detach().square().mean().item()

    def state(self) -> dict[str, Tensor]:
        """Counters, generator, the epoch's poses and errors, and the pools."""
        return {
            "numbers": torch.tensor([self.rays, self.epoch, self.at, int(self.placed)]),
            "generator": self.generator.get_state(),
            "errors": self.errors,
            "pose_pool": self.pose_pool.poses,
            "views.poses": self.views.poses,
            "views.focal": self.views.focal,
            "views.center": self.views.center,
            "views.size": self.views.size,
            **{f"ray_pool.{name}": tensor for name, tensor in self.ray_pool.state().items()},
            **self.cache.state(),
        }

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Take over what `state` gave."""
        _, self.epoch, self.at, placed = (int(n) for n in state["numbers"])
        self.rays = stored_rays(state["numbers"][0], self.config.max_rays)
        if not 0 <= self.at <= len(state["views.poses"]):
            raise ValueError(f"pose {self.at} of {len(state['views.poses'])}")
        self.placed = bool(placed)
        self.generator.set_state(state["generator"])
        self.pose_pool.poses = state["pose_pool"].clone()
        self._see(
            replace(
                self.views,
                poses=state["views.poses"].clone(),
                focal=state["views.focal"].clone(),
                center=state["views.center"].clone(),
                size=state["views.size"].clone(),
            )
        )
        self.errors = state["errors"].clone()
        self.ray_pool.load_state(
            {name: state[f"ray_pool.{name}"] for name in self.ray_pool.state()}
        )
        self.cache.load_state(state, self.device)


def _packed(rays: Rays, intervals: Intervals, sample: RadianceSample) -> Batch:
    """For the replay; how many samples were left out is not kept."""
    parts = {**vars(rays), "offsets": intervals.offsets, **vars(sample)}
    parts |= {"start": intervals.start, "end": intervals.end}
    return {name: tensor for name, tensor in parts.items() if tensor is not None}


def _unpacked(batch: Batch) -> tuple[Rays, Intervals, RadianceSample]:
    """What `_packed` made of it."""

    def those(kind: type) -> dict[str, Tensor]:
        return {f.name: batch[f.name] for f in fields(kind) if f.name in batch}

    return (
        Rays(**those(Rays)),
        Intervals(**those(Intervals)),
        RadianceSample(**those(RadianceSample)),
    )


def _heavy(sample: RadianceSample, intervals: Intervals) -> Tensor:
    """Mask of PVD-AL's points."""
    with torch.no_grad():
        density = sample.density.detach()
        weights = kernel.weights(density, intervals.length, intervals.offsets)[0]
        opacity = weights.new_zeros(intervals.n_rays).index_add(0, intervals.ray, weights)
        return heavy_points(weights, opacity, intervals)
