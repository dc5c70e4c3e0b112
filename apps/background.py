"""`--background white|black|random|R,G,B`: what stands behind pictures with alpha."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from polyfield.encodings.errors import InputError

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
    """The colour behind the training pictures; None draws one for every ray."""
    return None if name == "random" else torch.tensor(viewing_background(name))
