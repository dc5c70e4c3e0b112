"""The colour of a surface: what an eye right in front of it sees."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Float32, Float64
from torch import Tensor

from polyfield.renderers.exports.source import Radiant

OUTSIDE, INSIDE, SAMPLES = 2.0, 3.0, 11
"""How far before and behind a point its ray is followed, in cells, and how often it is asked."""
CLEAR = 0.05
"""Opacity of such a ray below which the colour of the point itself is taken."""
ROWS = 1 << 14
"""Rays at once."""


@torch.no_grad()
def surface_colors(
    model: Radiant,
    points: Float64[np.ndarray, "n 3"],
    normals: Float64[np.ndarray, "n 3"],
    cell: float,
) -> Float32[np.ndarray, "n 3"]:
    """Colours of points of a surface, composited along a short ray against the normal.

    Args:
        model: what has density and colour.
        points: the user's frame.
        normals: of length 1, outwards.
        cell: edge of a cell of the mesh, the user's units.

    Returns:
        In the model's colour space, within [0, 1].
    """
    along = torch.linspace(-OUTSIDE, INSIDE, SAMPLES, dtype=torch.float64) * cell
    step = float(along[1] - along[0])
    found = []
    for at in range(0, len(points), ROWS):
        part = slice(at, at + ROWS)
        x, inward = torch.from_numpy(points[part]), -torch.from_numpy(normals[part])
        places = x[:, None] + along[:, None] * inward[:, None]
        directions = inward.float()[:, None].expand_as(places).contiguous()
        sample = model.ask(places.to(model.device), directions.to(model.device))
        found.append(_blended(sample.density.cpu() * step, sample.rgb.cpu()))
    colors = torch.cat(found) if found else torch.zeros(0, 3)
    return np.asarray(colors.clamp(0, 1).numpy())


def _blended(thickness: Float[Tensor, "n s"], rgb: Float[Tensor, "n s 3"]) -> Float[Tensor, "n 3"]:
    """Front to back; what is left of the light sees the colour of what was met."""
    light = torch.exp(-torch.cumsum(thickness, 1))
    weight = torch.cat([1 - light[:, :1], light[:, :-1] - light[:, 1:]], 1)
    opacity = weight.sum(1, keepdim=True)
    middle = rgb[:, round(OUTSIDE / (OUTSIDE + INSIDE) * (SAMPLES - 1))]
    blended = (weight[..., None] * rgb).sum(1) / opacity.clamp(min=1e-6)
    return torch.where(opacity > CLEAR, blended, middle)
