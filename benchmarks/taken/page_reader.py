"""What is in a page, taken out again and drawn by Python: the student that the page shows."""

from __future__ import annotations

import base64
import json
import re
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional

from polyfield.encodings.domain import domain
from polyfield.fields.baked import Baked, BakedField
from polyfield.renderers.occupancy import OccupancyGrid
from polyfield.renderers.radiance_model import (
    MOST_CELLS,
    MOST_SAMPLES,
    RadianceModel,
    SceneInfo,
)
from polyfield.scenes.similarity import Similarity


def contents(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The header of a page, and its bytes by name."""
    text = path.read_text()
    header = json.loads(_element(text, "header"))
    whole = zlib.decompress(base64.b64decode(_element(text, "data")))
    parts, at = {}, 0
    for name, length in header["parts"]:
        parts[name] = np.frombuffer(whole, np.uint8, length, at)
        at += length
    if at != len(whole):
        raise ValueError(f"{path}: {len(whole)} bytes where its header has {at}")
    return header, parts


def student(path: Path) -> RadianceModel:
    """The model whose very bytes a page draws."""
    header, parts = contents(path)
    blocks, cells, side = header["blocks"], header["cells"], header["cells"] + 1
    bands = 2 if header["directed"] else 1
    low, high = torch.tensor(header["low"]), torch.tensor(header["high"])
    frame = Similarity(tuple(header["center"]), header["scale"])
    space = "linear" if header["linear"] else "srgb"
    endless = header["contracted"]
    info = SceneInfo(torch.stack([low, high]), endless, space, tuple(header["background"]), frame)
    # The steps of the march are those whose length the page says.
    once = OccupancyGrid(resolution=2, steps=1).build(domain(info.bounds, endless))
    steps = round(once.lattice.step / header["stride"])
    grid = OccupancyGrid(resolution=min(blocks, MOST_CELLS), steps=steps, limit=MOST_SAMPLES)
    made = RadianceModel(Baked(blocks, cells, bands, header["spans"][0]), grid, info).eval()
    assert isinstance(made.field, BakedField)
    place = parts["place"].reshape(blocks, blocks, blocks, 4).transpose(2, 1, 0, 3).astype(int)
    here = place[..., 3] == 0
    x, y, z = header["atlas"]
    across = x // side
    number = place[..., 2] * across**2 + place[..., 1] * across + place[..., 0]
    count = int(here.sum())
    if sorted(number[here]) != list(range(count)):
        raise ValueError(f"{path}: its blocks are not numbered one by one")
    channels = [_blocks(parts["density"].reshape(z, y, x, 1), side)]
    # Of each block red's harmonics, then green's, then blue's.
    colors = parts["colors"].reshape(z, y, across, 3, side, 4)
    for color in range(3):
        one = colors[:, :, :, color].reshape(z, y, x, 4)
        channels.append(_blocks(one, side)[..., : bands**2])
    values = np.concatenate(channels, -1)[:count].astype(np.float32) / 255
    slot = torch.from_numpy(np.where(here, number, -1)).int()
    table = torch.from_numpy(values.reshape(-1))
    made.field.load_state_dict({**made.field.state_dict(), "slot": slot, "table": table})
    stored = torch.from_numpy(here).float()[None, None] * 1e6
    made.renderer.sampler.adopt(functional.interpolate(stored, (grid.resolution,) * 3)[0, 0])
    return made


def _blocks(atlas: np.ndarray, side: int) -> np.ndarray:
    """An atlas [z, y, x, c] as blocks [n, x, y, z, c], x the fastest of the numbers."""
    z, y, x, c = atlas.shape
    parts = atlas.reshape(z // side, side, y // side, side, x // side, side, c)
    return parts.transpose(0, 2, 4, 5, 3, 1, 6).reshape(-1, side, side, side, c)


def _element(text: str, name: str) -> str:
    found = re.search(rf'id="{name}">(.*?)</script>', text, re.DOTALL)
    if found is None:
        raise ValueError(f"no element {name}: not a page of polyfield")
    return found[1]
