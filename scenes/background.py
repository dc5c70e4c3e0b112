"""What stands behind images: `--background white|black|random|R,G,B`, or what borders show."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from polyfield.errors import InputError
from polyfield.scenes.base import Scene

_NAMED = {"white": (1.0, 1.0, 1.0), "black": (0.0, 0.0, 0.0)}


def viewing_background(name: str) -> tuple[float, float, float]:
    """The colour a model is shown and measured on; white where training uses random ones.

    Raises:
        InputError: not one of the names, nor three numbers in [0, 1].
    """
    if name == "random":
        return _NAMED["white"]
    if name in _NAMED:
        return _NAMED[name]
    try:
        red, green, blue = (float(value) for value in name.split(","))
    except ValueError:
        red = green = blue = -1.0
    if not all(0 <= value <= 1 for value in (red, green, blue)):
        raise InputError(
            "--background white, black, random or R,G,B with numbers from 0 to 1",
            repr(name),
            "give for instance 0.5,0.5,0.5",
        )
    return red, green, blue


def training_background(name: str) -> Float[Tensor, " 3"] | None:
    """The colour behind the training images; None draws one for every ray."""
    return None if name == "random" else torch.tensor(viewing_background(name))


VIEWS = 16
"""Views looked at, evenly spread."""
NEAR = 0.1
"""How far a border pixel may be from the background, in each channel."""
SHARE = 0.9
"""Share of the border pixels that must be so near."""


def estimate_background(scene: Scene) -> tuple[float, float, float] | None:
    """The one colour that the borders of the images have; None where they differ.

    Ignored pixels have no say.

    Without it a field of opaque images has to build the background from black or white walls, and
    the first wall it finds stands in front of the scene.
    """
    step = max(len(scene) / VIEWS, 1.0)
    borders = []
    for i in range(min(len(scene), VIEWS)):
        rgb, kept = scene.pixels(int(i * step))[..., :3], scene.mask(int(i * step))
        for side in ((0,), (-1,), (slice(None), 0), (slice(None), -1)):
            # Copies: a slice would keep all of its image in memory.
            borders.append(rgb[side].clone() if kept is None else rgb[side][kept[side]])
    pixels = torch.cat(borders)
    if not len(pixels):
        return None
    middle = pixels.median(0).values
    near = ((pixels - middle).abs().amax(-1) < NEAR).float().mean()
    if float(near) < SHARE:
        return None
    red, green, blue = middle.tolist()
    return red, green, blue
