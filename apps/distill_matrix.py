"""`polyfield distill --matrix`: every preset into every other, as a table and an image."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from polyfield.apps.choices import budgeted, configured
from polyfield.errors import InputError, folder_refused
from polyfield.files import read_json, write_json
from polyfield.training.fit import RunOptions, RunSpec, fit
from polyfield.training.loop import FitError
from polyfield.training.plots import page, save_page
from polyfield.training.run import Run
from polyfield.training.scores import Metric
from polyfield.training.task import Task
from polyfield.training.watchers.console import Reporter

Pair = Callable[[Path, str, Path], object]
"""Teacher's folder, student's preset, student's folder: makes the student and its report."""


def matrix(
    kind: type[Task[Any, Any]],
    spec: RunSpec,
    presets: str | None,
    budget: tuple[float | None, int | None],
    out: Path,
    reporter: Reporter,
    pair: Pair,
) -> list[dict[str, Any]]:
    """Fit a teacher of each preset, and distil each into every other.

    Teachers and pairs that are finished are taken as they are, and a teacher whose pairs are all
    there is not asked for again; matrix.json is written after each pair.

    Args:
        kind: Of the data.
        spec: The data, the seed, threads and device of all runs.
        presets: Names with commas between; None for all.
        budget: Seconds or steps of every teacher and every student.
        out: Folder of the table; runs go below it.
        reporter: What the user sees.
        pair: Distils one pair, with the same budget, and goes on where it was stopped.

    Returns:
        The rows.

    Raises:
        InputError: no such preset, fewer than two, or a folder that can't be used.
        FitError: some pairs did not train; the others are there.
    """
    given = None if presets is None else presets.split(",")
    names = list(kind.presets()) if given is None else [n.strip() for n in given if n.strip()]
    if len(set(names)) < 2 or len(set(names)) < len(names):
        raise InputError("two or more different presets", repr(presets), "for instance hash,mlp,vm")
    tasks = {name: budgeted(configured(kind, name), *budget) for name in names}
    path, metric = out / "matrix.json", next(iter(tasks.values())).metric
    rows = _begun(out, path, metric)
    done = {(row["teacher"], row["student"]) for row in rows}
    failed = []
    left = [pair for pair in itertools.permutations(names, 2) if pair not in done]
    for name in dict.fromkeys(one for one, _ in left):
        run = Run(out / "teachers" / name)
        reporter.say(f"teacher {name}")
        fit(tasks[name], replace(spec, preset=name), run, reporter, RunOptions(resume=True))
    for one, two in left:
        teacher, student = out / "teachers" / one, out / "pairs" / f"{one}-{two}"
        try:
            pair(teacher, two, student)
        except FitError as error:
            reporter.warn(f"{one} to {two}: {error}")
            failed.append(f"{one} to {two}")
            continue
        found = read_json(student / "report.json")
        rows.append({key: found[key] for key in _keys(metric)})
        write_json(path, {"rows": rows})
        _figure(out / "matrix.png", rows, names, metric)
    reporter.say(f"written to {out}")
    if failed:
        raise FitError(f"no row for {', '.join(failed)}: training did not stay finite")
    return rows


def _keys(metric: Metric) -> tuple[str, ...]:
    """What a row of matrix.json says."""
    scores = (f"{metric.name}_{what}" for what in ("student_vs_teacher", "student", "teacher"))
    return ("teacher", "student", "method", *scores, "seconds", "model_bytes")


def _begun(out: Path, path: Path, metric: Metric) -> list[dict[str, Any]]:
    """The rows that are there, in a folder that is made if it is not.

    Raises:
        InputError: no folder can be there, or matrix.json is another file.
        WriteError: its disk is full or fails.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise folder_refused(out, error, "a folder for --out") from None
    if not path.is_file():
        return []
    tree = read_json(path)
    rows = tree.get("rows") if isinstance(tree, dict) else None
    if not isinstance(rows, list) or not all(
        isinstance(r, dict) and set(_keys(metric)) <= set(r) for r in rows
    ):
        raise InputError("a matrix.json with rows of this verb", f"{path}", "choose another --out")
    return rows


def _figure(
    path: Path, rows: Sequence[dict[str, Any]], names: Sequence[str], metric: Metric
) -> None:
    """Student against teacher for every pair, teachers down, students across."""
    values = np.full((len(names), len(names)), math.nan)
    for row in rows:
        if row["teacher"] in names and row["student"] in names:
            at = names.index(row["teacher"]), names.index(row["student"])
            values[at] = row[f"{metric.name}_student_vs_teacher"]
    size = 2 + 0.55 * len(names)
    figure, axes = page(size + 1, size)
    shown = axes.imshow(values, cmap="viridis")
    figure.colorbar(shown, label=f"student against teacher, {metric.axis}")
    axes.set_xticks(range(len(names)), names, rotation=45)
    axes.set_yticks(range(len(names)), names)
    axes.set_xlabel("student")
    axes.set_ylabel("teacher")
    middle = np.nanmean(values)
    for i, j in itertools.product(range(len(names)), repeat=2):
        if math.isfinite(values[i, j]):
            color = "white" if values[i, j] < middle else "black"
            axes.text(j, i, f"{values[i, j]:.1f}", ha="center", va="center", color=color)
    save_page(figure, path)
