"""The figures of a comparison: score against time and size, and crops side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from polyfield.apps.reports.compare_table import Row
from polyfield.scenes.images import write_image
from polyfield.training.figures import to_bytes
from polyfield.training.plots import page, save_page
from polyfield.training.scores import Metric

CROP = 96
"""Pixels along an edge of a crop."""
SCALE = 2
"""Screen pixels a pixel of a crop."""
COLUMNS = 5
"""Crops in a row of the sheet."""
_CAPTION = 16
_GAP = 4


@dataclass(frozen=True)
class Crop:
    """What a preset made of the data, as an image."""

    name: str
    target: Float[Tensor, "h w c"]
    prediction: Float[Tensor, "h w c"]


def write_plots(
    folder: Path,
    rows: Sequence[Row],
    curves: Mapping[str, Sequence[Sequence[float]]],
    metric: Metric,
) -> None:
    """Write SCORE-time.png and SCORE-bytes.png.

    Args:
        folder: Where to.
        rows: The table.
        curves: By preset, rows of (seconds, loss, score on training batches) of its first seed.
        metric: The score.
    """
    over_time, axes = page(7, 4.5)
    for name, history in curves.items():
        seconds, _, values = np.array(history, dtype=float).reshape(-1, 3).T
        axes.plot(seconds, values, linewidth=1.2, label=name)
    _finish(axes, "training time / s", f"{metric.axis} on training batches")
    save_page(over_time, folder / f"{metric.name}-time.png")

    over_bytes, axes = page(7, 4.5)
    for name in dict.fromkeys(row.preset for row in rows):
        mine = [row for row in rows if row.preset == name]
        best = [r.score if r.heldout is None else r.heldout for r in mine]
        axes.scatter([r.model_bytes for r in mine], best, label=name)
    axes.set_xscale("log")
    held = any(row.heldout is not None for row in rows)
    _finish(axes, "bytes of the model file", f"{metric.axis}{', held out' if held else ''}")
    save_page(over_bytes, folder / f"{metric.name}-bytes.png")


def _finish(axes: Any, across: str, up: str) -> None:
    axes.set_xlabel(across)
    axes.set_ylabel(up)
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8)


def write_sheet(path: Path, crops: Sequence[Crop]) -> None:
    """A contact sheet: the target, then every preset, the same part of the image enlarged."""
    from PIL import Image, ImageDraw

    top, left = _liveliest(crops[0].target)
    part = (slice(top, top + CROP), slice(left, left + CROP))
    panels = [("target", crops[0].target[part])]
    for crop in crops:
        panels.append((crop.name, crop.prediction[part]))
    height, width = (n * SCALE for n in panels[0][1].shape[:2])
    count = min(COLUMNS, len(panels))
    lines = -(-len(panels) // count)
    sheet = Image.new("RGB", (count * (width + _GAP), lines * (height + _CAPTION)), "white")
    draw = ImageDraw.Draw(sheet)
    for number, (caption, panel) in enumerate(panels):
        x, y = number % count * (width + _GAP), number // count * (height + _CAPTION)
        small = Image.fromarray(to_bytes(_colors(panel), False))
        sheet.paste(small.resize((width, height), Image.Resampling.NEAREST), (x, y + _CAPTION))
        draw.text((x + 2, y + 2), caption, fill=(0, 0, 0))
    write_image(path, np.asarray(sheet))


def _colors(panel: Float[Tensor, "h w c"]) -> Float[Tensor, "h w c2"]:
    """One or three channels; alpha is left out."""
    return panel[..., : 3 if panel.shape[-1] >= 3 else 1]


def _liveliest(picture: Float[Tensor, "h w c"]) -> tuple[int, int]:
    """Upper left corner of the crop with the most change from pixel to pixel."""
    grey = picture.mean(-1)
    change = torch.zeros_like(grey)
    change[1:] += grey.diff(dim=0).abs()
    change[:, 1:] += grey.diff(dim=1).abs()
    size = [min(CROP, n) for n in grey.shape]
    mean = torch.nn.functional.avg_pool2d(change[None, None], size, stride=8)[0, 0]
    place = int(mean.argmax())
    return place // mean.shape[1] * 8, place % mean.shape[1] * 8
