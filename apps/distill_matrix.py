"""`polyfield distill --matrix`: every preset into every other, as a table and a picture."""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from polyfield.apps.distill_runs import distill_scene
from polyfield.apps.distill_scene import Lesson
from polyfield.apps.distill_teacher import asked_of
from polyfield.apps.fit_scene import SceneJob
from polyfield.apps.fitting import configured, with_budget
from polyfield.apps.jobs import Asked, Way, do
from polyfield.apps.scene_presets import method_of, scene_presets
from polyfield.errors import InputError
from polyfield.files import read_json, write_json, write_whole
from polyfield.training.console import Reporter
from polyfield.training.loop import FitError
from polyfield.training.run import Run

KEYS = (
    "teacher", "student", "method", "psnr_student_vs_teacher", "psnr_student", "psnr_teacher",
    "seconds", "model_bytes",
)  # fmt: skip
"""What a row of matrix.json says."""


def matrix(
    base: Asked,
    presets: str | None,
    budget: tuple[float | None, int | None],
    out: Path,
    reporter: Reporter,
) -> list[dict[str, Any]]:
    """Fit a teacher of each preset, and distil each into every other.

    Teachers and pairs that are finished are taken as they are, and a teacher whose pairs are all
    there is not asked for again; matrix.json is written after each pair.

    Args:
        base: The capture, the seed, threads and device of all runs.
        presets: Names with commas between; None for all.
        budget: Seconds or steps of every teacher and every student.
        out: Folder of the table; runs go below it.
        reporter: What the user sees.

    Returns:
        The rows.

    Raises:
        InputError: no such preset, fewer than two, or a folder that can't be used.
        FitError: some pairs did not train; the others are there.
    """
    known = scene_presets()
    names = list(known) if presets is None else [n.strip() for n in presets.split(",") if n.strip()]
    if len(set(names)) < 2 or len(set(names)) < len(names):
        raise InputError("two or more different presets", repr(presets), "for instance hash,mlp,vm")
    configs = {name: configured(known, name) for name in names}
    configs = {
        name: replace(tree, fit=with_budget(tree.fit, *budget)) for name, tree in configs.items()
    }
    path = out / "matrix.json"
    rows = _begun(out, path)
    done = {(row["teacher"], row["student"]) for row in rows}
    way, failed = Way(resume=True), []
    left = [pair for pair in itertools.permutations(names, 2) if pair not in done]
    for name in dict.fromkeys(one for one, _ in left):
        run = Run(out / "teachers" / name)
        reporter.say(f"teacher {name}")
        do(SceneJob(replace(base, preset=name), configs[name]), run, reporter, way)
    for one, two in left:
        teacher, run = Run(out / "teachers" / one), Run(out / "pairs" / f"{one}-{two}")
        lesson = Lesson(os.path.abspath(teacher.path), method_of(two))
        asked = asked_of(teacher, two, base.seed, base.threads, base.device)
        try:
            distill_scene(lesson, asked, configs[two], run, reporter, way, looks=0)
        except FitError as error:
            reporter.warn(f"{one} to {two}: {error}")
            failed.append(f"{one} to {two}")
            continue
        found = read_json(run.file("report.json"))
        rows.append({key: found[key] for key in KEYS})
        write_json(path, {"rows": rows})
        _figure(out / "matrix.png", rows, names)
    reporter.say(f"written to {out}")
    if failed:
        raise FitError(f"no row for {', '.join(failed)}: training did not stay finite")
    return rows


def _begun(out: Path, path: Path) -> list[dict[str, Any]]:
    """The rows that are there, in a folder that is made if it is not.

    Raises:
        InputError: no folder can be there, or matrix.json is another file.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            "a folder for --out", f"{out}: {error.strerror}", "choose another"
        ) from None
    if not path.is_file():
        return []
    tree = read_json(path)
    rows = tree.get("rows") if isinstance(tree, dict) else None
    if not isinstance(rows, list) or not all(
        isinstance(r, dict) and set(KEYS) <= set(r) for r in rows
    ):
        raise InputError("a matrix.json with rows of this verb", f"{path}", "choose another --out")
    return rows


def _figure(path: Path, rows: Sequence[dict[str, Any]], names: Sequence[str]) -> None:
    """Student against teacher for every pair, teachers down, students across."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    values = np.full((len(names), len(names)), math.nan)
    for row in rows:
        if row["teacher"] in names and row["student"] in names:
            at = names.index(row["teacher"]), names.index(row["student"])
            values[at] = row["psnr_student_vs_teacher"]
    size = 2 + 0.55 * len(names)
    page = Figure(figsize=(size + 1, size), dpi=110, layout="constrained")
    FigureCanvasAgg(page)
    axes = page.add_subplot()
    shown = axes.imshow(values, cmap="viridis")
    page.colorbar(shown, label="student against teacher, dB")
    axes.set_xticks(range(len(names)), names, rotation=45)
    axes.set_yticks(range(len(names)), names)
    axes.set_xlabel("student")
    axes.set_ylabel("teacher")
    middle = np.nanmean(values)
    for i, j in itertools.product(range(len(names)), repeat=2):
        if math.isfinite(values[i, j]):
            color = "white" if values[i, j] < middle else "black"
            axes.text(j, i, f"{values[i, j]:.1f}", ha="center", va="center", color=color)
    write_whole(path, lambda file: page.savefig(file, format="png"))
