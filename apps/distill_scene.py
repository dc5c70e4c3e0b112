"""Distilling a radiance run: the teacher, the student, and what is measured of both."""

from __future__ import annotations

import shutil
import time
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import Any, Literal

import torch

from polyfield.apps.distill_curve import LOOKS, Curve, Pixels, imagined, look_at_rays, photographed
from polyfield.apps.distill_teacher import (
    held_out,
    photographs,
    radiance_teacher,
    warn_of_unfinished,
)
from polyfield.apps.evaluate import Measured, evaluate_scene
from polyfield.apps.jobs import Asked, Job
from polyfield.apps.presets import SceneRun
from polyfield.devices import describe
from polyfield.errors import InputError
from polyfield.files import write_whole
from polyfield.renderers.model import RadianceModel
from polyfield.renderers.occupancy import OccupancyGrid, OccupancySampler
from polyfield.scenes import open_capture
from polyfield.scenes.background import training_background
from polyfield.scenes.base import Scene
from polyfield.scenes.camera_files import fingerprint, read_cameras
from polyfield.scenes.cameras import Cameras
from polyfield.scenes.poses import random_cameras
from polyfield.training.console import Reporter
from polyfield.training.distillation.extract_occupancy import extract_occupancy
from polyfield.training.distillation.heads import WithHeads
from polyfield.training.distillation.kilonerf import CellDistillation
from polyfield.training.distillation.points import PointLoss, inherit
from polyfield.training.distillation.pvd import Level, PoseDistillation
from polyfield.training.figures import Pair
from polyfield.training.loop import Fit, FitConfig, Objective, Progress
from polyfield.training.run import Run, model_fingerprint
from polyfield.training.scores import psnr, ssim
from polyfield.training.staged import Phases

Method = Literal["pvd", "pvd-al", "kilonerf"]
UNSEEN = 4
"""New poses from which student and teacher are compared."""
MARCH = ("steps", "cone", "limit", "threshold")
"""What a student's grid takes over of its teacher's."""
HEAD_RATE = 1e-2
"""Learning rate of auxiliary heads."""
BATCH = 0.5
"""Samples a step along rays, times the preset's: targets have no noise, so more steps are better.

Deep networks gain 1 to 3 dB in a minute of two slow cores, grids nothing: benchmarks/README.md.
"""


@dataclass(frozen=True)
class Lesson:
    """How to distil."""

    teacher: str
    """Path of the teacher's run."""
    method: Method = "pvd"
    """Along rays of random poses, the same with hard examples, or at points of cells first."""
    levels: tuple[Level, ...] = ()
    """PVD-AL's levels."""
    heads: bool = False
    """Whether the student has auxiliary heads while it learns."""
    loss: Literal["norm", "mse"] = "norm"
    """Form of the residuals."""
    clamp: bool = True
    """Whether log-densities are clamped."""
    stages: bool = True
    """Whether terms come one after the other; if not, KiloNeRF's way ends with points of cells."""
    inherit: bool = True
    """Whether grid and heads are taken from the teacher."""
    lend: bool = True
    """Whether the teacher answers for the student where little is to be seen."""
    finetune: str | None = None
    """Photographs for as much training again."""


class DistillJob(Job[RadianceModel]):
    """Teach a student what a run has learned.

    Args:
        asked: The student's preset, seed and so on; its data is the teacher's.
        configs: The student, with a budget.
        lesson: How.
        run: Where to; the curve is kept there.
        looks: Points of the curve; 0 for none.
    """

    def __init__(
        self, asked: Asked, configs: SceneRun, lesson: Lesson, run: Run, looks: int = LOOKS
    ) -> None:
        self._asked, self._configs, self._lesson = asked, configs, lesson
        self.device = asked.device
        self._run, self._looks = run, looks
        self.curve: Curve | None = None

    def tree(self) -> dict[str, Any]:
        """What config.yaml says."""
        lesson = {**vars(self._lesson), "levels": list(self._lesson.levels)}
        return {**self._asked.tree("scene", self._configs), "distilled": lesson}

    def read(self, reporter: Reporter) -> str:
        """Load the teacher and its cameras, and the photographs if they are asked for."""
        self._teacher = Run(Path(self._lesson.teacher))
        self.teacher = radiance_teacher(self._teacher).to(self.device)
        warn_of_unfinished(self._teacher, reporter)
        views = read_cameras(self._teacher.file("cameras.json"))
        if not views.get("train"):
            raise InputError("a teacher with training cameras", "none", "fit it again")
        self.cameras = Cameras.stack(views["train"])
        self.capture = photographs(self._asked)
        if self.capture is None:
            reporter.say(f"no photographs in {self._asked.data}: the teacher is the measure")
        found = [model_fingerprint(self._teacher)]
        self._finetune = None
        if self._lesson.finetune is not None:
            self._finetune, name = self._photographs(self._lesson.finetune)
            found.append(name)
        reporter.say(
            f"{self._teacher.path}: {self._asked.preset} learns from "
            f"{self._teacher.config()['preset']} by {self._lesson.method}, "
            f"{describe(self.device)}, {self._asked.threads} threads, seed {self._asked.seed}"
        )
        return "-".join(found)

    def _photographs(self, data: str) -> tuple[Scene, str]:
        """The training views to fine-tune on, and what they are recognised by."""
        capture = open_capture(data, self._asked.read)
        theirs = self.teacher.color_space
        if capture.color_space != theirs:
            raise InputError(
                f"{theirs} photographs for --finetune, as the teacher's",
                f"{capture.color_space} ones in {data}",
                "give those that the teacher was fitted to",
            )
        scene = capture.scene("train")
        return scene, fingerprint(capture, scene)

    def build(self) -> tuple[RadianceModel, Fit]:
        """The student in the teacher's world, and its loop."""
        torch.manual_seed(self._asked.seed)
        lesson, configs, teacher = self._lesson, self._configs, self.teacher
        for parameter in teacher.parameters():
            parameter.requires_grad_(False)
        theirs, grid = teacher.renderer.sampler, None
        sampler = configs.sampler
        if (
            lesson.inherit
            and isinstance(theirs, OccupancySampler)
            and isinstance(sampler, OccupancyGrid)
        ):
            # As coarse steps as mlp's lose three decibels of a teacher with finer ones, and by
            # another threshold other cells are occupied.
            sampler = replace(sampler, **{name: getattr(theirs.config, name) for name in MARCH})
            if lesson.method != "kilonerf":
                grid = theirs.value
                sampler = replace(sampler, resolution=len(grid))
        student = RadianceModel(configs.field, sampler, teacher.world).to(self.device)
        ours = student.renderer.sampler
        if not isinstance(ours, OccupancySampler):
            raise InputError("a student with an occupancy grid", type(ours).__name__, "change it")
        if grid is None:
            extract_occupancy(ours, teacher.field.density, theirs, lesson.inherit)
        else:
            ours.adopt(grid)
        if lesson.inherit:
            inherit(student.field, teacher.field)
        heads = WithHeads(student.field).to(self.device) if lesson.heads else None
        objective, fit = self._objective(student, heads)
        if self._looks:
            self.curve = Curve(self._run, look_at_rays(student, self._pixels()), self._looks)
        return student, Fit(student.field if heads is None else heads, objective, fit)

    def _pixels(self) -> Pixels:
        """What the curve is measured on: photographs, or what the teacher sees from new poses."""
        scene = held_out(self.capture)
        if scene is not None:
            return photographed(scene, self.teacher.background)
        unseen = random_cameras(self.cameras, 64, torch.Generator().manual_seed(1))
        return imagined(self.teacher, unseen)

    def _objective(
        self, student: RadianceModel, heads: WithHeads | None
    ) -> tuple[Objective, FitConfig]:
        lesson, configs, seed = self._lesson, self._configs, self._asked.seed
        fit = replace(configs.fit, rates={**configs.fit.rates, "heads": HEAD_RATE})
        sampler, samples = student.renderer.sampler, configs.objective.samples
        cells = lesson.method == "kilonerf"
        stages, clamp = PointLoss().stages, PointLoss().clamp
        loss = PointLoss(
            lesson.loss,
            clamp=clamp if lesson.clamp else None,
            stages=stages if lesson.stages and not cells else (0.0, 0.0),
        )
        config = PoseDistillation(
            loss, samples=round(BATCH * samples), levels=lesson.levels, lend=lesson.lend
        )
        pair = self.teacher.field, student.field
        objective: Objective
        if not cells:
            objective = config.build(*pair, sampler, self.cameras, seed, heads)
        else:
            objective = CellDistillation(samples).build(*pair, sampler, seed)
            if lesson.stages:
                # What the teacher renders comes where KiloNeRF has photographs.
                rays = replace(config, placed=True).build(*pair, sampler, self.cameras, seed)
                objective = Phases([(stages[1], objective), (1.0, rays)])
        if self._finetune is None:
            return objective, fit
        background = training_background(self._asked.background)
        if not self._finetune.has_alpha and not self.teacher.world.unbounded:
            background = self.teacher.background
        photographs = configs.objective.build(
            self._finetune.to(self.device),
            student.field,
            student.renderer,
            background,
            seed,
            keep_grid=True,
        )
        return Phases([(0.5, objective), (1.0, photographs)]), replace(
            fit,
            seconds=None if fit.seconds is None else 2 * fit.seconds,
            steps=None if fit.steps is None else 2 * fit.steps,
        )

    def begin(self, run: Run) -> None:
        """The cameras are the teacher's."""
        source = self._teacher.file("cameras.json")
        write_whole(run.file("cameras.json"), lambda path: shutil.copyfile(source, path))

    def watch(self, progress: Progress) -> None:
        """A point of the curve, when it is time."""
        if self.curve is not None:
            self.curve.watch(progress)

    def measure(self, model: RadianceModel, reporter: Reporter) -> Measured:
        """Compare with the teacher from new poses, and with the photographs if they are there."""
        near = likeness(model, self.teacher, self.cameras)
        found: dict[str, Any] = {
            "psnr_student_vs_teacher": near["psnr"],
            "frame_seconds_teacher": near["seconds_teacher"],
            "frame_seconds_student": near["seconds_student"],
        }
        measured = None
        if self.capture is not None:
            try:
                measured = evaluate_scene(model, self.capture, "test", reporter)
            except InputError as error:
                reporter.warn(f"measured against the teacher alone, not the photographs: {error}")
        if self.capture is None or measured is None:
            pairs = near["pairs"]
            facts = {"split": "unseen poses", "views": UNSEEN, "frames_skipped": 0}
            score = {"psnr": near["psnr"], "ssim": near["ssim"]}
            return Measured({**found, **facts, **score}, pairs, model.color_space == "linear")
        theirs, data = self._teacher.metrics(), self._asked.data
        same = theirs.get("data", data) == data
        if "psnr" not in theirs or theirs.get("split") != measured.metrics["split"] or not same:
            theirs = evaluate_scene(self.teacher, self.capture, "test", reporter).metrics
        found["psnr_student"] = measured.metrics["psnr"]
        found["psnr_teacher"] = theirs["psnr"]
        return replace(measured, metrics={**measured.metrics, **found})

    def finish(self, run: Run, measured: Measured) -> None:
        """The report is written by the verb: it may have baselines to wait for."""


def likeness(student: RadianceModel, teacher: RadianceModel, cameras: Cameras) -> dict[str, Any]:
    """PSNR and SSIM of the student against the teacher from new poses, and seconds a frame."""
    unseen = random_cameras(cameras, UNSEEN, torch.Generator().manual_seed(2))
    scores, similar, pairs = [], [], []
    times: dict[str, list[float]] = {"student": [], "teacher": []}
    for index in range(UNSEEN):
        rays, frames = unseen.view(index), {}
        for name, model in (("teacher", teacher), ("student", student)):
            began = time.perf_counter()
            frames[name] = model.render_rays(rays).color.clamp(0, 1)
            times[name].append(time.perf_counter() - began)
        scores.append(psnr(frames["student"], frames["teacher"]))
        similar.append(ssim(frames["student"], frames["teacher"]))
        pairs.append(Pair(frames["teacher"], frames["student"], f"new pose {scores[-1]:.2f} dB"))
    return {
        "psnr": sum(scores) / UNSEEN,
        "ssim": sum(similar) / UNSEEN,
        "pairs": pairs,
        "seconds_teacher": median(times["teacher"]),
        "seconds_student": median(times["student"]),
    }
