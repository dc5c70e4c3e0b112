"""The table of takeaway.md, from rows.json."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from taken.evidence import TEACHERS

Rows = Mapping[str, Mapping[str, Any]]
Say = Callable[[Mapping[str, Any]], str]
ABSENT = "not measured yet"


def table(rows: Rows) -> str:
    """Markdown: claim, bars, figures, and whether the first bar is met by all rows of a line."""
    lines = ["| what | must | strive | measured | holds |", "|---|---|---|---|---|"]
    for what, must, strive, names, say in LINES:
        there = [name for name in _matching(names, rows) if name in rows]
        alone = len(names) == 1 and not names[0].endswith("*")
        told = "; ".join(
            say(rows[name]) if alone else f"{_short(name, there)}: {say(rows[name])}"
            for name in there
        )
        told = told or ABSENT
        missing = [name for name in names if name not in rows and not name.endswith("*")]
        if there and missing:
            told += f"; {ABSENT}: {', '.join(missing)}"
        holds = ""
        if there and not missing:
            failing = [name for name in there if not rows[name]["must"]]
            holds = f"**no**: {', '.join(failing)}" if failing else "yes"
        lines.append(f"| {what} | {must} | {strive} | {told} | {holds} |")
    return "\n".join(lines)


def _matching(names: Sequence[str], rows: Rows) -> list[str]:
    """Names, of which those that end with * stand for all rows that begin so."""
    found: list[str] = []
    for name in names:
        if name.endswith("*"):
            found += [row for row in rows if row.startswith(name[:-1])]
        else:
            found.append(name)
    return found


def _short(name: str, there: Sequence[str]) -> str:
    """What tells a row from those beside it."""
    begin = os.path.commonprefix(list(there))
    cut = begin.rfind(" ") + 1
    return name[cut:] if len(there) > 1 else name


def _keys(form: str) -> Say:
    """Says a row by a form with its keys in braces; of a row without one, what it has."""

    def say(row: Mapping[str, Any]) -> str:
        try:
            return form.format(**row)
        except KeyError:
            return str(dict(row))

    return say


def _worst(*keys: str) -> Say:
    """Says the largest of some errors."""

    def say(row: Mapping[str, Any]) -> str:
        return f"{max(float(row[key]) for key in keys if key in row):.1e}"

    return say


_RATES = "p50 {p50_ms:.0f} ms, p90 {p90_ms:.0f}; moving {moving_per_second:.1f} a second"
LINES: Sequence[tuple[str, str, str, Sequence[str], Say]] = (
    (
        "HTML of a scene, opened from disk with the network off", "16 MB; fox 28; asks for nothing",
        "8 MB", [f"page {n}" for n in TEACHERS], _keys("{megabytes:.1f} MB, asks for {external}"),
    ),
    (
        "export after a trained run; on a machine of 1 M samples/s", "120 s", "45 s",
        [f"page {n}" for n in TEACHERS], _keys("{seconds:.0f} s; {seconds_at_1M:.0f} s"),
    ),
    (
        "browser against Python, same student, 20 views of 400x400", "mean 45 dB, worst 40", "",
        [f"browser against python {n}" for n in TEACHERS],
        _keys("{mean_db:.1f}, {worst_db:.1f} dB"),
    ),
    (
        "student below its teacher's test score", "1.0 dB", "0.5 dB",
        [f"student against teacher {n}" for n in TEACHERS],
        _keys("{below_db:.2f} dB of {teacher_db:.2f}"),
    ),
    (
        "each scene preset as teacher, `--steps 150`", "30 dB, or the teacher is below 22", "",
        ["teacher *"], _keys("{student_against_teacher_db:.1f} dB (teacher {teacher_db:.1f})"),
    ),
    (
        "pages of images, browser against Python", "45 dB; hash, dense, siren, mlp in the shader",
        "", ["picture *"], _keys("{db:.1f} dB, computed {computed_in_browser}"),
    ),
    (
        "frames a second, 400x400, full quality: share of what reads allow; while moving",
        "60 %; 12", "", ["frames of a page"],
        _keys("{frames_per_second:.1f} of {reads_allow:.1f}: {share:.0%}; {moving_per_second:.1f}"),
    ),
    (
        "from opening to the first picture, 400x400; 1280x800", "3 s", "1 s", ["opening a page"],
        _keys("{seconds_400x400:.2f} s; {seconds_1280x800:.2f} s ({megabytes:.1f} MB)"),
    ),
    (
        "viewer, idle: camera to picture; moving", "p50 120 ms; 8 a second", "60 ms",
        ["viewer idle: camera to picture"], _keys(_RATES),
    ),
    (
        "viewer, training: camera to picture; moving", "p50 250 ms; 8 a second", "60 ms",
        ["viewer training: camera to picture"], _keys(_RATES),
    ),
    (
        "training while a browser stands still; moves; with the viewer but no browser",
        "70, 50, 98 % of the steps", "", ["training while watched"],
        _keys("{still_share:.1%}, {moving_share:.1%}, {nobody_share:.1%}"),
    ),
    (
        "viewer's picture at training poses against `render`", "35 dB", "",
        ["viewer against render"], _keys("worst {worst_db:.1f}, mean {mean_db:.1f} dB"),
    ),
    (
        "mesh of a ball, also by 250 and shifted: its radius", "1 %", "",
        ["mesh of a ball", "mesh of a ball by 250, shifted"], _worst("radius_off"),
    ),
    (
        "mesh of lego, also by 250, turned and shifted: between the two, of the box's diagonal",
        "1 % (19 of 20 points)", "", ["mesh of lego, moved"],
        _keys("median {median_distance:.4f}, p95 {p95_distance:.4f}"),
    ),
    (
        "colours of a GLB against the field, linear light", "2/255", "",
        ["colours of a GLB"], _worst("largest"),
    ),
    (
        "PLY and splats reloaded", "equal", "", ["points and splats reloaded"],
        _keys("points {points_equal}, splats {splats_equal}"),
    ),
    (
        "ONNX against torch", "1e-4", "", ["onnx scene *", "onnx image *"],
        _worst("density", "rgb", "values"),
    ),
    (
        "an imported snapshot against its own weights", "1e-5", "", ["snapshot of *"],
        _worst("density", "rgb", "values"),
    ),
)  # fmt: skip
"""What, must, strive, the rows it is from, how one row is said."""
