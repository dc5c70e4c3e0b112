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
from polyfield.renderers.exports.pictures.page import picture_page
from polyfield.renderers.exports.shell import Parts, check_size, shell
from polyfield.renderers.exports.source import Bakeable, Source, Tell
from polyfield.renderers.exports.writing import writing
from polyfield.renderers.kernels.march import HORIZON
from polyfield.renderers.radiance_model import SceneInfo

CELLS = 6
"""Cells along the edge of a block."""
SPAN = 16.0
"""Of the first harmonics."""
RESOLUTION, STEPS = {False: 168, True: 147}, {False: 600, True: 1000}
"""Cells, and training steps, by whether a scene is without end."""
MOST = 13
"""Values at a vertex of colours of two bands."""
FAR = 255
"""Distance in blocks that stands for any larger one."""
FIELD_OF_VIEW, NARROWEST, WIDEST = (math.radians(degrees) for degrees in (40, 20, 75))
"""Of the page's first view, along the shorter side: without cameras, and its limits with them."""
SKY = 256
"""Rows of the picture of what is behind everything."""
HARMONICS, DEFERRED = (
    Parts("scene_keys.html", "drag to turn it", ["page.js"], ["march.glsl", shading])
    for shading in ("harmonics.glsl", "deferred.glsl")
)
"""Files of the page, by how colours are made."""


@dataclass(frozen=True)
class Web:
    """A page that opens from disk in any browser with WebGL 2."""

    name: ClassVar[str] = "web"
    endings: ClassVar[tuple[str, ...]] = (".html",)
    resolution: Annotated[int, Range(24, 768)] | None = None
    """Cells along an axis of the box, in blocks of six: 168, of a scene without end 147."""
    shading: Literal["sh", "deferred"] = "sh"
    """sh: each point has its colours, by --bands; deferred: a small network colours each ray."""
    bands: Annotated[int, Range(1, 2)] = 2
    """1: colours don't depend on the direction, a third of the size; 2: they do, linearly."""
    steps: Annotated[int, Range(0, 1 << 20)] | None = None
    """Training steps after baking, in which the page learns to look like the run: 600, of a scene
    without end 1000; 0: none."""
    finer: Annotated[int, Range(0, 3)] | None = None
    """Of images that are shown as tiles: levels beyond their pixels, each twice as fine; 1."""

    def __post_init__(self) -> None:
        if self.shading == "deferred" and self.bands != Web.bands:
            raise InputError("--bands with --shading sh", "deferred", "leave out one of them")

    def config(self, unbounded: bool) -> BakedConfig:
        """The field of bytes that the page draws."""
        cells = RESOLUTION[unbounded] if self.resolution is None else self.resolution
        # The box is half as wide as contracted space.
        blocks = max(round(cells * (2 if unbounded else 1) / CELLS), 1)
        if self.shading == "deferred":
            return Deferred(blocks, CELLS)
        return Baked(blocks, CELLS, self.bands, SPAN)

    def write(self, source: Source, path: Path, tell: Tell) -> str:
        """Bake, or pack, and write."""
        picture = source.picture
        if picture is None:
            content, said = self._scene(source, tell)
        else:
            self._refuse(["resolution", "shading", "bands", "steps"], "a scene", "an image")
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
        self._refuse(["finer"], "an image", "a scene")
        content = page(self.bake(source, tell), source)
        check_size(content, "give a smaller --resolution, or --bands 1")
        return content, f"a page of {as_size(len(content))}"

    def bake(self, source: Source, tell: Tell) -> Bakeable:
        """The model of bytes that the page draws."""
        model = source.bakeable(self.name)
        if model.field.stored_bytes() is not None:
            self._refuse(["resolution", "shading", "bands", "steps"], "another field", "bytes")
            return model
        tell("page: baking")
        made = model.baked(self.config(model.info.unbounded), source.views)
        steps = STEPS[model.info.unbounded] if self.steps is None else self.steps
        if steps and source.learn is not None and source.views:
            source.learn(model, made, steps, tell)
        return made


def page(model: Bakeable, source: Source) -> bytes:
    """The HTML of a baked model.

    Raises:
        InputError: its sampler takes steps that depend on the ray, or its colours have three bands.
    """
    stored = model.field.stored_bytes()
    assert stored is not None, "baked"
    if not stored.network and stored.values.shape[-1] > MOST:
        raise InputError(
            "colours of one or two bands for --to web", "three", "train the run with two"
        )
    parts, atlas = _textures(stored)
    sky = _sky(model)
    if sky is not None:
        parts["sky"] = sky.tobytes()
    header = {
        "atlas": atlas,
        "blocks": stored.slot.shape[0],
        "cells": stored.values.shape[1] - 1,
        "logs": [stored.logs[0], stored.logs[1] - stored.logs[0]],
        "spans": stored.spans,
        "textures": [name for name in parts if name not in ("place", "network", "sky")],
        "directed": stored.values.shape[-1] > 4,
        "network": bool(stored.network),
        "sky": None if sky is None else [sky.shape[1], sky.shape[0]],
        **_world(model, source),
    }
    return shell(source.name, header, parts, DEFERRED if stored.network else HARMONICS)


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
    parts = _deferred(whole) if stored.network else _harmonics(whole, side)
    if stored.network:
        parts["network"] = _network(stored.network)
    slot = stored.slot.numpy()
    place = np.zeros((*slot.shape, 4), np.uint8)
    here = slot >= 0
    place[here, :3] = np.stack([x, y, z], 1)[slot[here]]
    place[..., 3] = _distance(torch.from_numpy(here)).numpy()
    parts["place"] = np.ascontiguousarray(place.transpose(2, 1, 0, 3)).tobytes()
    return parts, [across * side, across * side, high * side]


def _harmonics(whole: UInt8[np.ndarray, "z y x c"], side: int) -> dict[str, bytes]:
    """Textures of colours that are harmonics: one of densities, one of harmonics.

    The latter is three times as wide: of each block red's, then green's, then blue's. What a sample
    reads of the three lies close together, which a cache thanks.
    """
    z, y, x, channels = whole.shape
    bands = (channels - 1) // 3
    colors = np.full((z, y, x // side, 3, side, 4), 128, np.uint8)
    blocks = whole[..., 1:].reshape(z, y, x // side, side, 3, bands)
    colors[..., :bands] = blocks.transpose(0, 1, 2, 4, 3, 5)
    return {"density": whole[..., 0].tobytes(), "colors": colors.tobytes()}


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
        empty = near[0, 0] == 0
        if not bool(empty.any()):
            break
        found += empty.long()
        near = functional.max_pool3d(near, 3, 1, 1)
    return found.clamp(max=FAR).to(torch.uint8)


def _sky(model: Bakeable) -> np.ndarray | None:
    """What is behind everything, [height, azimuth, 3], uint8; None where that is one colour."""
    sky = model.corrections.sky
    if sky is None:
        return None
    height = (torch.arange(SKY) + 0.5) / SKY * math.pi
    azimuth = (torch.arange(2 * SKY) + 0.5) / SKY * math.pi - math.pi
    height, azimuth = torch.meshgrid(height, azimuth, indexing="ij")
    flat = height.sin()
    looks = torch.stack([flat * azimuth.cos(), flat * azimuth.sin(), height.cos()], -1)
    with torch.no_grad():
        color = sky(looks.to(model.info.bounds.device)).clamp(0, 1)
    return (color * 255).round().to(torch.uint8).cpu().numpy()


def _world(model: Bakeable, source: Source) -> dict[str, Any]:
    """Box, march, background and the first view, in the model's frame."""
    info = model.info
    low, high = info.bounds.cpu().double()
    extent = float((high - low).max())
    lattice = model.renderer.sampler.lattice
    if lattice is None:
        raise InputError(
            "a run whose steps are the same on every ray for --to web",
            "one that cuts each ray into equal parts",
            "train it with an occupancy grid: --sampler occupancy-grid",
        )
    return {
        "low": low.tolist(),
        "high": high.tolist(),
        "extent": extent,
        "stride": lattice.step,
        "cone": lattice.cone,
        "contracted": info.unbounded,
        "horizon": HORIZON * extent,
        "center": list(info.frame.center),
        "scale": info.frame.scale,
        "background": list(info.background),
        "linear": info.color_space == "linear",
        **_first_view(info, source),
    }


def _first_view(info: SceneInfo, source: Source) -> dict[str, Any]:
    """Where the page looks from: the training camera of middle height."""
    up = source.up
    low, high = info.bounds.cpu().double()
    middle, extent = (low + high) / 2, float((high - low).max())
    eye, angle = middle + extent * 1.4 * _aside(up), FIELD_OF_VIEW
    if source.views:
        by_height = sorted(source.views, key=lambda camera: float(camera.pose[:3, 3].double() @ up))
        camera = by_height[len(by_height) // 2]
        eye = info.frame.normalised(camera.pose[:3, 3]).double()
        forward = -camera.pose[:3, 2].double()
        # It turns about the point before the camera that is nearest to the middle of the box.
        reach = float(((middle - eye) @ forward).clamp(min=0.1 * extent))
        middle = eye + reach * forward
        angle = 2 * math.atan(0.5 * min(camera.width / camera.fl_x, camera.height / camera.fl_y))
        angle = min(max(angle, NARROWEST), WIDEST)
    return {"up": up.tolist(), "eye": eye.tolist(), "target": middle.tolist(), "fov": angle}


def _aside(up: torch.Tensor) -> torch.Tensor:
    """A direction that is a little above the horizon."""
    flat = torch.roll(up, 1)
    found = flat + torch.linalg.cross(up, flat) * 0.6 + up * 0.6
    return found / found.norm()
