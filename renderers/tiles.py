"""Rays drawn part by part, so that whoever draws may stop in between."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

import torch

from polyfield.renderers.volume import RenderOutput
from polyfield.scenes.cameras import Cameras
from polyfield.scenes.rays import Rays

Part = TypeVar("Part")


def tiles(draw: Callable[[Rays], Part], rays: Rays, size: int) -> Iterator[Part]:
    """What `draw` makes of rays, without gradient.

    Args:
        draw: takes some of the rays, [n].
        rays: of any shape.
        size: how many at once, at most.

    Returns:
        Each part when it is asked for, in the order of the rays; what is not asked for isn't drawn.
    """
    flat = rays.flatten()
    for at in range(0, len(flat), size):
        with torch.no_grad():
            part = draw(flat[slice(at, at + size)])
        yield part


def view_tiles(draw: Callable[[Rays], Part], cameras: Cameras, size: int) -> Iterator[Part]:
    """What `draw` makes of the rays of the first view, each part's rays made when it is asked for.

    Args:
        draw: takes some of the rays, [n].
        cameras: one or more.
        size: how many at once, at most.

    Returns:
        As `tiles`, row by row of the image.
    """
    width, height = cameras.size[0].tolist()
    device = cameras.poses.device
    for at in range(0, width * height, size):
        number = torch.arange(at, min(at + size, width * height), device=device)
        pixel = torch.stack([number % width, number // width], 1) + 0.5
        with torch.no_grad():
            part = draw(cameras.rays(torch.zeros_like(number), pixel))
        yield part


def joined(parts: Iterable[RenderOutput], shape: Sequence[int]) -> RenderOutput:
    """All parts as pixels of the shape of their rays."""
    color, opacity, depth = zip(*((p.color, p.opacity, p.depth) for p in parts), strict=True)
    whole = RenderOutput(torch.cat(color), torch.cat(opacity), torch.cat(depth))
    return whole.reshape(*shape)
