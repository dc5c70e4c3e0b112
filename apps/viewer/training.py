"""Browsers on a run that is training: a watcher, ticked between steps with the clock stopped."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from polyfield.apps.viewer.curve import Curve
from polyfield.apps.viewer.panels import Control
from polyfield.apps.viewer.screen import Level
from polyfield.apps.viewer.server import Server
from polyfield.apps.viewer.viewer import Place, Viewer
from polyfield.errors import terse
from polyfield.renderers.model import Model
from polyfield.training.loop import Progress
from polyfield.training.run import Run
from polyfield.training.task import Task, Watcher
from polyfield.training.watchers.console import Reporter

MOVING_SHARE = 0.45
"""Of the time, for pictures of browsers that move, and their first one when they stand still."""
MOST_SECONDS = 2.0
"""Of a picture while training: a stop waits no longer than that. Paused, they are of full size."""
COMING = "Reading data and compiling. The picture comes by itself."
"""What a browser is told that comes before there is anything to see."""
WAIT = 0.01
"""Seconds between two looks at what browsers ask, where there is nothing to draw."""


class TrainingViewer:
    """Shows a model that is being trained.

    It never changes a number: pictures draw nothing from torch's random numbers, without gradient.

    Args:
        server: Open.
        task: What the run is of.
        run: Its folder; None where nothing is kept.
        reporter: Told if the viewer fails: training goes on without it.
    """

    def __init__(
        self, server: Server, task: Task[Any, Any], run: Run | None, reporter: Reporter
    ) -> None:
        self._server, self._task, self._run, self._reporter = server, task, run, reporter
        self._curve, self._control = Curve(task.metric, "step"), Control()
        self._model: Model | None = None
        self._viewer: Viewer | None = None
        self._failed = False
        self._coming: Any | None = server.viser.gui.add_markdown(COMING)
        self._due = [0.0, 0.0]
        """When there is time again for pictures of browsers that move, and of those that don't."""

    def watchers(self, model: Any, data: Any) -> Sequence[Watcher]:
        """What `fit` asks for."""
        self._model = model
        return [self]

    def watch(self, progress: Progress) -> None:
        """Draw what browsers wait for, as far as there is time for it; nothing where there is none.

        A picture is begun and ended between the same two steps, or left.
        """
        if progress.step >= self._curve.next:
            self._curve.add(progress)
        if self._viewer is None:
            self._begin()
        if self._viewer is None or not (self._viewer.engine.seats or self._viewer.inbox.is_waiting):
            return
        try:
            self._draw(progress, self._viewer)
        except Exception as error:  # A picture that can't be drawn ends no training.
            self._fail(error)

    def holds(self) -> bool:
        """Whether training waits, because a browser that is still there paused it; draws then."""
        viewer = self._viewer
        if viewer is None or not self._control.paused or not viewer.engine.seats:
            return False
        try:
            self._full_size(viewer)
            viewer.say("**paused**")
            if not viewer.tick():
                time.sleep(WAIT)
        except Exception as error:
            self._fail(error)
            return False
        return True

    def stay(self, model: Model, text: str) -> None:
        """Training is over: show the model until Ctrl-C.

        Args:
            model: Trained.
            text: What the panel says.

        Raises:
            KeyboardInterrupt: Ctrl-C.
        """
        self._model = model
        if self._viewer is None:
            self._begin()
        viewer = self._viewer
        if viewer is None:
            return
        self._control.paused = False
        viewer.engine.changed(again=True)
        self._full_size(viewer)
        while True:
            viewer.say(text)
            if not viewer.tick():
                time.sleep(WAIT)

    def _full_size(self, viewer: Viewer) -> None:
        """Training waits, or is over: there is time for the best pictures."""
        if viewer.engine.most_seconds < math.inf:
            viewer.engine.most_seconds = math.inf
            viewer.engine.changed(again=True)

    def _begin(self) -> None:
        """Show the model, whose run has its folder by now."""
        if self._failed or self._model is None:
            return
        try:
            stage = self._task.stage(self._model, self._run)
            place = Place() if self._run is None else Place(self._run.path, data_of(self._run))
            self._come()
            self._viewer = Viewer(self._server, stage, self._curve, place, self._control)
        except Exception as error:
            self._fail(error)

    def _come(self) -> None:
        """Browsers are no longer told to wait."""
        coming, self._coming = self._coming, None
        if coming is not None:
            coming.remove()

    def _draw(self, progress: Progress, viewer: Viewer) -> None:
        viewer.listen()
        engine, began = viewer.engine, time.monotonic()
        engine.most_seconds = MOST_SECONDS
        engine.changed(again=began >= self._due[1])
        metric = self._curve.metric
        score = metric.text(progress.numbers.get(metric.name))
        viewer.say(
            f"step **{progress.step}**, {progress.fraction:.0%}, loss {progress.loss:.5f}, "
            f"{metric.label} {score}"
        )
        level = engine.next_level()
        if level is Level.NOTHING:
            return
        quick = level is not Level.FULL
        if began < self._due[0 if quick else 1]:
            return
        sent = engine.sent
        while engine.sent == sent and engine.step(level):
            # A browser that moves meanwhile gets its picture first.
            if viewer.inbox.empty() or engine.next_level() < level:
                break
        now = time.monotonic()
        share = MOVING_SHARE if quick else self._control.share
        self._due[0 if quick else 1] = now + (now - began) * (1 - share) / share

    def _fail(self, error: Exception) -> None:
        """Say so once; from now on nothing is shown."""
        self._failed, self._viewer = True, None
        self._reporter.warn(f"the viewer has stopped: {type(error).__name__}: {terse(str(error))}")
        self._come()


def data_of(run: Run) -> Path:
    """Where a run's data is, or was."""
    return Path(str(run.config()["data"]))
