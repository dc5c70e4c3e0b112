"""The table of a comparison: text, Markdown, CSV and JSON."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from polyfield.fields.base import Size
from polyfield.files import write_json, write_text
from polyfield.machine import versions
from polyfield.training.scores import Metric


@dataclass
class Row:
    """One preset with one seed."""

    preset: str
    seed: int
    heldout: float | None
    """Headline score on what it was not trained on; None where nothing was held out."""
    fitted: float | None
    """The same on what it was trained on."""
    score: float
    """The same as metrics.json has it: all of a signal, the test views of a scene."""
    scores: dict[str, float | None]
    """The others, by name; None where one can't be told, as SSIM of a tiny image."""
    parameters_trainable: int
    parameters_stored: int
    model_bytes: int
    seconds: float
    """Of training."""
    steps: int
    samples_per_second: float
    """While training."""
    query_points_per_second: float | None = None
    """Of the trained field."""

    @classmethod
    def of(cls, preset: str, seed: int, metrics: Mapping[str, Any], size: Size, metric: str) -> Row:
        """The row of a finished run; what metrics.json lacks is measured later."""
        held, fitted = metrics.get(f"{metric}_heldout"), metrics.get(f"{metric}_fitted")
        if metrics["split"] == "test":
            held = metrics[metric]
        elif held is None:
            fitted = metrics[metric]
        mine = (metric, f"{metric}_heldout", f"{metric}_fitted")
        others = {name: metrics[name] for name in metrics.get("scores", []) if name not in mine}
        return cls(
            preset,
            seed,
            held,
            fitted,
            metrics[metric],
            others,
            size.trainable,
            size.stored,
            metrics["model_bytes"],
            metrics["seconds_training"],
            metrics["steps"],
            metrics["samples_per_second"],
        )


def write_table(folder: Path, rows: Sequence[Row], metric: Metric) -> str:
    """Write compare.txt, .md, .csv and .json into a folder; returns the text."""
    trees = [_tree(row, metric.name) for row in rows]
    write_json(folder / "compare.json", {"versions": versions(), "rows": trees})
    page = io.StringIO()
    writer = csv.DictWriter(page, list(trees[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(trees)
    write_text(folder / "compare.csv", page.getvalue())
    columns = _columns(rows, metric)
    cells = [[_word(key, tree[key], metric) for _, key in columns] for tree in trees]
    heads = [head for head, _ in columns]
    write_text(folder / "compare.md", _markdown(heads, cells))
    text = _text(heads, cells)
    write_text(folder / "compare.txt", text + "\n")
    return text


def _tree(row: Row, metric: str) -> dict[str, Any]:
    """A row with its scores by name: psnr_heldout, psnr_fitted, psnr, ssim."""
    tree = asdict(row)
    named = {f"{metric}_heldout": tree.pop("heldout"), f"{metric}_fitted": tree.pop("fitted")}
    named[metric] = tree.pop("score")
    named |= tree.pop("scores")
    head = {key: tree.pop(key) for key in ("preset", "seed")}
    return {**head, **named, **tree}


def _columns(rows: Sequence[Row], metric: Metric) -> list[tuple[str, str]]:
    """Heads, and the keys of `_tree` below them."""
    unit = f" {metric.unit}" if metric.unit else f" {metric.label}"
    return [
        ("preset", "preset"),
        ("seed", "seed"),
        (f"held out{unit}", f"{metric.name}_heldout"),
        (f"fitted{unit}", f"{metric.name}_fitted"),
        *((name.upper(), name) for name in rows[0].scores),
        ("trainable", "parameters_trainable"),
        ("stored", "parameters_stored"),
        ("bytes", "model_bytes"),
        ("seconds", "seconds"),
        ("steps", "steps"),
        ("samples/s", "samples_per_second"),
        ("points/s", "query_points_per_second"),
    ]


def _word(key: str, value: Any, metric: Metric) -> str:
    if value is None:
        return "-"
    if key.startswith(metric.name):
        return f"{value:.2f}" if metric.unit else f"{value:.4f}"
    if key.endswith("per_second"):
        return f"{value / 1e6:.3f} M"
    if key in ("parameters_trainable", "parameters_stored", "model_bytes"):
        return f"{value:,}"
    if key == "seconds":
        return f"{value:.1f}"
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def _markdown(heads: Sequence[str], cells: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---"] + ["---:"] * (len(heads) - 1), *cells]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _text(heads: Sequence[str], cells: Sequence[Sequence[str]]) -> str:
    table = [list(heads), *map(list, cells)]
    widths = [max(len(row[i]) for row in table) for i in range(len(heads))]
    return "\n".join(
        "  ".join(
            word.ljust(width) if i == 0 else word.rjust(width)
            for i, (word, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in table
    )
