"""One fit from beginning to end, whatever is fitted: plan, read, train, measure, write."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import torch

from polyfield.apps.evaluate import Measured
from polyfield.config import to_tree
from polyfield.devices import CPU
from polyfield.machine import versions
from polyfield.renderers.model import RadianceModel, SignalModel, save_model
from polyfield.scenes.base import ReadOptions
from polyfield.training.console import Reporter
from polyfield.training.figures import write_curve, write_preview
from polyfield.training.loop import Fit, Progress
from polyfield.training.run import Run, check_fingerprint, facts, load, plan, update_metrics
from polyfield.training.watched import Clock, History, train

Model = TypeVar("Model", RadianceModel, SignalModel)

DEMO = "demo"
"""What stands for the built-in data."""


@dataclass(frozen=True)
class Asked:
    """What was asked for, apart from the tree of configs."""

    data: str
    """A path, or "demo"."""
    preset: str = "hash"
    """Name, for the record."""
    read: ReadOptions = ReadOptions()
    """How to read the data."""
    background: str = "random"
    """As `--background`."""
    seed: int = 0
    """Of everything random."""
    threads: int = 1
    """In use."""
    device: torch.device = CPU
    """Where it is computed; not in config.yaml, so that a run may go on elsewhere."""

    def tree(self, kind: str, configs: Any) -> dict[str, Any]:
        """What config.yaml says.

        Args:
            kind: "scene" or "image".
            configs: The SceneRun or ImageRun.
        """
        return {
            "polyfield": versions()["polyfield"],
            "kind": kind,
            "data": self.data if self.data == DEMO else os.path.abspath(self.data),
            "preset": self.preset,
            "seed": self.seed,
            "threads": self.threads,
            "background": self.background,
            "read": to_tree(self.read),
            **to_tree(configs),
        }


class Job(ABC, Generic[Model]):
    """What differs between kinds of fit. The methods are called in their order here."""

    device: torch.device
    """Where the model is trained."""

    @abstractmethod
    def tree(self) -> dict[str, Any]:
        """What config.yaml says."""

    @abstractmethod
    def read(self, reporter: Reporter) -> str:
        """Read the data; returns its fingerprint."""

    @abstractmethod
    def build(self) -> tuple[Model, Fit]:
        """The model with its first parameters, and the loop that trains it.

        Modules are built on the CPU and moved: their first values are the same on every device.
        """

    @abstractmethod
    def begin(self, run: Run) -> None:
        """Write what is known before training, beside config.yaml."""

    def watch(self, progress: Progress) -> None:  # noqa: B027
        """Told each step, the clock stopped."""

    @abstractmethod
    def measure(self, model: Model, reporter: Reporter) -> Measured:
        """Compare the trained model with the data."""

    @abstractmethod
    def finish(self, run: Run, measured: Measured) -> None:
        """Write pictures of this kind alone."""


@dataclass(frozen=True)
class Way:
    """How a job is done."""

    resume: bool = False
    """Go on where the run stopped."""
    overwrite: bool = False
    """Begin anew."""
    every: float = 30.0
    """Seconds between two checkpoints."""


def do(job: Job[Model], run: Run | None, reporter: Reporter, way: Way = Way()) -> Model:
    """Do a job.

    Nothing is written before the data was read and the model built.

    Args:
        job: What to do.
        run: Where to; None writes and measures nothing.
        reporter: What the user sees.
        way: How.

    Returns:
        The trained model.

    Raises:
        InputError: something asked for can't be done.
    """
    step = "fresh" if run is None else plan(run, job.tree(), way.resume, way.overwrite)
    if run is not None and step == "finished":
        reporter.say(f"{run.path} is finished; nothing to do")
        model: Any = load(run.path).to(job.device)
        return model
    clock = Clock()
    with clock.phase("reading"):
        fingerprint = job.read(reporter)
        model, fit = job.build()
    if run is not None and step == "fresh":
        run.begin({**job.tree(), "fingerprint": fingerprint})
        job.begin(run)
    elif run is not None:
        check_fingerprint(run, fingerprint)
        run.tidy()

    def save() -> None:
        if run is not None:
            save_model(run.file("model.safetensors"), model)

    history = train(fit, run, save, reporter, clock, way.every, step == "resume", job.watch)
    if run is None:
        return model
    try:
        measured = _measured(job, run, model, reporter, clock, history)
    except (KeyboardInterrupt, SystemExit) as error:
        error.add_note(f"trained and saved in {run.path}; --resume measures it")
        raise
    # Last, so that a run with it is whole.
    seconds = {"seconds": {name: round(s, 3) for name, s in clock.seconds.items()}}
    update_metrics(run, {**measured.metrics, **facts(run, model), **seconds})
    reporter.say(clock.line())
    reporter.say(measured.line())
    reporter.say(f"written to {run.path}")
    return model


def _measured(
    job: Job[Model], run: Run, model: Model, reporter: Reporter, clock: Clock, history: History
) -> Measured:
    """Compare the trained model with the data, and draw it."""
    reporter.say("measuring")
    with clock.phase("evaluation"):
        measured = job.measure(model, reporter)
    with clock.phase("pictures"):
        write_preview(run.file("preview.png"), measured.pairs, measured.linear)
        write_curve(run.file("curve.png"), history.rows, measured.metrics["psnr"])
        job.finish(run, measured)
    return measured
