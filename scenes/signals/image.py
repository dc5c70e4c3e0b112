"""An image as a signal: pixel coordinates in, channel values out."""

from __future__ import annotations

import copy
import os
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Generator, Tensor
from torch.nn import functional

from polyfield.devices import move
from polyfield.errors import InputError, shown
from polyfield.memory import SHARE, as_size, check_memory, free_memory
from polyfield.scenes.base import ColorSpace, ReadOptions, Signal
from polyfield.scenes.color import block_mean, to_float
from polyfield.scenes.demo.image import demo_image
from polyfield.scenes.image_info import ImageInfo
from polyfield.scenes.images import check_decoded, read_info, read_upright

DEMO = "demo"
"""What stands for the built-in image where a file is asked for."""
DTYPES = ("uint8", "uint16", "float16", "float32")
BRIGHTEST = 1e12
"""Largest float pixel: squares of more, added up, leave float32."""
PER_PIXEL, PER_VALUE = 40, 24
"""Bytes that training and measuring take for a pixel and for each of its values."""
BOMB, SUSPICIOUS = 1 << 30, 5000
"""An image that takes more bytes than BOMB, and SUSPICIOUS times those of its file, is refused."""
LARGEST_DOWNSCALE = 1000
"""Largest that a message proposes."""


class ImageSignal(Signal):
    """The values of one image at its pixel centres.

    Coordinates are (column, row) in pixels: the upper left corner is (0, 0), the centre of the
    first pixel (0.5, 0.5). Values of integer images are fractions of the largest value, those of
    float images are themselves and may exceed 1.

    Attributes:
        name: short name, for titles.
        pixels: all values, [h, w, c]; 1 grey, 2 grey and alpha, 3 RGB, 4 RGBA.
        height: rows.
        width: columns.
        channels: values per pixel.
        dtype: stored type: uint8, uint16, float16 or float32. A prediction is written in the same.
        color_space: how the values encode light: sRGB for integers, linear for floats.
        bounds: the image's rectangle, (0, 0) and (width, height).
    """

    def __init__(self, name: str, stored: np.ndarray) -> None:
        """Keep an image.

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

    def to(self, device: torch.device) -> ImageSignal:
        """The same image, its pixels on another device."""
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
class ImageFile:
    """One image: PNG of 8 or 16 bits, JPEG, float EXR ...; grey or colour, with alpha or not.

    An EXIF orientation is applied. That, and what of the file is not read, is told by a warning.
    """

    def build(
        self, source: str | os.PathLike[str] | np.ndarray, options: ReadOptions
    ) -> ImageSignal:
        """Read an image.

        Args:
            source: a file, "demo" for the built-in image, or an array [h, w] or [h, w, 1-4] of
                uint8, uint16, float16 or float32.
            options: `downscale` applies; the rest is for posed views.

        Raises:
            InputError: no such file, not an image, larger than the memory, smaller than the
                downscale, floats that can't be learned or measured (NaN, infinity, above
                `BRIGHTEST`, none above 0), or an array of another shape or type.
        """
        if isinstance(source, np.ndarray):
            name, array = "array", _checked(source)
        elif str(source) == DEMO:
            name, array = DEMO, demo_image()
        else:
            name, array = Path(source).stem, _read(source, options.downscale)
        floating = array.dtype.kind == "f"
        if floating:
            _check_floats(name, array)
        factor = options.downscale
        if min(array.shape[:2]) < factor:
            raise InputError(
                f"an image of at least {factor}x{factor} pixels for downscale {factor}",
                f"{array.shape[1]}x{array.shape[0]}",
                "choose a smaller downscale",
            )
        return ImageSignal(name, block_mean(array, factor, associated=floating))


def _read(source: str | os.PathLike[str], downscale: int) -> np.ndarray:
    """An image file, upright; warns of what a user may not expect."""
    _check_room(source, read_info(source), downscale)
    array, info = read_upright(source)
    for note in info.notes:
        warnings.warn(note, stacklevel=3)
    if info.orientation != 1:
        text = f"{shown(source)} is turned as its EXIF orientation {info.orientation} says"
        warnings.warn(text, stacklevel=3)
    return array


def _check_room(source: str | os.PathLike[str], info: ImageInfo, downscale: int) -> None:
    """Raise, before anything is decoded, where the image and its training don't fit."""
    check_decoded(source, info)
    need, stored = needed(info, downscale), max(os.path.getsize(source), 1)
    most = max(BOMB, SUSPICIOUS * stored)
    room = min(most, int(SHARE * free_memory()))
    larger = range(downscale + 1, min(info.width, info.height, LARGEST_DOWNSCALE) + 1)
    fits = next((n for n in larger if needed(info, n) <= room), None)
    hint = f"add --downscale {fits}" if fits else "shrink it with another program"
    size = f"{info.width}x{info.height} pixels"
    if need > most:
        allowed = f"at most {as_size(most)} of memory for the {as_size(stored)} of {shown(source)}"
        raise InputError(allowed, f"{size}, {as_size(need)} to read and train on", hint)
    check_memory(f"{size} of {shown(source)}", need, hint)


def needed(info: ImageInfo, downscale: int) -> int:
    """About how many bytes it takes to read an image and to train on it."""
    shrinking = downscale > 1 and info.has_alpha and not info.is_float
    reading = info.decoded + (8 * info.width * info.height * info.channels if shrinking else 0)
    pixels = (info.width // downscale) * (info.height // downscale)
    return reading + pixels * (PER_PIXEL + PER_VALUE * info.channels)


def _check_floats(name: str, array: np.ndarray) -> None:
    """Raise where no training can work or no score can exist."""
    shown_name = f"the image {shown(name)}"
    low, high = float(array.min()), float(array.max())  # NaN stays NaN
    if not (np.isfinite(low) and np.isfinite(high)):
        raise InputError(f"finite pixels in {shown_name}", "NaN or infinity", "export it again")
    if max(-low, high) > BRIGHTEST:
        got = f"{low if -low > high else high:g}"
        raise InputError(f"pixels of at most {BRIGHTEST:g} in {shown_name}", got, "scale it down")
    has_alpha = array.shape[2] in (2, 4)
    color = array[..., :-1] if has_alpha else array
    if float(color.max()) <= 0 and (not has_alpha or float(array[..., -1].min()) >= 1):
        got = f"{low:g} to {float(color.max()):g}"
        raise InputError(f"some light, a pixel above 0, in {shown_name}", got, "check the export")


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
