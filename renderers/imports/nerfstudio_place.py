"""Where nerfstudio's coordinates lie in the user's frame, and the data they were trained on."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor

from polyfield.errors import InputError, shown
from polyfield.fields.placement import Placement
from polyfield.renderers.imports.snapshot import Tree
from polyfield.scenes.base import Capture, ReadOptions
from polyfield.scenes.captures import open_capture
from polyfield.scenes.path_formats.nerfstudio import Placed
from polyfield.scenes.path_formats.source import shared_keys
from polyfield.scenes.similarity import Similarity


@dataclass(frozen=True)
class Place:
    """A model's coordinates in the user's frame."""

    placement: Placement
    frame: Similarity
    bounds: Float[Tensor, "2 3"]
    """Of the scene's box, in `frame`."""


def place_of(placed: Placed, aabb: Float[Tensor, "2 3"], contracted: bool) -> Place:
    """The user's box, and where the program's coordinates lie in it.

    Args:
        placed: y = scale (turn x), of the user's x.
        aabb: the program's box, its coordinates; of contracted space it is the cube of +-1.
        contracted: whether there is no end.

    Raises:
        InputError: a box that is none.
    """
    box = torch.tensor([[-1.0] * 3, [1.0] * 3]) if contracted else aabb
    box = box.double()
    if not bool((box[0] < box[1]).all()) or not bool((box.abs() < 1e6).all()):
        raise InputError("a box for field.aabb", f"{aabb.tolist()}"[:80], "check the checkpoint")
    turn = placed.turn[:3, :3].double()
    if contracted:
        # A cube about zero in the user's axes: the box is where things are, not where they end.
        low, high = box
    else:
        corners = torch.stack([torch.stack(c) for c in itertools.product(*box.T)]) @ turn
        low, high = corners.amin(0), corners.amax(0)
    middle, edges = (low + high) / 2, high - low
    extent = float(edges.max())
    center = torch.linalg.solve(turn, turn @ middle / placed.scale - placed.turn[:3, 3].double())
    rows = [_three(row) for row in turn]
    placement = Placement(
        (rows[0], rows[1], rows[2]),
        _three(turn @ middle),
        extent,
        contracted,
        _three(box[0]),
        _three(box[1]),
    )
    half = (edges / extent).float()
    frame = Similarity(_three(center), placed.scale * 2 / extent)
    return Place(placement, frame, torch.stack([-half, half]))


def _three(values: Float64[Tensor, "3"]) -> tuple[float, float, float]:
    x, y, z = values.tolist()
    return x, y, z


def data_path(config: Tree, given: Path | None) -> Path | None:
    """The data of the training: as given, else as config.yml says; None where that is not there."""
    if given is not None:
        return given
    manager = config.part("pipeline").values.get("datamanager")
    parser = manager.get("dataparser") if isinstance(manager, dict) else None
    for tree in (config.values, manager, parser):
        said: Any = tree.get("data") if isinstance(tree, dict) else None
        words = [said] if isinstance(said, str) else said
        if isinstance(words, list) and words and all(isinstance(w, str) for w in words):
            path = Path(*words)
            try:
                if path.exists():
                    return path
            except (OSError, ValueError):
                continue
    return None


def capture_at(path: Path, config: Tree, is_asked: bool) -> tuple[Capture | None, list[str]]:
    """The capture with the splits of the training, and what is to be said of it.

    Args:
        path: where it is.
        config: what the training says of its splits.
        is_asked: whether the user named it: then what can't be read is an error.

    Raises:
        InputError: as `open_capture`, where it was asked for.
    """
    try:
        capture = open_capture(path, ReadOptions())
    except InputError as error:
        if is_asked:
            raise
        return None, [f"no cameras, for its data can't be read: {error}"[:250]]
    if "test" not in capture.splits or (path / "transforms_train.json").is_file():
        return capture, []
    names = _names(capture)
    own = _split(names, _parser(config))
    if own is None:
        note = f"{shown(path)} is split our way: its test views may have been trained on"
        return capture, [] if _has_own_split(path) else [note]
    if _has_own_split(path):
        return capture, []
    return capture.regrouped({k: v for k, v in own.items() if v}), []


def _names(capture: Capture) -> list[str]:
    found = {name for split in capture.splits for name in capture.names(split)}
    return sorted(found, key=lambda name: PurePosixPath(name).parts)


def _parser(config: Tree) -> dict[str, Any]:
    manager = config.part("pipeline").values.get("datamanager")
    parser = manager.get("dataparser") if isinstance(manager, dict) else None
    return parser if isinstance(parser, dict) else {}


def _has_own_split(path: Path) -> bool:
    """Whether a transforms.json says itself which images are trained on."""
    return any(f"{split}_filenames" in (shared_keys(path) or {}) for split in ("train", "test"))


def _split(names: Sequence[str], parser: dict[str, Any]) -> dict[str, list[str]] | None:
    """Training and other images by the program's rule; None where it has another."""
    count = len(names)
    share, every = parser.get("train_split_fraction", 0.9), parser.get("eval_interval", 8)
    mode = parser.get("eval_mode", "fraction")
    if mode == "fraction" and type(share) is float and 0 < share <= 1:
        kept = math.ceil(count * share)
        train = set(np.linspace(0, count - 1, kept, dtype=int).tolist())
    elif mode == "interval" and type(every) is int and every > 0:
        train = {i for i in range(count) if i % every}
    elif mode == "filename":
        train = {i for i, name in enumerate(names) if "train" in PurePosixPath(name).name}
    else:
        return None
    return {
        "train": [name for i, name in enumerate(names) if i in train],
        "test": [name for i, name in enumerate(names) if i not in train],
    }
