"""The report of a distillation: report.json, report.md and an image of the curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from polyfield.config import from_tree
from polyfield.errors import InputError
from polyfield.files import read_json, write_json, write_text
from polyfield.training.distillation.methods import TaggedMethod
from polyfield.training.plots import page, save_page
from polyfield.training.run import Run, load
from polyfield.training.run_files import checked_rows
from polyfield.training.scores import Metric
from polyfield.training.throughput import throughput
from polyfield.training.watchers.probe import curve_of, seconds_to

Rows = Sequence[Mapping[str, float]]


def report_on(
    run: Run,
    teacher: Run,
    metric: Metric,
    device: torch.device,
    baseline: dict[str, Any] | None,
) -> str:
    """Write the report of a finished student; returns its text.

    Args:
        run: The student's, measured.
        teacher: The teacher's.
        metric: The headline score.
        device: Where both are timed.
        baseline: Of students from the data, by name; None keeps what an older report has.
    """
    if baseline is None:
        baseline = baseline_of(run, metric)
    speeds = {
        name: throughput(load(one.path).to(device))
        for name, one in (("student", run), ("teacher", teacher))
    }
    found = report(run, teacher, metric, speeds, curve_of(run), baseline)
    return write_report(run, metric, found)


def baseline_of(run: Run, metric: Metric) -> dict[str, Any] | None:
    """What an older report says of students from the data; None if it says nothing.

    Raises:
        InputError: report.json is of another shape.
    """
    path = run.file("report.json")
    tree = read_json(path) if path.is_file() else {}
    found = tree.get("baseline") if isinstance(tree, dict) else None
    if found is None:
        return None
    rows = from_tree(Mapping[str, Mapping[str, Any]], found, f"baseline of {path}")
    return {name: _student(row, f"{path}, {name}", metric, path) for name, row in rows.items()}


def _student(row: Mapping[str, Any], where: str, metric: Metric, path: Path) -> dict[str, Any]:
    """A student from the data, as a report has it."""
    numbers = {metric.name: float, "seconds": float, "steps": int}
    found = {
        key: from_tree(kind, row.get(key), f"{key} of {where}") for key, kind in numbers.items()
    }
    curve = checked_rows(path, {"rows": row.get("curve")})
    if not found["seconds"] > 0 or not curve or any(metric.name not in one for one in curve):
        raise InputError(f"a student's seconds and curve in {where}", "none", "delete that report")
    return {**row, **found, "curve": curve}


def report(
    run: Run,
    teacher: Run,
    metric: Metric,
    speeds: Mapping[str, float],
    curve: list[dict[str, float]],
    baseline: Mapping[str, Any] | None,
) -> dict[str, Any]:
    """What report.json says of a finished run.

    Args:
        run: The student's, measured.
        teacher: The teacher's.
        metric: The headline score.
        speeds: Points a second that "student" and "teacher" answer.
        curve: Score against training seconds.
        baseline: The same of students trained from the data, by name; None if not asked for.
    """
    ours, theirs, name = run.metrics(), teacher.metrics(), metric.name
    if f"{name}_student_vs_teacher" not in ours:
        raise InputError(
            f"what was measured of the student in {run.file('metrics.json')}",
            "one written anew by evaluate",
            "distil again with --overwrite",
        )
    seconds_teacher = theirs.get("seconds_training", teacher.state_meta().get("seconds"))
    return {
        "teacher": teacher.config()["preset"],
        "student": run.config()["preset"],
        "method": from_tree(TaggedMethod, run.config()["distilled"]["method"]).name,
        "metric": name,
        f"{name}_student_vs_teacher": ours[f"{name}_student_vs_teacher"],
        f"{name}_student": ours.get(f"{name}_student"),
        f"{name}_teacher": ours.get(f"{name}_teacher"),
        "worst_tenth": worst_tenth([view[name] for view in ours.get("per_view", [])]),
        "seconds": ours["seconds_training"],
        "steps": ours["steps"],
        "seconds_teacher": seconds_teacher,
        "parameters": ours["parameters"],
        "parameters_teacher": theirs.get("parameters"),
        "model_bytes": ours["model_bytes"],
        "model_bytes_teacher": teacher.file("model.safetensors").stat().st_size,
        "frame_seconds_teacher": ours.get("frame_seconds_teacher"),
        "frame_seconds_student": ours.get("frame_seconds_student"),
        "query_points_per_second": speeds["student"],
        "query_points_per_second_teacher": speeds["teacher"],
        "curve": curve,
        "baseline": None
        if baseline is None
        else {
            kind: _raced(name, curve, other, seconds_teacher) for kind, other in baseline.items()
        },
    }


def _raced(
    name: str,
    curve: list[dict[str, float]],
    other: Mapping[str, Any],
    seconds_teacher: float | None,
) -> dict[str, Any]:
    """A baseline, and after how many seconds of training the student was as good, over its own."""
    reached = seconds_to(curve, name, other["curve"][-1][name])
    ratio = None if reached is None else reached / other["seconds"]
    counted = None
    if reached is not None and seconds_teacher is not None:
        counted = (reached + seconds_teacher) / other["seconds"]
    found = {"seconds_reached": reached, "ratio": ratio, "ratio_with_teacher": counted}
    return {**other, **found}


def worst_tenth(scores: Sequence[float]) -> float | None:
    """Mean score of the worst tenth of the views, at least one; None of no views."""
    if not scores:
        return None
    worst = sorted(scores)[: max(1, len(scores) // 10)]
    return float(sum(worst) / len(worst))


def write_report(run: Run, metric: Metric, found: Mapping[str, Any]) -> str:
    """Write report.json, report.md and, where there is a curve, report.png; returns the text."""
    text = _text(metric, found)
    write_json(run.file("report.json"), dict(found))
    write_text(run.file("report.md"), text)
    if found["curve"]:
        write_figure(run, metric, found)
    return text


def _text(metric: Metric, found: Mapping[str, Any]) -> str:
    def row(name: str, one: Any, two: Any) -> str:
        return f"| {name} | {one} | {two} |"

    name = metric.name

    def number(value: float | None, form: str) -> str:
        return "-" if value is None else format(value, form)

    lines = [
        f"# {found['student']} from {found['teacher']} ({found['method']})",
        "",
        "| | teacher | student |",
        "|---|---:|---:|",
        row(f"{metric.label} against the data", metric.text(found[f"{name}_teacher"]),
            metric.text(found[f"{name}_student"])),
        row("student against teacher", "", metric.text(found[f"{name}_student_vs_teacher"])),
        row("training", f"{number(found['seconds_teacher'], '.1f')} s",
            f"{found['seconds']:.1f} s, {found['steps']} steps"),
        row("parameters", number(found["parameters_teacher"], ",d"), f"{found['parameters']:,d}"),
        row("bytes", f"{found['model_bytes_teacher']:,d}", f"{found['model_bytes']:,d}"),
        row("points a second", f"{found['query_points_per_second_teacher'] / 1e6:.2f} M",
            f"{found['query_points_per_second'] / 1e6:.2f} M"),
    ]  # fmt: skip
    if found["frame_seconds_student"] is not None:
        lines.append(
            row(
                "a frame",
                f"{found['frame_seconds_teacher']:.3f} s",
                f"{found['frame_seconds_student']:.3f} s",
            )
        )
    lines += ["", "The teacher's time is not counted in the student's.", ""]
    if found["baseline"]:
        lines += [
            "The same student from the data:",
            "",
            "| budget | against the data | seconds | steps | distilled reaches it in |"
            " of its time | with the teacher's time |",
            "|---|---:|---:|---:|---:|---:|---:|",
        ]
        for what, other in found["baseline"].items():
            lines.append(
                f"| the same {what} | {metric.text(other[name])} | {other['seconds']:.1f} | "
                f"{other['steps']} | {number(other['seconds_reached'], '.1f')} s | "
                f"{number(other['ratio'], '.3f')} | {number(other['ratio_with_teacher'], '.3f')} |"
            )
        lines.append("")
    return "\n".join(lines)


def write_figure(run: Run, metric: Metric, found: Mapping[str, Any]) -> None:
    """Score against training time: the student, and students from the data."""
    figure, axes = page(7, 4.5)
    curves: dict[str, Rows] = {"distilled": found["curve"]}
    for name, other in (found["baseline"] or {}).items():
        curves[f"from the data, same {name}"] = other["curve"]
    for name, rows in curves.items():
        axes.plot([r["seconds"] for r in rows], [r[metric.name] for r in rows], label=name)
    if found[f"{metric.name}_teacher"] is not None:
        axes.axhline(found[f"{metric.name}_teacher"], color="gray", linestyle=":", label="teacher")
    axes.set_xlabel("training time of the student, s")
    axes.set_ylabel(metric.axis)
    axes.set_title(f"{found['student']} from {found['teacher']}")
    axes.legend()
    axes.grid(alpha=0.3)
    save_page(figure, run.file("report.png"))
