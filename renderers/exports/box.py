"""The part of space that is exported."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float64
from torch import Tensor

from polyfield.errors import InputError
from polyfield.renderers.exports.source import Radiant

Six = tuple[float, float, float, float, float, float]


def box_of(model: Radiant, bounds: Six | None) -> Float64[Tensor, "2 3"]:
    """The user's box, else that of the scene; the user's frame.

    Raises:
        InputError: corners that are none, or outside of what a bounded scene has.
    """
    scene = model.bounds.double().cpu()
    if bounds is None:
        return scene
    box = torch.tensor(bounds, dtype=torch.float64).view(2, 3)
    shown = " ".join(f"{value:g}" for value in bounds)
    if not (all(map(math.isfinite, bounds)) and bool((box[0] < box[1]).all())):
        raise InputError(
            "--bounds xmin ymin zmin xmax ymax zmax with each min below its max", shown, "change it"
        )
    if model.is_unbounded:
        return box
    low, high = torch.maximum(box[0], scene[0]), torch.minimum(box[1], scene[1])
    if not bool((low < high).all()):
        where = " ".join(f"{value:.4g}" for value in scene.flatten().tolist())
        raise InputError("--bounds that meet the scene's box", shown, f"that is {where}")
    return torch.stack([low, high])
