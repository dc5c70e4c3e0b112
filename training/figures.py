"""Images of a run: target beside prediction beside error, and the training curve."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from polyfield.errors import visible
from polyfield.renderers.colormaps import colored
from polyfield.scenes.color import from_float, srgb_from_linear
from polyfield.scenes.images import write_image
from polyfield.training.plots import page, save_page
from polyfield.training.scores import Metric

ERROR_SCALE = 4.0
"""The error panel is white where a value is off by 1 / ERROR_SCALE of the range."""
PANEL_SIZES = (200, 720)
"""Shortest and longest longer side of one panel of a preview, in pixels."""
_GAP = 6
_CAPTION = 16
_HATCH = 8


@dataclass(frozen=True)
class Pair:
    """One row of a preview."""

    target: Float[Tensor, "h w c"]
    """In [0, 1], 1 (grey) or 3 channels."""
    prediction: Float[Tensor, "h w c"]
    """The same."""
    caption: str
    """What it is and how good, for instance "r_0  31.20 dB"."""
    mask: Bool[Tensor, "h w"] | None = None
    """Which pixels count; None for all. The others are hatched in the target, and in the error."""


def write_preview(path: Path, pairs: Sequence[Pair], linear: bool) -> None:
    """Rows of target, prediction and error, with captions.

    Args:
        path: Ends with .png.
        pairs: One row each; sizes may differ.
        linear: The values are linear light and go through the sRGB curve to be seen.
    """
    from PIL import Image, ImageDraw

    rows = []
    for pair in pairs:
        shown = [_paneled(_seen(p, linear)) for p in (pair.target, pair.prediction)]
        error = (shown[0] - shown[1]).abs().mean(-1) * ERROR_SCALE
        panels = [*shown, colored(error.clamp(0, 1), "inferno")]
        if pair.mask is not None:
            ignored = _paneled((~pair.mask)[..., None].float())[..., 0] > 0
            panels = [_hatched(panels[0], ignored), panels[1], _hatched(panels[2], ignored)]
        height, width = panels[0].shape[:2]
        row = np.full((height + _CAPTION + _GAP, 3 * (width + _GAP), 3), 255, np.uint8)
        for index, panel in enumerate(panels):
            left = index * (width + _GAP)
            row[_CAPTION : _CAPTION + height, left : left + width] = _bytes(panel)
        picture = Image.fromarray(row)
        draw = ImageDraw.Draw(picture)
        words = ("target", f"prediction {visible(pair.caption)}", f"error x {ERROR_SCALE:g}")
        for index, word in enumerate(words):
            draw.text((index * (width + _GAP) + 2, 2), word, fill=(0, 0, 0))
        rows.append(np.asarray(picture))
    wide = max(row.shape[1] for row in rows)
    padding = [((0, 0), (0, wide - row.shape[1]), (0, 0)) for row in rows]
    padded = [np.pad(r, p, constant_values=255) for r, p in zip(rows, padding, strict=True)]
    write_image(path, np.concatenate(padded))


def write_curve(
    path: Path, history: Sequence[Sequence[float]], metric: Metric, measured: float | None
) -> None:
    """The headline score on the training batches and the loss against training time.

    Args:
        path: Ends with .png.
        history: Rows of (seconds, loss, score).
        metric: The score.
        measured: That of the evaluation; None where there was none.
    """
    figure, left = page(7, 4)
    right = left.twinx()
    seconds, loss, score = np.array(history, dtype=float).reshape(-1, 3).T
    right.plot(seconds, loss, color="0.75", linewidth=1, label="loss")
    if len(loss) and np.nanmin(loss) > 0:
        right.set_yscale("log")
    left.plot(seconds, score, color="tab:blue", linewidth=1.2, label="training batches")
    if measured is not None and np.isfinite(measured):
        left.axhline(measured, color="tab:red", linestyle="--", linewidth=1)
        left.annotate(f"measured {metric.text(measured)}", (0.02, measured), va="bottom",
                      xycoords=("axes fraction", "data"), color="tab:red")  # fmt: skip
    left.set_zorder(right.get_zorder() + 1)
    left.patch.set_visible(False)
    left.set_xlabel("training time / s")
    left.set_ylabel(metric.axis)
    right.set_ylabel("loss")
    left.grid(alpha=0.3)
    save_page(figure, path)


def to_bytes(picture: Float[Tensor, "h w c"], linear: bool) -> np.ndarray:
    """An image of values in [0, 1] as 8-bit RGB."""
    return _bytes(_seen(picture, linear))


def _seen(picture: Float[Tensor, "h w c"], linear: bool) -> Float[Tensor, "h w 3"]:
    """Three channels in [0, 1], ready for a screen."""
    shown = picture.detach().float().cpu()
    shown = srgb_from_linear(shown.clamp(min=0)) if linear else shown
    return shown.clamp(0, 1).expand(-1, -1, 3)


def _hatched(picture: Float[Tensor, "h w 3"], where: Bool[Tensor, "h w"]) -> Tensor:
    """An image with grey stripes over a part of it, as drawings show what is not there."""
    rows, columns = (torch.arange(n) for n in where.shape)
    dark = (rows[:, None] + columns) % _HATCH < _HATCH // 2
    stripes = torch.where(dark, 0.35, 0.65)[..., None].expand(-1, -1, 3)
    return torch.where(where[..., None], stripes, picture)


def _paneled(picture: Float[Tensor, "h w c"]) -> Float[Tensor, "h2 w2 c"]:
    """An image at the size of a panel: large ones reduced by area, tiny ones in whole blocks."""
    size = max(picture.shape[:2])
    low, high = PANEL_SIZES
    if size < low:
        times = -(-low // size)
        return picture.repeat_interleave(times, 0).repeat_interleave(times, 1)
    if size <= high:
        return picture
    planes = picture.movedim(-1, 0)[None]
    scale = [max(round(n * high / size), 1) for n in picture.shape[:2]]
    return torch.nn.functional.interpolate(planes, scale, mode="area")[0].movedim(0, -1)


def _bytes(picture: Float[Tensor, "h w 3"]) -> np.ndarray:
    return from_float(picture.numpy(), np.uint8)
