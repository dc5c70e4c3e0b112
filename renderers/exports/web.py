"""A model as one HTML file that draws it in any browser with WebGL 2: no server, no network.

The page holds blocks of bytes (fields/baked.py) as 3-D textures and marches them by the lattice of
the Python renderer, so that both draw the same. Its layout is SNeRG's (Hedman et al. 2021); the
distance to the next block, which lets rays leap, is an idea of SMERF's viewer.
"""

from __future__ import annotations

import base64
import html
import json
import math
import zlib
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import torch
from jaxtyping import UInt8
from torch.nn import functional

from polyfield.errors import InputError
from polyfield.fields import BakedConfig
from polyfield.fields.baked import Baked
from polyfield.fields.base import StoredBytes
from polyfield.fields.deferred import Deferred
from polyfield.files import write_whole
from polyfield.memory import as_size
from polyfield.ranges import Range
from polyfield.renderers.exports.source import Bakeable, Source, Tell
from polyfield.renderers.exports.writing import writing
from polyfield.renderers.samplers import Sampler

CELLS = 6
"""Cells along the edge of a block."""
SPAN = 16.0
"""Of the first harmonics."""
LARGEST = 64_000_000
"""Bytes of a page that some browsers no longer open."""
FAR = 255
"""Distance in blocks that stands for any larger one."""
FIELD_OF_VIEW = math.radians(40)
"""Of the page's first view, along the shorter side."""
FORMAT = 1


@dataclass(frozen=True)
class Web:
    """A page that opens from disk in any browser with WebGL 2."""

    name: ClassVar[str] = "web"
    endings: ClassVar[tuple[str, ...]] = (".html",)
    resolution: Annotated[int, Range(24, 768)] = 168
    """Cells along an axis of the box, in blocks of six."""
    shading: Literal["sh", "deferred"] = "sh"
    """sh: each point has its colours, by --bands; deferred: a small network colours each ray."""
    bands: Annotated[int, Range(1, 2)] = 2
    """1: colours don't depend on the direction, a third of the size; 2: they do, linearly."""
    steps: Annotated[int, Range(0, 1 << 20)] = 600
    """Training steps after baking, in which the page learns to look like the run; 0: none."""

    def __post_init__(self) -> None:
        if self.shading == "deferred" and self.bands != Web.bands:
            raise InputError("--bands with --shading sh", "deferred", "leave out one of them")

    def config(self) -> BakedConfig:
        """The field of bytes that the page draws."""
        blocks = max(round(self.resolution / CELLS), 1)
        if self.shading == "deferred":
            return Deferred(blocks, CELLS)
        return Baked(blocks, CELLS, self.bands, SPAN)

    def write(self, source: Source, path: Path, tell: Tell) -> str:
        """Bake and write."""
        model = source.bakeable(self.name)
        tell("page: baking")
        made = model.baked(self.config(), source.views)
        if made is not model and self.steps and source.learn is not None and source.views:
            source.learn(model, made, self.steps, tell)
        content = page(made, source)
        if len(content) > LARGEST:
            raise InputError(
                f"a page of at most {as_size(LARGEST)}",
                as_size(len(content)),
                "give a smaller --resolution, or --bands 1",
            )
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, lambda temporary: temporary.write_bytes(content))
        beyond = "; what lies outside the box is left out" if model.info.unbounded else ""
        return f"a page of {as_size(len(content))}{beyond}"


def page(model: Bakeable, source: Source) -> bytes:
    """The HTML of a baked model."""
    stored = model.field.stored_bytes()
    assert stored is not None, "baked"
    parts, atlas = _textures(stored)
    header = {
        "format": FORMAT,
        "parts": [[name, len(content)] for name, content in parts.items()],
        "atlas": atlas,
        "blocks": stored.slot.shape[0],
        "cells": stored.values.shape[1] - 1,
        "logs": [stored.logs[0], stored.logs[1] - stored.logs[0]],
        "spans": stored.spans,
        "textures": [name for name in parts if name not in ("place", "network")],
        "directed": stored.values.shape[-1] > 4,
        **_world(model, source),
    }
    data = base64.b64encode(zlib.compress(b"".join(parts.values()), 9)).decode()
    pieces = {
        "TITLE": html.escape(source.name),
        "STYLE": _read("page.css"),
        "HEADER": json.dumps(header).replace("<", "\\u003c"),
        "DATA": data,
        "MARCH": _read("march.glsl"),
        "SHADING": _read("deferred.glsl" if stored.network else "harmonics.glsl"),
        "SCRIPT": _read("page.js"),
    }
    found = _read("page.html")
    for name, piece in pieces.items():
        found = found.replace(f"${name}", piece)
    return found.encode()


def _read(name: str) -> str:
    """A file of the page, as it is installed."""
    return (resources.files("polyfield.renderers.exports") / "page" / name).read_text("utf-8")


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
    parts = _deferred(whole) if stored.network else _harmonics(whole)
    if stored.network:
        parts["network"] = _network(stored.network)
    slot = stored.slot.numpy()
    place = np.zeros((*slot.shape, 4), np.uint8)
    here = slot >= 0
    place[here, :3] = np.stack([x, y, z], 1)[slot[here]]
    place[..., 3] = _distance(torch.from_numpy(here)).numpy()
    parts["place"] = np.ascontiguousarray(place.transpose(2, 1, 0, 3)).tobytes()
    return parts, [across * side, across * side, high * side]


def _harmonics(whole: UInt8[np.ndarray, "z y x c"]) -> dict[str, bytes]:
    """Textures of colours that are harmonics: one of densities, three of four channels."""
    bands = (whole.shape[-1] - 1) // 3
    colors = np.full((*whole.shape[:3], 3, 4), 128, np.uint8)
    colors[..., :bands] = whole[..., 1:].reshape(*whole.shape[:3], 3, bands)
    parts = {"density": whole[..., 0].tobytes()}
    for index, name in enumerate(("first", "second", "third")):
        parts[name] = colors[..., index, :].tobytes()
    return parts


def _deferred(whole: UInt8[np.ndarray, "z y x 8"]) -> dict[str, bytes]:
    """Textures of deferred shading: densities and diffuse colours, and features."""
    return {"density": whole[..., :4].tobytes(), "features": whole[..., 4:].tobytes()}


def _network(layers: tuple[torch.Tensor, ...]) -> bytes:
    """Layers as the shader has them: input by input, outputs in fours, float32."""
    parts = [functional.pad(layer.T, (0, -len(layer) % 4)).contiguous() for layer in layers]
    return b"".join(part.numpy().astype("<f4").tobytes() for part in parts)


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
