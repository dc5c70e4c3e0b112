"""`polyfield view` and `polyfield.view`: a run in the browser."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from polyfield.apps import config_cli
from polyfield.apps.choices import task_of
from polyfield.apps.viewer.curve import Curve
from polyfield.apps.viewer.server import Server
from polyfield.apps.viewer.training import WAIT, TrainingViewer, data_of
from polyfield.apps.viewer.viewer import MAX_SIDE, Place, Viewer
from polyfield.devices import resolve
from polyfield.machine import use_threads
from polyfield.ranges import Range
from polyfield.renderers.model import Model
from polyfield.training.fit import RunOptions, RunSpec, fit
from polyfield.training.run import Run, load_as
from polyfield.training.task import Task
from polyfield.training.watchers.console import Reporter

Port = Annotated[int, Range(1, 65535)]
"""Where a server listens."""


def view(
    run: str | os.PathLike[str],
    *,
    port: int | None = None,
    max_side: int = MAX_SIDE,
    threads: int | None = None,
    device: str = "auto",
    reporter: Reporter | None = None,
) -> None:
    """Show a run in the browser until Ctrl-C. Its data isn't needed.

    Args:
        run: Its folder.
        port: Of this machine, for this machine alone; None for the next free one from 8080 on.
        max_side: Longer side of the best pictures, pixels.
        threads: CPU threads; None for PyTorch's own choice.
        device: auto for a GPU where there is one; cpu, cuda or cuda:N.
        reporter: What is printed; None prints the address too.

    Raises:
        InputError: no run there, its kind has no view, or the port or the device can't be used.
        MissingBackend: viser isn't installed.
        KeyboardInterrupt: Ctrl-C, with all closed.
    """
    reporter = reporter or Reporter()
    folder = Run(Path(run))
    use_threads(threads)
    there = resolve(device)
    task = task_of(folder)
    model = load_as(folder, task.kind, there)
    stage = task.stage(model, folder)
    meta = folder.state_meta()
    curve = Curve(task.metric, "seconds", meta.get("history", []))
    place = Place(folder.path, data_of(folder))
    text = f"**{folder.path.name}**, {task.kind}, {meta.get('step', 0)} steps"
    with opened(port, reporter, folder.path.name) as server:
        viewer = Viewer(server, stage, curve, place, side=max_side)
        while True:
            viewer.say(text)
            if not viewer.tick():
                time.sleep(WAIT)


@contextmanager
def opened(port: int | None, reporter: Reporter, name: str) -> Iterator[Server]:
    """A server whose address is told; closed at the end, whatever that is.

    Raises:
        InputError: as `Server`.
    """
    server = Server(port, f"polyfield: {name}")
    try:
        reporter.say(f"open {server.address} in a browser; Ctrl-C ends it")
        reporter.say(f"from another machine, first: {server.ssh_line}")
        yield server
    finally:
        server.close()


def fit_in_view(
    task: Task[Any, Any],
    spec: RunSpec,
    run: Run | None,
    reporter: Reporter,
    options: RunOptions,
    port: int | None,
) -> Model:
    """Fit with browsers that look on; the trained model stays there until Ctrl-C.

    Args:
        task: With a budget.
        spec: Data, seed and so on.
        run: Where to; None keeps nothing.
        reporter: Told the address, too.
        options: Fresh, resuming or anew.
        port: As `view`.

    Raises:
        InputError: as `fit`, and the port can't be used.
        KeyboardInterrupt: Ctrl-C before the end, after saving.
    """
    with opened(port, reporter, "training" if run is None else run.path.name) as server:
        viewer = TrainingViewer(server, task, run, reporter)
        model: Model = fit(task, spec, run, reporter, options, viewer.watchers)
        try:
            reporter.say("the browser shows the trained model; Ctrl-C ends")
            viewer.stay(model, "trained")
        except KeyboardInterrupt:
            reporter.say("closed")
    return model


@dataclass(frozen=True)
class ViewFlags:
    """Show a run in the browser until Ctrl-C: pictures, crop box, camera paths, snapshots."""

    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """Folder of the run; its data isn't needed."""
    port: Port | None = None
    """Where to listen, for this machine alone; default the next free one from 8080 on."""
    max_side: Annotated[int, Range(96, 8192)] = MAX_SIDE
    """Longer side of the best pictures, in pixels."""
    threads: int | None = None
    """CPU threads."""
    device: Annotated[str, tyro.conf.arg(metavar="auto|cpu|cuda[:N]")] = "auto"
    """Where to compute; auto is an NVIDIA GPU where there is one."""


def main(arguments: Sequence[str]) -> None:
    """The command line. Ctrl-C is how it ends."""
    given = config_cli.parse(ViewFlags, arguments, "view")
    with Reporter() as reporter:
        try:
            view(
                given.run,
                port=given.port,
                max_side=given.max_side,
                threads=given.threads,
                device=given.device,
                reporter=reporter,
            )
        except KeyboardInterrupt:
            reporter.say("closed")
