"""A page that computes an image's field in the browser, for every pixel of the screen."""

from __future__ import annotations

import copy
import math
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from polyfield.encodings.shader_pass import Passes
from polyfield.fields.base import SignalField
from polyfield.renderers.exports.shell import Parts, shell
from polyfield.renderers.exports.source import Pictured
from polyfield.scenes.color import screen_colors

ROW = 2048
"""Texels beside each other: every WebGL 2 has as many (page/pass.glsl)."""
LOOKED = 1 << 14
"""Points at which numbers of 16 bits are compared with those of 32."""
EXACT = 1e-3
"""Largest error, of values between 0 and 1, at which grids are kept in 16 bits: a quarter of a step
of 8 bits."""
NOTE = "The field itself, computed here as you zoom"


def field_page(model: Pictured, passes: Passes, title: str) -> bytes:
    """The HTML.

    Args:
        model: the image.
        passes: its field, as shaders do it.
        title: of the page.
    """
    half = _fits_half(model)
    stored: list[dict[str, Any]] = []
    data: dict[str, bytes] = {}
    for index, one in enumerate(passes):
        packed = _packed(one.texels, one.is_table and half)
        data[f"pass{index}"] = packed.tobytes()
        stored.append(
            {
                "op": one.op,
                "width": one.width,
                "numbers": dict(one.numbers),
                "texels": [packed.shape[1], packed.shape[0]],
                "channels": packed.shape[2],
                "half": one.is_table and half,
            }
        )
    header = {
        "passes": stored,
        "extent": list(model.info.extent),
        "channels": model.info.channels,
        "linear": model.picture == "linear",
        "scale": model.info.scale,
    }
    shaders = sorted({f"{one.op}.glsl" for one in passes})
    files = Parts(
        "picture_keys.html",
        "drag to move it",
        ["picture.js", "field.js", "refine.js"],
        ["pass.glsl", *shaders, "show.glsl"],
    )
    return shell(title, header, data, files, NOTE)


def _packed(texels: Tensor, half: bool) -> np.ndarray:
    """Texels in rows, [rows, ROW or all there are, k], little-endian."""
    wide = min(len(texels), ROW)
    filled = functional.pad(texels, (0, 0, 0, -len(texels) % wide))
    rows = filled.view(-1, wide, texels.shape[1]).numpy()
    return np.ascontiguousarray(rows.astype("<f2" if half else "<f4"))


@torch.no_grad()
def _fits_half(model: Pictured) -> bool:
    """Whether the field shows the same with its tables' entries in 16 bits."""
    tables = _tables(model.field)
    if not tables or any(bool(table.abs().max() > 6e4) for table in tables):
        return False
    other = copy.deepcopy(model.field)
    for table in _tables(other):
        table.copy_(table.half().float())
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(LOOKED, 2, generator=generator) * torch.tensor(model.info.extent)
    x = x.to(model.field.domain.bounds.device)
    linear = model.picture == "linear"
    shown = [
        screen_colors(field(x).cpu() * model.info.scale, linear).clamp(0, 1)
        for field in (model.field, other)
    ]
    error = float((shown[0] - shown[1]).abs().max())
    return math.isfinite(error) and error <= EXACT


def _tables(field: SignalField) -> list[torch.nn.Parameter]:
    return field.groups().get("table", [])
