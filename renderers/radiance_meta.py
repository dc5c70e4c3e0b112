"""What the metadata of a model file says of a radiance model."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

import torch

from polyfield.config import from_tree
from polyfield.errors import InputError
from polyfield.renderers.corrections import Corrections
from polyfield.renderers.model import check_corners
from polyfield.renderers.radiance_model import (
    RadianceModel,
    SceneInfo,
    TaggedRadiance,
    TaggedSampler,
)
from polyfield.scenes.base import ColorSpace
from polyfield.scenes.similarity import Similarity

MOST_IMAGES = 1 << 24
"""Of a model file."""

Three = tuple[float, float, float]


def radiance_of(meta: dict[str, Any]) -> RadianceModel:
    """The model that a file's metadata describes, its values not yet read."""
    color_space: ColorSpace = from_tree(
        Literal["srgb", "linear"], meta["color_space"], "color_space"
    )
    low, high = from_tree(tuple[Three, Three], meta["bounds"], "bounds")
    check_corners(low, high)
    info = SceneInfo(
        torch.tensor([low, high]),
        from_tree(bool, meta["unbounded"], "unbounded"),
        color_space,
        from_tree(Three, meta["background"], "background"),
        _frame(meta),
        from_tree(int, meta.get("images", 0), "images"),
    )
    if not 0 <= info.images <= MOST_IMAGES:
        raise InputError(f"0 to {MOST_IMAGES} images", str(info.images), "train it again")
    if not all(map(math.isfinite, info.background)):
        raise InputError("a finite background", f"{info.background}", "train it again")
    return RadianceModel(
        from_tree(TaggedRadiance, meta["field"]),
        from_tree(TaggedSampler, meta["sampler"], "sampler"),
        info,
        from_tree(Corrections, meta.get("corrections", {}), "corrections"),
    )


def _frame(meta: Mapping[str, Any]) -> Similarity:
    """The frame of a model; before there were frames, files knew an origin, or nothing."""
    tree = meta.get("frame", {"center": meta.get("origin", [0.0, 0.0, 0.0]), "scale": 1.0})
    found: Similarity = from_tree(Similarity, tree, "frame")
    if not all(map(math.isfinite, (*found.center, found.scale))) or found.scale <= 0:
        raise InputError("a finite frame with a scale above 0", f"{found}", "train it again")
    return found
