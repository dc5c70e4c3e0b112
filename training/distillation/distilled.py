"""A student of a teacher, as something that `fit` trains."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Generic

import torch

from polyfield.config import to_tree
from polyfield.devices import CPU
from polyfield.errors import InputError
from polyfield.training.distillation.methods import DistillConfig
from polyfield.training.run import Run, load_as, model_fingerprint
from polyfield.training.scores import Metric
from polyfield.training.task import (
    DataT,
    Fidelity,
    Learner,
    Measured,
    ModelT,
    Task,
    Teacher,
    Training,
)
from polyfield.training.watchers.console import Reporter


@dataclass(frozen=True)
class DistillData(Generic[DataT]):
    """What a student is taught with."""

    teacher: Teacher
    """Whom it learns from."""
    data: DataT | None
    """The teacher's data, to measure on; None where it is gone."""
    finetune: DataT | None
    """Data to go on from when the teacher has nothing more to say."""
    summary: str
    """Who learns from whom, and how."""
    notes: Sequence[str]
    """What is not there."""
    warnings: Sequence[str]
    """What is wrong."""
    fingerprint: str
    """Of the teacher, and of what it is fine-tuned on."""


class Distilled(Learner[DistillData[DataT], ModelT]):
    """Teach a student what a run has learned.

    Args:
        task: The student, with a budget.
        config: Teacher and method.
        preset: The student's, in words.
        device: Where both are.
    """

    def __init__(
        self,
        task: Task[DataT, ModelT],
        config: DistillConfig,
        preset: str,
        device: torch.device = CPU,
    ) -> None:
        self._task, self._config = task, config
        self._preset, self._device = preset, device

    @property
    def kind(self) -> str:
        """The student's, which is the teacher's."""
        return self._task.kind

    @property
    def metric(self) -> Metric:
        """Of the kind."""
        return self._task.metric

    def tree(self) -> dict[str, Any]:
        """The student's tree, and how it was taught."""
        return {**self._task.tree(), "distilled": to_tree(self._config)}

    def completed(self, tree: dict[str, Any]) -> dict[str, Any]:
        """With what the student's task knows by now."""
        return self._task.completed(tree)

    def open(self, source: Any, training: bool = True) -> DistillData[DataT]:
        """Load the teacher; its data, if it is there."""
        run = Run(Path(self._config.teacher))
        config = run.config()
        if config["kind"] != self.kind:
            raise InputError(
                f"a teacher of kind {self.kind}", f"{run.path} of kind {config['kind']}",
                "give another run",
            )  # fmt: skip
        model = load_as(run, self.kind, self._device)
        for parameter in model.parameters():
            parameter.requires_grad_(False)
        warnings, notes = unfinished(run), []
        try:
            data = self._task.reopen(source, run)
        except InputError as error:
            data = None
            if isinstance(source, str) and not Path(source).exists():
                notes.append(f"no data at {source}: the teacher is the measure")
            else:
                warnings.append(f"measured against the teacher alone, not the data: {error}")
        prints, finetune = [model_fingerprint(run)], None
        if self._config.finetune is not None:
            finetune = self._task.open(self._config.finetune)
            prints.append(finetune.fingerprint)
        summary = (
            f"{run.path}: {self._preset} learns from {config['preset']} "
            f"by {self._config.method.name}"
        )
        return DistillData(
            Teacher(run, model), data, finetune, summary, notes, warnings, "-".join(prints)
        )

    def model(self, data: DistillData[DataT]) -> ModelT:
        """The student in the teacher's frame."""
        return self._task.student(data.teacher, self._config.method)

    def training(self, model: ModelT, data: DistillData[DataT], seed: int) -> Training:
        """What the student's loop needs."""
        return self._task.lesson(model, data.teacher, self._config.method, seed, data.finetune)

    def score(self, data: DistillData[DataT], numbers: Mapping[str, float]) -> float | None:
        """Against the teacher's answers."""
        return self._task.score_against(data.teacher, numbers)

    def measure(
        self,
        model: ModelT,
        data: DistillData[DataT],
        split: str,
        reporter: Reporter,
        most: int | None = None,
    ) -> Measured:
        """Compare with the teacher, and with the data if it is there."""
        name = self.metric.name
        near = self._task.fidelity(model, data.teacher)
        found: dict[str, Any] = {
            f"{name}_student_vs_teacher": near.scores[name],
            "frame_seconds_teacher": near.seconds_teacher,
            "frame_seconds_student": near.seconds_student,
        }
        measured = None
        if data.data is not None:
            try:
                measured = self._task.measure(model, data.data, split, reporter, most)
            except InputError as error:
                reporter.warn(f"measured against the teacher alone, not the data: {error}")
        if data.data is None or measured is None:
            return _alone(near, found, self.metric)
        theirs = self._teacher_scores(data, measured, reporter)
        found[f"{name}_student"] = measured.scores[name]
        found[f"{name}_teacher"] = theirs[name]
        return replace(measured, facts={**measured.facts, **found})

    def most_measured(self, data: DistillData[DataT]) -> int | None:
        """As many as of a run of the data."""
        return None if data.data is None else self._task.most_measured(data.data)

    def _teacher_scores(
        self, data: DistillData[DataT], measured: Measured, reporter: Reporter
    ) -> Mapping[str, Any]:
        """What the teacher reaches on the same data: as it was measured, else measured now."""
        run = data.teacher.run
        known, source = run.metrics(), run.config()["data"]
        same = known.get("data", source) == source
        same = same and all(known.get(k) == measured.facts[k] for k in ("split", "views"))
        if self.metric.name in known and same:
            return known
        assert data.data is not None
        teacher: Any = data.teacher.model
        most = self.most_measured(data)
        return self._task.measure(teacher, data.data, "test", reporter, most).scores

    def write_inputs(self, data: DistillData[DataT], run: Run) -> None:
        """What is known of the teacher's data."""
        self._task.inherit_inputs(data.teacher, run)

    def write_outputs(
        self, model: ModelT, data: DistillData[DataT], run: Run, measured: Measured
    ) -> None:
        """Nothing more: the report is written by the verb, which may have baselines to wait for."""

    def probe(self, model: ModelT, data: DistillData[DataT]) -> Callable[[], float]:
        """The headline score on fixed data, or against the teacher."""
        return self._task.probe(model, data.data, data.teacher)


def _alone(near: Fidelity, found: dict[str, Any], metric: Metric) -> Measured:
    """What is measured where there is no data."""
    facts = {"split": "teacher", "views": len(near.examples), "frames_skipped": 0, **found}
    value = metric.text(near.scores[metric.name])
    return Measured(
        near.scores, facts, near.examples, f"{metric.label} {value} against the teacher"
    )


def unfinished(run: Run) -> list[str]:
    """A warning if a teacher was stopped before its budget was spent.

    Raises:
        InputError: it was stopped before its first step.
    """
    meta = run.state_meta()
    if not meta or meta.get("spent"):
        return []
    if not meta["step"]:
        raise InputError("a trained teacher", f"{run.path}, not trained yet", "--resume its fit")
    return [
        f"the teacher {run.path} was stopped after {meta['seconds']:.0f} s, its budget not spent"
    ]
