"""A user's box that hardly any pixel sees: the commonest mistake of `--bounds`, told."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from polyfield.errors import InputError
from polyfield.scenes.base import ReadOptions
from polyfield.scenes.cameras import Cameras

PROBES = 9
"""Rays along each side of an image that are sent at a box."""
CAMERAS = 64
"""Cameras that are asked, evenly spread."""
HARDLY = 0.01
"""Share of the rays below which they hardly meet the box."""


def check_box(cameras: Cameras, bounds: Tensor, unbounded: bool, options: ReadOptions) -> list[str]:
    """At most one line on a user's box that hardly any ray of the images meets.

    Raises:
        InputError: none does, and there is nothing outside of it to learn.
    """
    if options.bounds is None:
        return []
    share = _meeting(cameras, bounds)
    if share > HARDLY:
        return []
    given = " ".join(f"{value:g}" for value in options.bounds)
    places = cameras.user_poses[:, :3, 3]
    where = [" ".join(f"{v:.4g}" for v in end.tolist()) for end in (places.amin(0), places.amax(0))]
    if share == 0 and not unbounded:
        raise InputError(
            "bounds that some pixel sees",
            f"{given}, which no ray of the training images meets",
            f"give them in the data's own frame: its cameras are between {where[0]} and {where[1]}",
        )
    return [
        f"the bounds {given} are met by {share:.1%} of the rays of the training images (cameras"
        f" between {where[0]} and {where[1]}): are they in the data's own frame?"
    ]


def _meeting(cameras: Cameras, bounds: Float[Tensor, "2 3"]) -> float:
    """Share of a grid of rays that meet a box."""
    chosen = torch.linspace(0, len(cameras) - 1, min(len(cameras), CAMERAS)).round().long()
    unit = (torch.arange(PROBES) + 0.5) / PROBES
    grid = torch.cartesian_prod(unit, unit)
    pixel = (grid * cameras.size[chosen][:, None]).reshape(-1, 2)
    rays = cameras.rays(chosen.repeat_interleave(len(grid)), pixel)
    # The slab test: where a ray enters and leaves the three pairs of planes.
    steps = (bounds[:, None] - rays.origins) / rays.directions
    enter, leave = steps.amin(0).amax(1), steps.amax(0).amin(1)
    return float(((enter <= leave) & (leave > 0)).float().mean())
