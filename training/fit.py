"""One fit from beginning to end, whatever is fitted: plan, read, train, measure, write."""

from __future__ import annotations

import os
import signal
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import torch

from polyfield.allocation import within_memory
from polyfield.devices import CPU, describe
from polyfield.machine import versions
from polyfield.renderers.model import Model
from polyfield.renderers.model_files import save_model
from polyfield.training.clock import Clock
from polyfield.training.figures import write_curve, write_preview
from polyfield.training.interrupts import deferred
from polyfield.training.lock import locked
from polyfield.training.loop import Fit, FitError, Progress, nothing
from polyfield.training.run import (
    Run,
    check_fingerprint,
    facts,
    load_as,
    plan,
    update_metrics,
)
from polyfield.training.scores import is_broken
from polyfield.training.take_over import take_over
from polyfield.training.task import DataT, Holding, Learner, Measured, ModelT, Watcher
from polyfield.training.watchers.console import Reporter
from polyfield.training.watchers.curve import History
from polyfield.training.watchers.log import Log

DEMO = "demo"
"""What stands for the built-in data."""


@dataclass(frozen=True)
class RunSpec:
    """What identifies a fit, besides its task."""

    source: Any
    """A path, "demo", or what Python users have in memory."""
    preset: str = "hash"
    """Name, for the record."""
    seed: int = 0
    """Of everything random."""
    threads: int = 1
    """In use."""
    device: torch.device = CPU
    """Where it is computed; not in config.yaml, so that a run may go on elsewhere."""

    @property
    def data(self) -> str:
        """The data in words: an absolute path, or demo, or what kind of thing it is."""
        if not isinstance(self.source, (str, os.PathLike)):
            return type(self.source).__name__
        source = os.fspath(self.source)
        return source if source == DEMO else os.path.abspath(source)

    def tree(self, learner: Learner[Any, Any]) -> dict[str, Any]:
        """What config.yaml says."""
        return {
            "polyfield": versions()["polyfield"],
            "kind": learner.kind,
            "data": self.data,
            "preset": self.preset,
            "seed": self.seed,
            "threads": self.threads,
            **learner.tree(),
        }


@dataclass(frozen=True)
class RunOptions:
    """How a fit is done; nothing of it changes a number."""

    resume: bool = False
    """Go on where the run stopped."""
    overwrite: bool = False
    """Begin anew."""
    checkpoint_every: float = 30.0
    """Seconds between two checkpoints."""
    compiled: Callable[[], None] = nothing
    """Called when all kernels of a step are compiled."""


FRESH = RunOptions()
"""A new run."""


def no_watchers(model: Any, data: Any) -> Sequence[Watcher]:
    """Nothing more than console, curve and log."""
    return ()


def fit(
    learner: Learner[DataT, ModelT],
    spec: RunSpec,
    run: Run | None,
    reporter: Reporter,
    options: RunOptions = FRESH,
    watchers: Callable[[ModelT, DataT], Sequence[Watcher]] = no_watchers,
) -> ModelT:
    """Fit a model to data.

    Nothing is written before the data was read and the model built.

    Args:
        learner: A task with its configs and a budget, or a student.
        spec: Data, seed and so on.
        run: Where to; None writes and measures nothing.
        reporter: What the user sees.
        options: Fresh, resuming or anew.
        watchers: Make what else looks at training, of the model and the data.

    Returns:
        The trained model.

    Raises:
        InputError: something asked for can't be done.
        FitError: training did not stay finite.
    """
    if run is None:
        return _fit(learner, spec, None, reporter, options, watchers)
    with ExitStack() as held:
        # A folder that is there is locked before anything is read, a new one when it is made.
        if run.is_there:
            held.enter_context(locked(run.path))
        return _fit(learner, spec, run, reporter, options, watchers, held)


def _fit(
    learner: Learner[DataT, ModelT],
    spec: RunSpec,
    run: Run | None,
    reporter: Reporter,
    options: RunOptions,
    watchers: Callable[[ModelT, DataT], Sequence[Watcher]],
    held: ExitStack | None = None,
) -> ModelT:
    config = spec.tree(learner)
    step = (
        "fresh"
        if run is None
        else plan(run, config, options.resume, options.overwrite, learner.completed)
    )
    was_there = run is not None and run.is_there
    if run is not None and step == "finished":
        reporter.say(f"{run.path} is finished; nothing to do")
        return cast(ModelT, load_as(run, learner.kind, spec.device))
    clock = Clock()
    with clock.phase("reading"):
        data = learner.open(spec.source)
        for line in data.warnings:
            reporter.warn(line)
        reporter.say(
            f"{data.summary}, {describe(spec.device)}, {spec.threads} threads, seed {spec.seed}"
        )
        for line in data.notes:
            reporter.say(line)
        torch.manual_seed(spec.seed)
        # Values, gradients and Adam's two moments.
        with within_memory("the model", copies=4):
            model = learner.model(data)
        model.to(spec.device)
        training = learner.training(model, data, spec.seed)
        loop = Fit(
            training.field, training.objective, training.fit, training.parts, training.finish
        )
        eyes = watchers(model, data)
    if run is not None and held is not None and not was_there:
        run.make()
        held.enter_context(locked(run.path))
        # Another process may have begun there while this one was reading.
        step = plan(run, config, options.resume, options.overwrite, learner.completed)
    if run is not None and step == "fresh":
        run.begin({**config, "fingerprint": data.fingerprint})
        learner.write_inputs(data, run)
    elif run is not None:
        check_fingerprint(run, data.fingerprint)
        run.tidy()

    def score(progress: Progress) -> None:
        value = learner.score(data, progress.numbers)
        if value is not None:
            progress.numbers[learner.metric.name] = value

    session = Session(loop, run, model, reporter, clock, options.checkpoint_every)
    fresh = History(learner.metric)
    history = session.train(fresh, step == "resume", score, eyes, options.compiled)
    if run is None:
        return model
    try:
        measured = _measured(learner, run, model, data, reporter, clock, history)
    except (KeyboardInterrupt, SystemExit) as error:
        error.add_note(f"trained and saved in {run.path}; --resume measures it")
        raise
    # Last, so that a run with it is whole.
    seconds = {"seconds": {name: round(s, 3) for name, s in clock.seconds.items()}}
    update_metrics(run, {**measured.metrics, **facts(run, model), **seconds})
    reporter.say(clock.line())
    reporter.say(measured.line)
    reporter.say(f"written to {run.path}")
    return model


class Session:
    """Training with checkpoints, a log, a curve and an orderly stop. No number depends on it.

    Args:
        loop: Built, not begun.
        run: A folder that was begun; None saves nothing.
        model: What is saved at the end and when stopped.
        reporter: Told every step.
        clock: Gets the time of each phase.
        every: Seconds between two checkpoints.
    """

    def __init__(
        self,
        loop: Fit,
        run: Run | None,
        model: Model | None,
        reporter: Reporter,
        clock: Clock,
        every: float,
    ) -> None:
        self._loop, self._run, self._model = loop, run, model
        self._reporter, self._clock, self._every = reporter, clock, every
        self._told = ""

    def train(
        self,
        history: History,
        resume: bool = False,
        score: Callable[[Progress], None] = lambda progress: None,
        watchers: Sequence[Watcher] = (),
        compiled: Callable[[], None] = nothing,
    ) -> History:
        """Train until the budget is spent, saving as it goes.

        Args:
            history: Empty.
            resume: Go on from the run's checkpoint.
            score: Adds the headline score to what a step logged.
            watchers: Told every step, the clock stopped.
            compiled: Called when all kernels of a step are.

        Returns:
            The curve.

        Raises:
            KeyboardInterrupt: Ctrl-C, after saving.
            SystemExit: SIGTERM, with code 143, after saving.
        """
        loop, run, reporter = self._loop, self._run, self._reporter
        if run is not None and resume:
            state, meta = run.load_state()
            take_over(loop, state, meta, run.path)
            history = History(history.metric, meta["history"])
            reporter.say(f"resuming at step {meta['step']}, {meta['seconds']:.1f} s of training")
        loop.meet()
        with self._clock.phase("compiling"):
            loop.warm_up()
            compiled()
        if not resume:
            self._save(history)
        due = time.monotonic() + self._every
        rewinds = loop.progress.rewinds
        log = Log(run, loop.progress.step, reporter.warn)
        holding = [watcher for watcher in watchers if isinstance(watcher, Holding)]

        with deferred() as stop:

            def on_step(progress: Progress) -> None:
                nonlocal due, rewinds
                if progress.rewinds > rewinds:
                    rewinds = progress.rewinds
                    reporter.warn(
                        f"training stopped being finite near step {progress.step}: back to the "
                        f"last good state, at {progress.rate_scale:g} of the rates"
                    )
                score(progress)
                if history.add(progress):
                    log.write(progress)
                reporter.step(progress, history.metric)
                for watcher in watchers:
                    watcher.watch(progress)
                while not stop.is_asked and any(watcher.holds() for watcher in holding):
                    pass
                if loop.team.any(stop.is_asked) and not stop.is_asked:
                    stop.ask(signal.SIGTERM)  # What one process was asked, all do.
                stop.check()
                # What is left to do then may take a while.
                if time.monotonic() >= due or progress.fraction >= 1:
                    self._save(history)
                    due = time.monotonic() + self._every

            try:
                loop.run(on_step)
                stop.check()
            except (KeyboardInterrupt, SystemExit) as error:
                if run is not None:
                    self._save(history)
                    self._save_model()
                    error.add_note(f"saved in {run.path}; the same command with --resume goes on")
                raise
            finally:
                log.close()
            self._save(history)
        self._save_model()
        self._clock.add("training", loop.progress.seconds)
        return history

    def _save_model(self) -> None:
        """Write the model: into the run, else where there is room for it.

        Raises:
            FitError: the run's folder is gone or can't be written any more.
        """
        if self._run is None or self._model is None:
            return
        path = self._run.file("model.safetensors")
        try:
            save_model(path, self._model)
        except OSError as error:
            aside = Path(tempfile.gettempdir()) / f"polyfield-{self._run.path.name}-{os.getpid()}"
            spare = aside.with_suffix(".safetensors")
            try:
                save_model(spare, self._model)
                where = f"the trained model is in {spare}"
            except OSError:
                where = "the trained model is lost"
            got = error.strerror or str(error)
            raise FitError(f"expected to write {path}; got {got.lower()}; {where}") from None

    def _save(self, history: History) -> None:
        """Write a checkpoint."""
        if self._run is None:
            return
        with self._clock.phase("checkpoints"):
            progress = self._loop.progress
            meta = {
                "step": progress.step,
                "seconds": progress.seconds,
                "samples": progress.samples,
                "spent": progress.fraction >= 1,
                "device": describe(self._loop.device),
                "history": history.rows,
            }
            try:
                self._run.save_state(self._loop.state(), meta)
            except OSError as error:
                # Training goes on: there may be room again at its end.
                got = f"no checkpoint in {self._run.path}: {(error.strerror or str(error)).lower()}"
                if got != self._told:
                    self._reporter.warn(f"{got}; training goes on")
                self._told = got


def _measured(
    learner: Learner[DataT, ModelT],
    run: Run,
    model: ModelT,
    data: DataT,
    reporter: Reporter,
    clock: Clock,
    history: History,
) -> Measured:
    """Compare the trained model with the data, and draw it."""
    reporter.say("measuring")
    with clock.phase("evaluation"):
        measured = learner.measure(model, data, "test", reporter, learner.most_measured(data))
    score = measured.scores[learner.metric.name]
    if is_broken(score):
        raise FitError(
            f"expected finite training; got {learner.metric.label} {score} of the trained model; "
            "lower fit.rates or look for extreme values in the data"
        )
    with clock.phase("images"):
        write_preview(run.file("preview.png"), measured.examples, measured.linear)
        metric = learner.metric
        write_curve(run.file("curve.png"), history.rows, metric, measured.scores[metric.name])
        learner.write_outputs(model, data, run, measured)
    return measured
