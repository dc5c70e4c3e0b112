"""A page of an image whose field has no shaders: pictures of it at several sizes, as tiles."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping

import numpy as np
import torch
from jaxtyping import UInt8
from PIL import Image
from torch import Tensor
from torch.nn import functional

from polyfield.errors import InputError
from polyfield.memory import as_size, check_memory
from polyfield.renderers.exports.shell import LARGEST, Parts, shell
from polyfield.renderers.exports.source import Pictured, Tell
from polyfield.scenes.color import screen_colors

TILE = 256
"""Pixels along an edge of a tile."""
MOST = 1 << 25
"""Pixels of a level finer than the image's own; one of more is left out."""
PNG = 12_000_000
"""Bytes of a page up to which tiles are kept without loss."""
QUALITY = 95
"""Of JPEG, without subsampled colours."""
NOTE = "Tiles, not the field itself"
FILES = Parts("picture_keys.html", "drag to move it", ["picture.js", "tiles.js"])
"""Files of the page."""


def tiles_page(model: Pictured, title: str, finer: int, tell: Tell) -> tuple[bytes, str]:
    """The HTML, and what is in it.

    Args:
        model: the image.
        title: of the page.
        finer: levels that are twice as fine as the last, beyond the image's own pixels.
        tell: shows progress.

    Raises:
        InputError: no page holds as many tiles.
    """
    width, height = model.info.shape
    asked = finer
    while finer and (width << finer) * (height << finer) > MOST:
        finer -= 1
    shape = width << finer, height << finer
    words = f"{shape[0]}x{shape[1]}"
    need = 8 * shape[0] * shape[1]
    check_memory(f"tiles of {words} pixels", need, "give a smaller --finer, or fit a smaller image")
    tell(f"page: {words} pixels, as tiles")
    # The image's own pixels are asked for themselves: between them a field may be anything.
    drawn = [_drawn(model, (width << n, height << n)) for n in range(finer, -1, -1)]
    levels = drawn[:-1] + _levels(drawn[-1])
    tiles, kind = _encoded(levels)
    header = {
        "levels": [[level.shape[1], level.shape[0]] for level in levels],
        "tile": TILE,
        "type": kind,
        "extent": list(model.info.extent),
    }
    said = f"tiles of up to {words} pixels, not the field itself"
    if finer < asked:
        said += f"; finer ones are more than {MOST} pixels"
    return shell(title, header, tiles, FILES, NOTE), said


def _drawn(model: Pictured, shape: tuple[int, int]) -> UInt8[Tensor, "h w 3"]:
    """The image at a size, as a screen shows it."""
    linear = model.picture == "linear"
    rows = [
        (screen_colors(part, linear).clamp(0, 1) * 255).round().to(torch.uint8)
        for part in model.parts(*shape)
    ]
    return torch.cat(rows)


def _levels(finest: UInt8[Tensor, "h w 3"]) -> list[Tensor]:
    """A picture and its halves, until one tile holds it; each pixel is the mean of those below."""
    found = [finest]
    while max(found[-1].shape[:2]) > TILE:
        last = found[-1]
        size = (max(last.shape[0] // 2, 1), max(last.shape[1] // 2, 1))
        planes = last.permute(2, 0, 1)
        # A colour at a time: floats are four times as large.
        halves = [
            functional.interpolate(plane[None, None].float(), size, mode="area")[0, 0].round()
            for plane in planes
        ]
        found.append(torch.stack(halves, -1).to(torch.uint8))
    return found


def _encoded(levels: list[Tensor]) -> tuple[Mapping[str, bytes], str]:
    """Tiles by level/row/column, and their type: JPEG where PNG is too large.

    Raises:
        InputError: so is JPEG.
    """
    tiles: dict[str, bytes] = {}
    for kind, most in (("png", PNG), ("jpeg", LARGEST * 3 // 4)):
        tiles, total = {}, 0
        for name, pixels in _cut(levels):
            buffer = io.BytesIO()
            image = Image.fromarray(pixels)
            if kind == "png":
                image.save(buffer, "PNG")
            else:
                image.save(buffer, "JPEG", quality=QUALITY, subsampling=0)
            tiles[name] = buffer.getvalue()
            total += len(tiles[name])
            if total > most:
                break
        else:
            return tiles, f"image/{kind}"
    raise InputError(
        f"a page of at most {as_size(LARGEST)}",
        f"more, for {levels[0].shape[1]}x{levels[0].shape[0]} pixels",
        "give a smaller --finer, or fit the image with --downscale",
    )


def _cut(levels: list[Tensor]) -> Iterator[tuple[str, np.ndarray]]:
    for number, level in enumerate(levels):
        height, width, _ = level.shape
        for row in range(-(-height // TILE)):
            for column in range(-(-width // TILE)):
                part = level[
                    row * TILE : (row + 1) * TILE, column * TILE : (column + 1) * TILE
                ].contiguous()
                yield f"{number}/{row}/{column}", part.numpy()
