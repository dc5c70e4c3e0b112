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


@dataclass
class Row:
    """One preset with one seed."""

    preset: str
    seed: int
    psnr_heldout: float | None
    """dB on pixels or views it was not trained on; None where none were held out."""
    psnr_fitted: float | None
    """dB on what it was trained on."""
    psnr: float
    """dB as metrics.json has it: all pixels of a picture, the test views of a scene."""
    ssim: float
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
    def of(cls, preset: str, seed: int, metrics: Mapping[str, Any], size: Size) -> Row:
        """The row of a finished run; what metrics.json lacks is measured later."""
        whole = metrics["split"] == "all" and "psnr_heldout" not in metrics
        return cls(
            preset,
            seed,
            metrics["psnr"] if metrics["split"] == "test" else metrics.get("psnr_heldout"),
            metrics["psnr"] if whole else metrics.get("psnr_fitted"),
            metrics["psnr"],
            metrics["ssim"],
            size.trainable,
            size.stored,
            metrics["model_bytes"],
            metrics["seconds_training"],
            metrics["steps"],
            metrics["samples_per_second"],
        )


_COLUMNS = (
    ("preset", "preset"),
    ("seed", "seed"),
    ("held out dB", "psnr_heldout"),
    ("fitted dB", "psnr_fitted"),
    ("SSIM", "ssim"),
    ("trainable", "parameters_trainable"),
    ("stored", "parameters_stored"),
    ("bytes", "model_bytes"),
    ("seconds", "seconds"),
    ("steps", "steps"),
    ("samples/s", "samples_per_second"),
    ("points/s", "query_points_per_second"),
)


def write_table(folder: Path, rows: Sequence[Row]) -> str:
    """Write compare.txt, .md, .csv and .json into a folder; returns the text."""
    trees = [asdict(row) for row in rows]
    write_json(folder / "compare.json", {"versions": versions(), "rows": trees})
    page = io.StringIO()
    writer = csv.DictWriter(page, list(trees[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(trees)
    write_text(folder / "compare.csv", page.getvalue())
    cells = [[_word(key, tree[key]) for _, key in _COLUMNS] for tree in trees]
    heads = [head for head, _ in _COLUMNS]
    write_text(folder / "compare.md", _markdown(heads, cells))
    text = _text(heads, cells)
    write_text(folder / "compare.txt", text + "\n")
    return text


def _word(key: str, value: Any) -> str:
    if value is None:
        return "-"
    if key.startswith("psnr"):
        return f"{value:.2f}"
    if key == "ssim":
        return f"{value:.4f}"
    if key.endswith("per_second"):
        return f"{value / 1e6:.3f} M"
    if key in ("parameters_trainable", "parameters_stored", "model_bytes"):
        return f"{value:,}"
    return f"{value:.1f}" if isinstance(value, float) else str(value)


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
