"""A picture as a signal: pixel coordinates in, channel values out."""

from __future__ import annotations

import copy
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Generator, Tensor
from torch.nn import functional

from polyfield.devices import move
from polyfield.errors import InputError
from polyfield.scenes.base import ColorSpace, ReadOptions, Signal
from polyfield.scenes.color import block_mean, to_float
from polyfield.scenes.demo.image import demo_picture
from polyfield.scenes.images import read_image

DEMO = "demo"
"""What stands for the built-in picture where a file is asked for."""
DTYPES = ("uint8", "uint16", "float16", "float32")


class Picture(Signal):
    """The values of one picture at its pixel centres.

    Coordinates are (column, row) in pixels: the upper left corner is (0, 0), the centre of the
    first pixel (0.5, 0.5). Values of integer pictures are fractions of the largest value, those of
    float pictures are themselves and may exceed 1.

    Attributes:
        name: short name, for titles.
        pixels: all values, [h, w, c]; 1 grey, 2 grey and alpha, 3 RGB, 4 RGBA.
        height: rows.
        width: columns.
        channels: values per pixel.
        dtype: stored type: uint8, uint16, float16 or float32. A prediction is written in the same.
        color_space: how the values encode light: sRGB for integers, linear for floats.
        bounds: the picture's rectangle, (0, 0) and (width, height).
    """

    def __init__(self, name: str, stored: np.ndarray) -> None:
        """Keep a picture.

        Args:
            name: short name, for titles.
            stored: [h, w, 1-4]: uint8, uint16, float16 or float32.
        """
        self.name = name
        self.pixels: Float[Tensor, "h w c"] = torch.from_numpy(to_float(stored))
        self.height, self.width, self.channels = stored.shape
        self.dtype = stored.dtype
        self.color_space: ColorSpace = "linear" if stored.dtype.kind == "f" else "srgb"
        self.bounds = torch.tensor([[0.0, 0.0], [float(self.width), float(self.height)]])

    def sample(
        self, n: int, generator: Generator
    ) -> tuple[Float[Tensor, "n 2"], Float[Tensor, "n c"]]:
        """Draw n pixels uniformly, with replacement, and their values."""
        index = torch.randint(self.height * self.width, (n,), generator=generator)
        index = move(index, self.pixels.device)
        return self.coordinates(index), self.pixels.reshape(-1, self.channels)[index]

    def all(self) -> tuple[Float[Tensor, "n 2"], Float[Tensor, "n c"]]:
        """Every pixel centre, row by row, and its value."""
        index = torch.arange(self.height * self.width, device=self.pixels.device)
        return self.coordinates(index), self.pixels.reshape(-1, self.channels)

    def axes(self) -> list[Float[Tensor, "_n"]]:
        """Centres of columns, and of rows."""
        x = self.all()[0]
        return [x[: self.width, 0], x[:: self.width, 1]]

    def detail(self, kept: Tensor | None = None) -> Float[Tensor, "n"]:
        """Length of the gradient at every pixel, row by row; 1e-6 at least.

        Worked out on the CPU: what is placed by it lies at the same places on every device.

        Args:
            kept: Numbers of the pixels that may be seen; the others are made up from them.
        """
        pixels = self.pixels.cpu()
        if kept is not None:
            known = torch.zeros(self.height * self.width, dtype=torch.bool)
            known[kept.cpu()] = True
            pixels = _completed(pixels, known.view(self.height, self.width))
        if min(self.height, self.width) < 2:
            return torch.ones(self.height * self.width, device=self.pixels.device)
        down, across = (torch.gradient(pixels, dim=axis)[0] for axis in (0, 1))
        length = (down.square() + across.square()).sum(-1).sqrt().clamp(min=1e-6)
        return length.reshape(-1).to(self.pixels.device)

    def coordinates(self, index: Tensor) -> Float[Tensor, "*n 2"]:
        """Centres of pixels, given their number row by row."""
        row = torch.div(index, self.width, rounding_mode="floor")
        return torch.stack([index - row * self.width, row], dim=-1) + 0.5

    def to(self, device: torch.device) -> Picture:
        """The same picture, its pixels on another device."""
        other = copy.copy(self)
        other.pixels = self.pixels.to(device)
        return other


def _completed(pixels: Float[Tensor, "h w c"], known: Bool[Tensor, "h w"]) -> Tensor:
    """Pixels that aren't known become the mean of those known in the smallest block around them.

    Blocks have 2x2 pixels, 4x4, 8x8 and so on.
    """
    height, width = known.shape
    if bool(known.all()) or height * width == 1:
        return pixels
    edge = (0, width % 2, 0, height % 2)
    share = functional.avg_pool2d(functional.pad(known[None].float(), edge), 2)
    seen = torch.where(known[..., None], pixels, 0).movedim(-1, 0)
    mean = functional.avg_pool2d(functional.pad(seen, edge), 2) / share.clamp(min=0.25)
    coarse = _completed(mean.movedim(0, -1), share[0] > 0)
    filled = coarse.repeat_interleave(2, 0).repeat_interleave(2, 1)[:height, :width]
    return torch.where(known[..., None], pixels, filled)


@dataclass(frozen=True)
class PictureFile:
    """One picture: PNG of 8 or 16 bits, JPEG, float EXR; grey or colour, with or without alpha."""

    def build(self, source: str | os.PathLike[str] | np.ndarray, options: ReadOptions) -> Picture:
        """Read a picture.

        Args:
            source: a file, "demo" for the built-in picture, or an array [h, w] or [h, w, 1-4] of
                uint8, uint16, float16 or float32.
            options: `downscale` applies; the rest is for posed views.

        Raises:
            InputError: no such file, not a picture, NaN or infinity in it, smaller than the
                downscale, or an array of another shape or type.
        """
        if isinstance(source, np.ndarray):
            name, array = "array", _checked(source)
        elif str(source) == DEMO:
            name, array = DEMO, demo_picture()
        else:
            name, array = Path(source).stem, read_image(source)
        floating = array.dtype.kind == "f"
        if floating and not np.isfinite(array).all():
            raise InputError(
                f"finite pixels in the picture {name}", "NaN or infinity", "export it again"
            )
        factor = options.downscale
        if min(array.shape[:2]) < factor:
            raise InputError(
                f"a picture of at least {factor}x{factor} pixels for downscale {factor}",
                f"{array.shape[1]}x{array.shape[0]}",
                "choose a smaller downscale",
            )
        return Picture(name, block_mean(array, factor, associated=floating))


def _checked(array: np.ndarray) -> np.ndarray:
    """A user's array as [h, w, c]."""
    array = array[:, :, None] if array.ndim == 2 else array
    if array.ndim != 3 or not 1 <= array.shape[2] <= 4 or 0 in array.shape:
        raise InputError(
            "an array of shape [height, width] or [height, width, 1 to 4]",
            str(list(array.shape)),
            "move the channels last",
        )
    if array.dtype.name not in DTYPES:
        raise InputError(
            f"an array of {', '.join(DTYPES)}", array.dtype.name, "convert it with astype"
        )
    return array
