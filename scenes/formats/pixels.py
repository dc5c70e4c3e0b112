"""The pixels of a split as one flat array of their stored type, in memory or in a file."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int64, Shaped
from torch import Tensor

from polyfield.devices import fits, move
from polyfield.errors import InputError
from polyfield.scenes.color import straight


@dataclass(frozen=True)
class PixelFacts:
    """What the headers say of a split's pixels before they are read."""

    stored: int = 0
    """Bytes of all of them as RGBA; 0 where nothing is known."""
    decoding: int = 0
    """Bytes more while they are read."""
    opaque: bool = False
    """No image has an alpha channel."""
    keys: tuple[str, ...] = ()
    """Of each view, what changes when its pixels do; none where they come from no file."""


class Rows(ABC):
    """A table of stored pixels, [total, 3 or 4], wherever it lies.

    Of uint8, int16 (the bits of uint16, which torch can hardly compute with), float16 or float32;
    without a fourth value all are opaque.
    """

    @abstractmethod
    def __len__(self) -> int:
        """How many pixels."""

    @abstractmethod
    def at(self, index: Int64[Tensor, " n"]) -> Shaped[Tensor, "n c"]:
        """Pixels by their numbers, which are on the CPU; on the device of the table."""

    @abstractmethod
    def between(self, first: int, last: int) -> Shaped[Tensor, "n c"]:
        """Pixels from one to before another; on the device of the table."""

    @abstractmethod
    def to(self, device: torch.device) -> Rows:
        """The same on another device, if it has room and they can be moved."""


@dataclass(frozen=True, eq=False)
class InMemory(Rows):
    """Pixels in memory."""

    values: Tensor

    def __len__(self) -> int:
        return len(self.values)

    def at(self, index: Int64[Tensor, " n"]) -> Shaped[Tensor, "n c"]:
        """Pixels by their numbers."""
        return self.values[move(index, self.values.device)]

    def between(self, first: int, last: int) -> Shaped[Tensor, "n c"]:
        """Pixels from one to before another."""
        return self.values[first:last]

    def to(self, device: torch.device) -> InMemory:
        """The same on another device, if it has room."""
        return InMemory(self.values.to(device)) if fits(self.values, device) else self


@dataclass(frozen=True, eq=False)
class StoredPixels:
    """Straight pixels of several views, one after the other."""

    rows: Rows
    """The pixels in their stored type."""
    top: float
    """The value that stands for 1."""
    has_alpha: bool
    """Whether some pixel that counts is not opaque."""
    file: Path | None = None
    """Where they lie, if not in memory."""

    def numbers(self, stored: Tensor) -> Tensor:
        """Stored pixels [n, 3 or 4] as RGBA: fractions for integers, themselves for floats."""
        whole = stored.int() & 0xFFFF if stored.dtype == torch.int16 else stored
        found = whole.float() / self.top
        if found.shape[1] == 4:
            return found
        return torch.cat([found, torch.ones_like(found[:, :1])], dim=1)


def in_memory(
    arrays: Iterator[tuple[np.ndarray, np.ndarray | None, str]], first: Int64[Tensor, " edges"]
) -> StoredPixels:
    """Read all views into memory.

    Args:
        arrays: of each view its pixels [h, w, 1-4], which of them count, and its name.
        first: where each view begins, and where the last one ends.

    Raises:
        InputError: an image can't be read, or floats and integers are mixed.
    """
    buffer: np.ndarray | None = None
    has_alpha = False
    places = zip(first[:-1].tolist(), first[1:].tolist(), strict=True)
    for (start, stop), (given, kept, name) in zip(places, arrays, strict=True):
        array = as_rgba(given, name)
        assert array.shape[0] * array.shape[1] == stop - start, (name, array.shape)
        has_alpha = has_alpha or not is_opaque(array, kept)
        if buffer is None:
            buffer = np.empty((int(first[-1]), 4), array.dtype)
        buffer, array = _same_type(buffer, array, name)
        buffer[start:stop] = array.reshape(-1, 4)
    assert buffer is not None
    return StoredPixels(InMemory(as_tensor(buffer)), top_of(buffer.dtype), has_alpha)


def as_tensor(values: np.ndarray) -> Tensor:
    """The same memory as a tensor; uint16 by its bits."""
    return torch.from_numpy(values.view(np.int16) if values.dtype == np.uint16 else values)


def top_of(dtype: np.dtype) -> float:
    """The value that stands for 1."""
    return 1.0 if dtype.kind == "f" else float(np.iinfo(dtype).max)


def is_opaque(rgba: np.ndarray, kept: np.ndarray | None) -> bool:
    """Whether all pixels [h, w, 4] that count are opaque."""
    alpha = rgba[..., 3] if kept is None else rgba[..., 3][kept]
    return bool((alpha == top_of(rgba.dtype)).all())


def widened(array: np.ndarray, dtype: np.dtype, name: str) -> np.ndarray:
    """Pixels in a type at least as wide as their own; 8 to 16 bits is exact (times 257).

    Raises:
        InputError: floats for integers, or the other way round.
    """
    if array.dtype == dtype:
        return array
    if array.dtype.kind != dtype.kind:
        raise InputError(
            "images of floats only or of integers only",
            f"{array.dtype} in {name} after {dtype}",
            "convert them to one kind",
        )
    if dtype.kind == "f":
        return array.astype(dtype)
    assert (array.dtype, dtype) == (np.uint8, np.uint16), (array.dtype, dtype)
    return array.astype(dtype) * dtype.type(257)


def _same_type(buffer: np.ndarray, array: np.ndarray, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Widen whichever of the two is narrower."""
    if buffer.dtype.kind == array.dtype.kind and array.dtype.itemsize > buffer.dtype.itemsize:
        return widened(buffer, array.dtype, name), array
    return buffer, widened(array, buffer.dtype, name)


def as_rgba(array: np.ndarray, name: str) -> np.ndarray:
    """Any image as straight RGBA of the same type."""
    channels = array.shape[2]
    if array.dtype.kind == "f":
        if not np.isfinite(array).all():
            raise InputError(
                f"finite pixels in {name}", "NaN or infinity", "export the image again"
            )
        if channels in (2, 4):
            array = straight(array)
    opaque = 1 if array.dtype.kind == "f" else np.iinfo(array.dtype).max
    rgba = np.full((*array.shape[:2], 4), opaque, array.dtype)
    rgba[..., :3] = array[..., :1] if channels < 3 else array[..., :3]
    if channels in (2, 4):
        rgba[..., 3] = array[..., -1]
    return rgba
