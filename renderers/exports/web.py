"""A model as one HTML file that draws it in any browser with WebGL 2: no server, no network.

Of an image see pictures/. The page of a scene holds blocks of bytes (fields/baked.py) as 3-D
textures and marches them by the lattice of the Python renderer, so that both draw the same. Its
layout is SNeRG's (Hedman et al. 2021); the distance to the next block, which lets rays leap, is an
idea of SMERF's viewer.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
import torch
from torch.nn import functional

from polyfield.errors import InputError
from polyfield.fields.baked import Baked
from polyfield.fields.base import StoredBytes
from polyfield.files import write_whole
from polyfield.memory import as_size
from polyfield.ranges import Range
from polyfield.renderers.exports.pictures.page import picture_page
from polyfield.renderers.exports.shell import Parts, check_size, shell
from polyfield.renderers.exports.source import Bakeable, Source, Tell
from polyfield.renderers.exports.writing import writing
from polyfield.renderers.samplers import Sampler

CELLS = 6
"""Cells along the edge of a block."""
FAR = 255
"""Distance in blocks that stands for any larger one."""
FIELD_OF_VIEW = math.radians(40)
"""Of the page's first view, along the shorter side."""
SCENE = Parts("scene_keys.html", "drag to turn it", ["page.js"], ["march.glsl"])
"""Files of the page."""


@dataclass(frozen=True)
class Web:
    """A page that opens from disk in any browser with WebGL 2."""

    name: ClassVar[str] = "web"
    endings: ClassVar[tuple[str, ...]] = (".html",)
    resolution: Annotated[int, Range(24, 768)] = 168
    """Cells along an axis of the box, in blocks of six."""
    bands: Annotated[int, Range(1, 2)] = 2
    """1: colours don't depend on the direction, a third of the size; 2: they do, linearly."""
    steps: Annotated[int, Range(0, 1 << 20)] = 600
    """Training steps after baking, in which the page learns to look like the run; 0: none."""
    finer: Annotated[int, Range(0, 3)] | None = None
    """Of images that are shown as tiles: levels beyond their pixels, each twice as fine; 1."""

    def write(self, source: Source, path: Path, tell: Tell) -> str:
        """Bake, or pack, and write."""
        picture = source.picture
        if picture is None:
            content, said = self._scene(source, tell)
        else:
            self._refuse(["resolution", "bands", "steps"], "a scene", "an image")
            content, said = picture_page(picture, source.name, self.finer, tell)
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, lambda temporary: temporary.write_bytes(content))
        return said

    def _refuse(self, names: Sequence[str], wanted: str, got: str) -> None:
        """Raise of options that would do nothing."""
        for one in fields(self):
            given = self.__dict__[one.name]
            if one.name in names and given != one.default:
                raise InputError(
                    f"{wanted} for --{one.name} of --to web",
                    f"{got} and --{one.name} {given}",
                    "leave it out",
                )

    def _scene(self, source: Source, tell: Tell) -> tuple[bytes, str]:
        """The page of a scene."""
        model = source.bakeable(self.name)
        self._refuse(["finer"], "an image", "a scene")
        config = Baked(max(round(self.resolution / CELLS), 1), CELLS, self.bands)
        tell("page: baking")
        made = model.baked(config, source.views)
        if made is not model and self.steps and source.learn is not None and source.views:
            source.learn(model, made, self.steps, tell)
        content = page(made, source)
        check_size(content, "give a smaller --resolution, or --bands 1")
        beyond = "; what lies outside the box is left out" if model.info.unbounded else ""
        return content, f"a page of {as_size(len(content))}{beyond}"


def page(model: Bakeable, source: Source) -> bytes:
    """The HTML of a baked model."""
    stored = model.field.stored_bytes()
    assert stored is not None, "baked"
    parts, atlas = _textures(stored)
    header = {
        "atlas": atlas,
        "blocks": stored.slot.shape[0],
        "cells": stored.values.shape[1] - 1,
        "logs": [stored.logs[0], stored.logs[1] - stored.logs[0]],
        "span": stored.span,
        "directed": stored.values.shape[-1] > 4,
        **_world(model, source),
    }
    return shell(source.name, header, parts, SCENE)


def _textures(stored: StoredBytes) -> tuple[dict[str, bytes], list[int]]:
    """Bytes of the page's textures, x the fastest, and the texels of their atlas."""
    count, side = len(stored.values), stored.values.shape[1]
    across = max(math.ceil(count ** (1 / 3)), 1)
    high = max(math.ceil(count / across**2), 1)
    # An atlas [z, y, x, channel] of across x across x high blocks.
    channels = stored.values.shape[-1]
    atlas = np.zeros((high, across, across, side, side, side, channels), np.uint8)
    number = np.arange(count)
    z, y, x = number // across**2, number // across % across, number % across
    atlas[z, y, x] = stored.values.numpy().transpose(0, 3, 2, 1, 4)
    whole = atlas.transpose(0, 3, 1, 4, 2, 5, 6).reshape(
        high * side, across * side, across * side, channels
    )
    colors = np.full((*whole.shape[:3], 3, 4), 128, np.uint8)
    bands = (channels - 1) // 3
    colors[..., :bands] = whole[..., 1:].reshape(*whole.shape[:3], 3, bands)
    parts = {"density": np.ascontiguousarray(whole[..., 0]).tobytes()}
    for index, name in enumerate(("first", "second", "third")):
        parts[name] = np.ascontiguousarray(colors[..., index, :]).tobytes()
    slot = stored.slot.numpy()
    place = np.zeros((*slot.shape, 4), np.uint8)
    here = slot >= 0
    place[here, :3] = np.stack([x, y, z], 1)[slot[here]]
    place[..., 3] = _distance(torch.from_numpy(here)).numpy()
    parts["place"] = np.ascontiguousarray(place.transpose(2, 1, 0, 3)).tobytes()
    return parts, [across * side, across * side, high * side]


def _distance(here: torch.Tensor) -> torch.Tensor:
    """Of each block, how far the nearest stored one is by the maximum norm; 0 for itself."""
    near = here.float()[None, None]
    found = torch.zeros(here.shape, dtype=torch.int64)
    for _ in range(min(max(here.shape), FAR)):
        found += (near[0, 0] == 0).long()
        near = functional.max_pool3d(near, 3, 1, 1)
    return found.clamp(max=FAR).to(torch.uint8)


def _world(model: Bakeable, source: Source) -> dict[str, Any]:
    """Box, march, background and the first view, in the model's frame."""
    info = model.info
    low, high = info.bounds.cpu().double()
    up = source.up
    middle, extent = (low + high) / 2, float((high - low).max())
    eye = middle + extent * 1.4 * _aside(up)
    if source.views:
        camera = source.views[0]
        seen = info.frame.normalised(camera.pose[:3, 3])
        forward = -camera.pose[:3, 2].double()
        # It turns about the point before the camera that is nearest to the middle of the box.
        reach = float(((middle - seen) @ forward).clamp(min=0.1 * extent))
        eye, middle = seen, seen + reach * forward
    sampler: Sampler = model.renderer.sampler
    return {
        "low": low.tolist(),
        "high": high.tolist(),
        "extent": extent,
        "stride": sampler.stride,
        "center": list(info.frame.center),
        "scale": info.frame.scale,
        "background": list(info.background),
        "linear": info.color_space == "linear",
        "up": up.tolist(),
        "eye": eye.tolist(),
        "target": middle.tolist(),
        "fov": FIELD_OF_VIEW,
    }


def _aside(up: torch.Tensor) -> torch.Tensor:
    """A direction that is a little above the horizon."""
    flat = torch.roll(up, 1)
    found = flat + torch.linalg.cross(up, flat) * 0.6 + up * 0.6
    return found / found.norm()
