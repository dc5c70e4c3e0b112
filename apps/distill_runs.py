"""One distillation from beginning to report, with its baselines."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from polyfield.apps.distill_curve import LOOKS, Curve, curve_of, look_at_rays, photographed
from polyfield.apps.distill_image import DistillImageJob
from polyfield.apps.distill_report import report, write_report
from polyfield.apps.distill_scene import DistillJob, Lesson
from polyfield.apps.distill_teacher import held_out, photographs
from polyfield.apps.fit_scene import SceneJob
from polyfield.apps.jobs import Asked, Way, do
from polyfield.apps.presets import ImageRun, SceneRun
from polyfield.errors import InputError
from polyfield.files import read_json
from polyfield.renderers.model import RadianceModel, SignalModel
from polyfield.training.console import Reporter
from polyfield.training.loop import Fit, Progress
from polyfield.training.run import Run, load
from polyfield.training.throughput import query_speed


def distill_image(
    lesson: Lesson, asked: Asked, configs: ImageRun, run: Run, reporter: Reporter, way: Way
) -> SignalModel:
    """Teach a student a picture."""
    model = do(DistillImageJob(asked, configs, lesson, run), run, reporter, way)
    _report(lesson, asked, run, None, reporter)
    return model


def distill_scene(
    lesson: Lesson,
    asked: Asked,
    configs: SceneRun,
    run: Run,
    reporter: Reporter,
    way: Way,
    baseline: bool = False,
    looks: int = LOOKS,
) -> RadianceModel:
    """Teach a student a scene.

    Args:
        lesson: How.
        asked: The student's preset, and the teacher's data.
        configs: The student, with a budget.
        run: Where to.
        reporter: What the user sees.
        way: Fresh, resuming or anew.
        baseline: Whether to train the same student from photographs, too.
        looks: Points of the curve; 0 for none.

    Raises:
        InputError: something asked for can't be done.
    """
    if baseline and held_out(photographs(asked)) is None:
        raise InputError(
            "the photographs for --baseline", f"{asked.data}, which can't be read", "drop it"
        )
    model = do(DistillJob(asked, configs, lesson, run, looks), run, reporter, way)
    found = _baselines(asked, configs, run, reporter, way) if baseline else None
    _report(lesson, asked, run, found, reporter)
    return model


def _report(
    lesson: Lesson, asked: Asked, run: Run, baseline: dict[str, Any] | None, reporter: Reporter
) -> None:
    teacher = Run(Path(lesson.teacher))
    if baseline is None and run.file("report.json").is_file():
        baseline = read_json(run.file("report.json")).get("baseline")
    speeds = {
        name: query_speed(load(one.path).to(asked.device))
        for name, one in (("student", run), ("teacher", teacher))
    }
    reporter.say(write_report(run, report(run, teacher, speeds, curve_of(run), baseline)))


class _Scratch(SceneJob):
    """A student from photographs, watched on the same pixels."""

    def __init__(self, asked: Asked, configs: SceneRun, run: Run) -> None:
        super().__init__(asked, configs)
        self._watched = run
        self._curve: Curve | None = None

    def build(self) -> tuple[RadianceModel, Fit]:
        """The model, its loop and its curve."""
        model, fit = super().build()
        scene = held_out(photographs(self._asked))
        assert scene is not None, "checked before the student learned"
        pixels = photographed(scene, model.background)
        self._curve = Curve(self._watched, look_at_rays(model, pixels))
        return model, fit

    def watch(self, progress: Progress) -> None:
        """A point of the curve, when it is time."""
        assert self._curve is not None
        self._curve.watch(progress)


def _baselines(
    asked: Asked, configs: SceneRun, run: Run, reporter: Reporter, way: Way
) -> dict[str, Any]:
    """The same student from photographs: as many seconds, as many steps."""
    metrics = run.metrics()
    found: dict[str, Any] = {}
    for name, seconds, steps in (
        ("seconds", metrics["seconds_training"], None),
        ("steps", None, metrics["steps"]),
    ):
        scratch = Run(run.path / f"scratch-{name}")
        reporter.say(f"the same student from photographs, as many {name}")
        fit = replace(configs.fit, seconds=seconds, steps=steps)
        do(_Scratch(asked, replace(configs, fit=fit), scratch), scratch, reporter, way)
        own = scratch.metrics()
        found[name] = {
            "psnr": own["psnr"],
            "seconds": own["seconds_training"],
            "steps": own["steps"],
            "curve": curve_of(scratch),
        }
    return found
