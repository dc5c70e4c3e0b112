"""The colour behind everything, where pictures have no alpha to say it."""

from __future__ import annotations

import torch

from polyfield.scenes.base import Scene

VIEWS = 16
"""Views looked at, evenly spread."""
NEAR = 0.1
"""How far a border pixel may be from the backdrop, in each channel."""
SHARE = 0.9
"""Share of the border pixels that must be so near."""


def backdrop(scene: Scene) -> tuple[float, float, float] | None:
    """The one colour that the borders of the pictures have; None where they differ.

    Without it a field of opaque pictures has to build the backdrop from black or white walls, and
    the first wall it finds stands in front of the scene.
    """
    step = max(len(scene) / VIEWS, 1.0)
    borders = []
    for i in range(min(len(scene), VIEWS)):
        rgb = scene.view(int(i * step))[1][..., :3]
        borders += [rgb[0], rgb[-1], rgb[:, 0], rgb[:, -1]]
    pixels = torch.cat(borders)
    middle = pixels.median(0).values
    near = ((pixels - middle).abs().amax(-1) < NEAR).float().mean()
    if float(near) < SHARE:
        return None
    red, green, blue = middle.tolist()
    return red, green, blue
