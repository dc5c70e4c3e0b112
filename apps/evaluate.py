"""`polyfield evaluate` and `polyfield.evaluate`: how near a run comes to its data."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from polyfield.apps import config_cli
from polyfield.apps.choices import task_of
from polyfield.devices import resolve
from polyfield.errors import InputError
from polyfield.machine import use_threads
from polyfield.training.run import Run, facts, load_as, update_metrics
from polyfield.training.scores import is_broken
from polyfield.training.watchers.console import Reporter


def evaluate(
    run: str | os.PathLike[str],
    *,
    data: str | os.PathLike[str] | None = None,
    split: str = "test",
    threads: int | None = None,
    device: str = "auto",
    overwrite: bool = False,
    reporter: Reporter | None = None,
) -> dict[str, Any]:
    """Measure a run on data it was not trained on, and write its metrics.json.

    Args:
        run: Its folder.
        data: What to measure on; None for the data of the fit.
        split: Which part of the data: test, train, val.
        threads: CPU threads; None for PyTorch's own choice.
        device: auto for a GPU where there is one; cpu, cuda or cuda:N.
        overwrite: Write metrics.json anew, without what earlier evaluations left in it.
        reporter: What is printed; None prints warnings alone.

    Returns:
        What metrics.json says.

    Raises:
        InputError: the run, the data, the split or the device can't be used.
    """
    reporter = reporter or Reporter(quiet=True)
    use_threads(threads)
    place, folder = resolve(device), Run(Path(run))
    config, task = folder.config(), task_of(folder)
    model = load_as(folder, task.kind, place)
    source = config["data"] if data is None else os.fspath(data)
    opened = task.reopen(source, folder)
    for warning in opened.warnings:
        reporter.warn(warning)
    measured = task.measure(model, opened, split, reporter)
    score = measured.scores[task.metric.name]
    if is_broken(score):
        raise InputError(
            f"a model whose answers are finite in {folder.path}",
            f"{task.metric.label} {score}",
            "fit it again",
        )
    reporter.say(measured.line)
    found = {**facts(folder, model), "data": source, **measured.metrics}
    if overwrite:
        folder.file("metrics.json").unlink(missing_ok=True)
    metrics = update_metrics(folder, found)
    reporter.say(f"written to {folder.file('metrics.json')}")
    return metrics


@dataclass(frozen=True)
class Flags:
    """Measure a run on data it was not trained on, and write RUN/metrics.json."""

    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """Folder of the run."""
    data: str | None = None
    """What to measure on; default the data of the fit."""
    split: str = "test"
    """Which part of the data: test, train, val."""
    threads: int | None = None
    """CPU threads."""
    device: Annotated[str, tyro.conf.arg(metavar="auto|cpu|cuda[:N]")] = "auto"
    """Where to compute; auto is an NVIDIA GPU where there is one."""
    overwrite: bool = False
    """Write metrics.json anew, without what earlier evaluations left in it."""
    quiet: bool = False
    """Print nothing but warnings and errors."""


def main(arguments: Sequence[str]) -> None:
    """The command line."""
    given = config_cli.parse(Flags, arguments, "evaluate")
    with Reporter(given.quiet) as reporter:
        evaluate(
            given.run,
            data=given.data,
            split=given.split,
            threads=given.threads,
            device=given.device,
            overwrite=given.overwrite,
            reporter=reporter,
        )
