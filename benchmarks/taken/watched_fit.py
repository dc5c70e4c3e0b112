"""A fit that is told line by line whether its viewer looks, and tells how many steps are done.

python watched_fit.py DATA THREADS     prints its port; `on` and `off` answer ok, `steps` a number
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from polyfield.apps.tasks.scene import Scene
from polyfield.apps.viewer.server import Server
from polyfield.apps.viewer.training import TrainingViewer
from polyfield.machine import use_threads
from polyfield.training.fit import RunSpec, fit
from polyfield.training.loop import Progress
from polyfield.training.task import Watcher
from polyfield.training.watchers.console import Reporter

WARM = 300
"""Steps before the first turn."""


class Switch:
    """A viewer that looks only while it is on, and a count of the steps."""

    def __init__(self, viewer: TrainingViewer, port: int) -> None:
        self.viewer, self.port = viewer, port
        self.on = False
        self.step = 0

    def watchers(self, model: Any, data: Any) -> Sequence[Watcher]:
        """What `fit` asks for."""
        self.viewer.watchers(model, data)
        return [self]

    def watch(self, progress: Progress) -> None:
        """After each step."""
        self.step = progress.step
        if self.step == WARM:
            threading.Thread(target=self._answer, daemon=True).start()
        if self.on:
            self.viewer.watch(progress)

    def _answer(self) -> None:
        print(self.port, flush=True)
        for line in sys.stdin:
            word = line.strip()
            if word in ("on", "off"):
                self.on = word == "on"
            print(self.step if word == "steps" else "ok", flush=True)


def main(data: str, threads: int) -> None:
    """Fit until it is killed."""
    use_threads(threads)
    reporter = Reporter(quiet=True)
    preset = Scene.presets()["hash"]
    task = replace(preset, background="white", fit=replace(preset.fit, steps=10**6))
    server = Server(None, "watched")
    switch = Switch(TrainingViewer(server, task, None, reporter), server.port)
    fit(task, RunSpec(data, threads=threads), None, reporter, watchers=switch.watchers)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
