"""Baselines of a distillation: the same student from the data, as many seconds, as many steps."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from polyfield.training.fit import RunOptions, RunSpec, fit
from polyfield.training.run import Run
from polyfield.training.task import Task
from polyfield.training.watchers.console import Reporter
from polyfield.training.watchers.probe import ProbeCurve, curve_of


def scratch(
    task: Task[Any, Any], spec: RunSpec, student: Run, reporter: Reporter, options: RunOptions
) -> dict[str, Any]:
    """Train a student from the data, in folders below its own.

    Args:
        task: The student.
        spec: Of the student's run.
        student: Its run, measured.
        reporter: What the user sees.
        options: As the student's.

    Returns:
        What each reached, by "seconds" and "steps".
    """
    metrics, name = student.metrics(), task.metric.name
    found: dict[str, Any] = {}
    for what, seconds, steps in (
        ("seconds", metrics["seconds_training"], None),
        ("steps", None, metrics["steps"]),
    ):
        run = Run(student.path / f"scratch-{what}")
        reporter.say(f"the same student from the data, as many {what}")
        one = replace(task, fit=replace(task.fit, seconds=seconds, steps=steps))  # type: ignore[type-var]
        fit(
            one, spec, run, reporter, options,
            lambda made, data, own=run: [  # type: ignore[misc]
                ProbeCurve(own, task.metric, task.probe(made, data, None))
            ],
        )  # fmt: skip
        own = run.metrics()
        found[what] = {
            name: own[name],
            "seconds": own["seconds_training"],
            "steps": own["steps"],
            "curve": curve_of(run),
        }
    return found
