"""Distilling a picture's run: by values, anywhere between the pixels too."""

from __future__ import annotations

import time
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from polyfield.apps.distill_curve import Curve, look_at_picture
from polyfield.apps.distill_scene import Lesson
from polyfield.apps.distill_teacher import warn_of_unfinished
from polyfield.apps.evaluate import Measured, evaluate_image
from polyfield.apps.jobs import Asked, Job
from polyfield.apps.presets import ImageRun
from polyfield.devices import describe
from polyfield.errors import InputError
from polyfield.renderers.model import SignalModel
from polyfield.scenes import open_picture
from polyfield.scenes.background import viewing_background
from polyfield.scenes.color import from_float
from polyfield.scenes.signals.image import Picture
from polyfield.training.console import Reporter
from polyfield.training.distillation.values import SignalDistillation
from polyfield.training.loop import Fit, Progress
from polyfield.training.run import Run, load, model_fingerprint


class DistillImageJob(Job[SignalModel]):
    """Teach a student the picture that a run has learned.

    Args:
        asked: The student's preset, seed and so on; its data is the teacher's.
        configs: The student, with a budget.
        lesson: The teacher, and the form of the loss.
        run: Where to; the curve is kept there.
    """

    def __init__(self, asked: Asked, configs: ImageRun, lesson: Lesson, run: Run) -> None:
        self._asked, self._configs, self._lesson = asked, configs, lesson
        self.device, self._run = asked.device, run

    def tree(self) -> dict[str, Any]:
        """What config.yaml says."""
        lesson = {"teacher": self._lesson.teacher, "loss": self._lesson.loss}
        return {**self._asked.tree("image", self._configs), "distilled": lesson}

    def read(self, reporter: Reporter) -> str:
        """Load the teacher, and the picture if it is still there."""
        run = Run(Path(self._lesson.teacher))
        model = load(run.path)
        if not isinstance(model, SignalModel):
            raise InputError("a teacher of a picture", f"a scene's in {run.path}", "change --to")
        self.teacher = model.to(self.device)
        warn_of_unfinished(run, reporter)
        self.picture = self._open(reporter)
        reporter.say(
            f"{run.path}: {self._asked.preset} learns from {run.config()['preset']}, "
            f"{describe(self.device)}, {self._asked.threads} threads, seed {self._asked.seed}"
        )
        return model_fingerprint(run)

    def _open(self, reporter: Reporter) -> Picture | None:
        """The picture the teacher was fitted to, if it is still there."""
        data = self._asked.data
        try:
            picture = open_picture(data, self._asked.read)
        except InputError:
            reporter.say(f"no picture in {data}: the teacher is the measure")
            return None
        ours, theirs = ((one.width, one.height, one.channels) for one in (picture, self.teacher))
        if ours != theirs:
            reporter.warn(f"{data} is not the teacher's picture: the teacher is the measure")
            return None
        return picture

    def build(self) -> tuple[SignalModel, Fit]:
        """The student over the same pixels, and its loop."""
        torch.manual_seed(self._asked.seed)
        teacher, configs = self.teacher, self._configs
        for parameter in teacher.parameters():
            parameter.requires_grad_(False)
        self.student = SignalModel(
            configs.field, teacher.width, teacher.height, teacher.channels, teacher.color_space
        ).to(self.device)
        pixels = teacher.width * teacher.height
        config = SignalDistillation(configs.objective.batch or pixels, self._lesson.loss)
        objective = config.build(teacher.field, self.student.field, self._asked.seed)
        target = self.teacher.render() if self.picture is None else self.picture.pixels
        self._curve = Curve(self._run, look_at_picture(self.student, target))
        return self.student, Fit(self.student.field, objective, configs.fit)

    def begin(self, run: Run) -> None:
        """Nothing more: a picture has no cameras."""

    def watch(self, progress: Progress) -> None:
        """A point of the curve, when it is time."""
        self._curve.watch(progress)

    def measure(self, model: SignalModel, reporter: Reporter) -> Measured:
        """Compare with the teacher, and with the picture if it is there."""
        (ours, student_seconds), (theirs, teacher_seconds) = _timed(model), _timed(self.teacher)
        background = viewing_background(self._asked.background)
        # The teacher's picture, stored as pictures of its colour space are.
        kind = np.dtype(np.uint8 if model.color_space == "srgb" else np.float32)
        seen = Picture("teacher", from_float(theirs.numpy(), kind))
        near = evaluate_image(ours, seen, background)
        found: dict[str, Any] = {
            "psnr_student_vs_teacher": near.metrics["psnr"],
            "frame_seconds_teacher": teacher_seconds,
            "frame_seconds_student": student_seconds,
        }
        if self.picture is None:
            return Measured({**near.metrics, **found}, near.pairs, near.linear)
        measured = evaluate_image(ours, self.picture, background)
        found["psnr_student"] = measured.metrics["psnr"]
        teacher = evaluate_image(theirs, self.picture, background)
        found["psnr_teacher"] = teacher.metrics["psnr"]
        return Measured({**measured.metrics, **found}, measured.pairs, measured.linear)

    def finish(self, run: Run, measured: Measured) -> None:
        """Nothing more."""


FRAMES = 3
"""Pictures that are timed."""


def _timed(model: SignalModel) -> tuple[Float[Tensor, "h w c"], float]:
    """The picture of a model, and the seconds it takes."""
    times = []
    for _ in range(FRAMES):
        began = time.perf_counter()
        found = model.render()
        times.append(time.perf_counter() - began)
    return found, median(times)
