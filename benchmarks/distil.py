"""Gather the reports of benchmarks/distil.sh, and print what they show.

python benchmarks/distil.py gather OUT FILE.json    # adds all report.json in OUT, and the matrix
python benchmarks/distil.py claims FILE.json        # each claim's figures, as Markdown
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

LEFT_OUT = ("curve", "per_view")
"""Keys of reports that are not kept; curves of baselines go too."""


def gather(out: Path, target: Path) -> None:
    """One file: name -> report, and the rows of the matrix; what OUT hasn't stays in the file."""
    found: dict[str, Any] = {"students": {}, "matrix": []}
    if target.is_file():
        found = json.loads(target.read_text())
    for path in sorted(out.glob("*/report.json")):
        student = json.loads(path.read_text())
        views = path.with_name("views.json")
        if views.is_file():
            student["views"] = json.loads(views.read_text())
        found["students"][path.parent.name] = _short(student)
    matrix = out / "matrix" / "matrix.json"
    if matrix.is_file():
        rows = [*found["matrix"], *map(_short, json.loads(matrix.read_text())["rows"])]
        found["matrix"] = list({(r["teacher"], r["student"]): r for r in rows}.values())
    target.write_text(json.dumps(found, indent=1) + "\n")


def _short(value: Any) -> Any:
    """The same without curves, with four decimals."""
    if isinstance(value, dict):
        return {k: _short(v) for k, v in value.items() if k not in LEFT_OUT}
    return round(value, 4) if isinstance(value, float) else value


def claims(file: Path) -> None:
    """Students against scratch, their teacher and each other; the matrix."""
    tree = json.loads(file.read_text())
    students = tree["students"]
    print("| student | seconds | steps | PSNR | teacher | against it | worst tenth "
          "| scratch, same time | same steps | reached in | ratio | with teacher |")  # fmt: skip
    print("|---" + "|---:" * 11 + "|")
    for name, one in students.items():
        race = one["baseline"] or {}
        scratch = [_number(race.get(k, {}).get("psnr"), ".2f") for k in ("seconds", "steps")]
        times = race.get("seconds", {})
        cells = [
            f"{one['seconds']:.0f}",
            str(one["steps"]),
            *(
                _number(one[key], ".2f")
                for key in ("psnr_student", "psnr_teacher", "psnr_student_vs_teacher")
            ),
            _number(one["worst_tenth"], ".2f"),
            *scratch,
            _number(times.get("seconds_reached"), ".1f"),
            *(_number(times.get(key), ".3f") for key in ("ratio", "ratio_with_teacher")),
        ]
        print(f"| {name} | {' | '.join(cells)} |")
    _matrix(tree["matrix"])


def _matrix(rows: list[dict[str, Any]]) -> None:
    """Teachers down, students across: student against teacher, dB."""
    if not rows:
        return
    names = list(dict.fromkeys(row["teacher"] for row in rows))
    near = {(row["teacher"], row["student"]): row["psnr_student_vs_teacher"] for row in rows}
    print("\n| teacher | " + " | ".join(names) + " |")
    print("|---" + "|---:" * len(names) + "|")
    for teacher in names:
        cells = [_number(near.get((teacher, student)), ".1f") for student in names]
        print(f"| {teacher} | {' | '.join(cells)} |")
    values = sorted(near.values())
    good, best = (sum(value >= wanted for value in values) for wanted in (24, 30))
    print(
        f"\n{len(values)} pairs: least {values[0]:.2f}, median {values[len(values) // 2]:.2f} dB; "
        f"{good} of 24 dB or more, {best} of 30."
    )


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else format(value, form)


def main(arguments: list[str]) -> None:
    """The command line above."""
    match arguments:
        case ["gather", out, target]:
            gather(Path(out), Path(target))
        case ["claims", file]:
            claims(Path(file))
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
