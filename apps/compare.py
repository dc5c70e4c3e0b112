"""`polyfield compare KIND` and `polyfield.compare`: several presets, the same data and budget."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import torch
import tyro

from polyfield.apps.choices import (
    DEFAULT_PRESET,
    DEFAULT_SECONDS,
    Seconds,
    Steps,
    check_seed,
    configured,
    kind_named,
    preset_of,
    reading,
    with_budget,
)
from polyfield.apps.fit import read_task
from polyfield.apps.reports.compare_figures import Crop, write_plots, write_sheet
from polyfield.apps.reports.compare_table import Row, write_table
from polyfield.devices import resolve
from polyfield.errors import InputError
from polyfield.machine import use_threads
from polyfield.ranges import Range
from polyfield.training.fit import FRESH, RunOptions, RunSpec, fit
from polyfield.training.run import Run
from polyfield.training.task import Task
from polyfield.training.throughput import throughput
from polyfield.training.watchers.console import Reporter

FITTED = 8
"""Most views measured of what was trained on."""


def compare(
    kind: str,
    data: str | os.PathLike[str],
    presets: Sequence[str],
    out: str | os.PathLike[str],
    *,
    base: Task[Any, Any] | None = None,
    seconds: float | None = None,
    steps: int | None = None,
    seeds: int = 1,
    batch: str | None = None,
    threads: int | None = None,
    device: str = "auto",
    options: RunOptions = FRESH,
    reporter: Reporter | None = None,
) -> list[Row]:
    """Fit data with several presets, the same budget for each; a table, plots and crops.

    Args:
        kind: Of the data.
        data: A path, or "demo".
        presets: Names and YAML files.
        out: Folder of the table, the images and the runs.
        base: A task whose options of reading are used for all; None for the defaults.
        seconds: Training time of each; 60 where neither this nor `steps` is given.
        steps: Training steps of each, instead of `seconds`.
        seeds: Seeds of each: 0, 1, ... up to this many.
        batch: Samples a step; "all" for every one, where the kind can.
        threads: CPU threads; None for PyTorch's own choice.
        device: auto for a GPU where there is one; cpu, cuda or cuda:N.
        options: Resume or overwrite.
        reporter: What is printed; None prints warnings alone.

    Returns:
        The rows of the table.

    Raises:
        InputError: a preset, the data, the folder or a value can't be used.
    """
    reporter, folder = reporter or Reporter(quiet=True), Path(out).expanduser()
    names = [Path(item).stem if _is_file(item) else item for item in presets]
    if not presets or len(set(names)) < len(names):
        raise InputError(
            "--presets with different names",
            repr(",".join(presets)),
            "give for instance hash,dense",
        )
    if seeds < 1:
        raise InputError("seeds of at least 1", str(seeds), "change --seeds")
    check_seed(seeds - 1)
    task = kind_named(kind)
    if seconds is None and steps is None:
        # The same for all, whatever a file says of itself.
        seconds = DEFAULT_SECONDS
    tasks = {}
    for name, item in zip(names, presets, strict=True):
        found = _configured(task, item)
        if base is not None:
            found = replace(found, **reading(base))  # type: ignore[type-var]
        sized = found.objective if batch is None else found.objective.resized(_batch(batch))
        tasks[name] = replace(  # type: ignore[type-var]
            found, fit=with_budget(found.fit, seconds, steps), objective=sized
        )
    threads, place = use_threads(threads), resolve(device)
    if folder.exists() and not (options.resume or options.overwrite):
        raise InputError(
            "a new folder for --out",
            f"{folder}, which is there",
            "add --resume or --overwrite, or choose another --out",
        )
    opened = {name: one.open(data, training=False) for name, one in tasks.items()}
    for name, one in tasks.items():
        # Whatever can't be built is told before anything is trained.
        one.model(opened[name])
    rows: list[Row] = []
    crops: list[Crop] = []
    curves: dict[str, list[list[float]]] = {}
    text, metric = "", next(iter(tasks.values())).metric
    for name, one in tasks.items():
        for seed in range(seeds):
            run = Run(folder / f"{name}-{seed}")
            reporter.say(f"{name}, seed {seed}")
            # Whatever the order of the presets, each begins from the same state.
            torch.manual_seed(seed)
            spec = RunSpec(data, name, seed, threads, place)
            model = fit(one, spec, run, reporter, options)
            row = Row.of(name, seed, run.metrics(), model.size(), one.metric.name)
            row.query_points_per_second = throughput(model)
            quiet = Reporter(quiet=True)
            if row.fitted is None:
                seen = one.measure(model, opened[name], "train", quiet, FITTED)
                row.fitted = seen.scores[one.metric.name]
            if seed == 0:
                shown = one.measure(model, opened[name], "test", quiet, 1).examples[0]
                crops.append(Crop(name, shown.target, shown.prediction))
                curves[name] = run.state_meta()["history"]
            rows.append(row)
            text = write_table(folder, rows, metric)
    write_plots(folder, rows, curves, metric)
    write_sheet(folder / "crops.png", crops)
    reporter.say(text)
    reporter.say(f"written to {folder}")
    return rows


@dataclass(frozen=True)
class CompareFlags:
    """Fit the same data with several presets, the same budget for each."""

    out: Annotated[Path | None, tyro.conf.arg(metavar="DIR")] = None
    """Folder of the table, the images and the runs."""
    presets: str = DEFAULT_PRESET
    """What to compare: names and YAML files, with commas between."""
    seconds: Seconds | None = None
    """Training time of each. Default 60."""
    steps: Steps | None = None
    """Number of training steps of each, instead of --seconds."""
    seeds: Annotated[int, Range(1, 1000)] = 1
    """Seeds of each: 0, 1, ... up to this many."""
    batch: str | None = None
    """Samples a step; `all` for every one, where the kind can."""
    threads: int | None = None
    """CPU threads; default as PyTorch chooses, one per core."""
    device: Annotated[str, tyro.conf.arg(metavar="auto|cpu|cuda[:N]")] = "auto"
    """Where to compute; auto is an NVIDIA GPU where there is one. A run may go on elsewhere."""
    resume: bool = False
    """Go on with DIR: runs that are finished are taken as they are."""
    overwrite: bool = False
    """Begin anew, whatever comparison is in DIR."""
    quiet: bool = False
    """Print nothing but warnings and errors."""


def main(kind: str, arguments: Sequence[str]) -> None:
    """The command line of `compare KIND`."""
    task = kind_named(kind)
    base = configured(task, DEFAULT_PRESET)
    flags, base = read_task(CompareFlags, base, arguments, f"compare {kind}", trees=False)
    own: CompareFlags = flags.own
    if own.out is None:
        raise InputError("--out DIR", "none", "name a folder for the table")
    items = [item.strip() for item in own.presets.split(",") if item.strip()]
    with Reporter(own.quiet) as reporter:
        compare(
            kind,
            flags.data,
            items,
            own.out,
            base=base,
            seconds=own.seconds,
            steps=own.steps,
            seeds=own.seeds,
            batch=own.batch,
            threads=own.threads,
            device=own.device,
            options=RunOptions(own.resume, own.overwrite),
            reporter=reporter,
        )


def _is_file(item: str) -> bool:
    return item.endswith((".yaml", ".yml"))


def _configured(task: type[Task[Any, Any]], item: str) -> Task[Any, Any]:
    """A preset by name, or as a YAML file changes it; `preset` in the file names its base."""
    if not _is_file(item):
        return configured(task, item)
    return configured(task, preset_of(Path(item)), Path(item))


def _batch(given: str) -> int | None:
    """The batch asked for; None for "all"."""
    if given == "all":
        return None
    if not given.isdecimal() or len(given) > 9 or int(given) < 1:
        raise InputError(
            "a whole number of at least 1, or all, for --batch",
            repr(given[:40]),
            "give for instance 16384",
        )
    return int(given)
