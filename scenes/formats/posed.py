"""Posed images in memory: the Scene and the Capture of every format that has files of pixels."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Generator, Tensor

from polyfield.devices import fits, move
from polyfield.errors import InputError
from polyfield.scenes.base import Capture, ColorSpace, Scene
from polyfield.scenes.cameras import Cameras
from polyfield.scenes.color import straight
from polyfield.scenes.formats.headers import VIEW, check_memory
from polyfield.scenes.rays import Rays


@dataclass(frozen=True, eq=False)
class Views:
    """The views of one split, their pixels not yet read."""

    cameras: Cameras
    """One camera per view, at the size the pixels will have."""
    names: tuple[str, ...]
    """One name per view, for reports."""
    read: Callable[[int], np.ndarray]
    """Pixels of a view in their stored type, [height, width, 1-4]."""
    memory: int = 0
    """Bytes that reading all of them takes, by their headers; 0 where nothing is known."""
    downscale: int = 1
    """The factor they are shrunk by, for messages."""


@dataclass(frozen=True, eq=False)
class PosedCapture(Capture):
    """A data set of posed images, read one split at a time."""

    name: str
    path: str
    bounds: Float[Tensor, "2 3"]
    unbounded: bool
    color_space: ColorSpace
    views: Mapping[str, Views]
    """The splits, train first."""
    frames_skipped: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    origin: tuple[float, float, float] = (0.0, 0.0, 0.0)

    @property
    def splits(self) -> tuple[str, ...]:
        """The parts of the data set, train first."""
        return tuple(self.views)

    def cameras(self, split: str) -> Cameras:
        """The cameras of a split; reads no pixels."""
        return self._views(split).cameras

    def names(self, split: str) -> tuple[str, ...]:
        """The names of a split's views; reads no pixels."""
        return self._views(split).names

    def pixels(self, split: str, index: int) -> np.ndarray:
        """The pixels of one view, in their stored type."""
        return self._views(split).read(index)

    def scene(self, split: str) -> Scene:
        """Read the pixels of a split."""
        views = self._views(split)
        if not len(views.cameras):
            raise InputError(
                f"at least one view in the split {split!r} of {self.path}",
                "zero views",
                "choose another split, or add frames to it",
            )
        # Training is followed by measuring, with both splits in memory.
        others = [v.memory for name, v in self.views.items() if split == "train" != name]
        largest = VIEW * int(views.cameras.size.prod(1).max())
        what = f"the {len(views.names)} {split} images of {self.path}"
        check_memory(views.memory + max(others, default=0) + largest, what, views.downscale)
        return PosedScene(self, split, views)

    def regrouped(self, names: Mapping[str, Sequence[str]]) -> PosedCapture:
        """The same data with the splits that it once had, view by view."""
        splits, warnings = {}, list(self.warnings)
        for split, wanted in names.items():
            found = [self._place(split, name) for name in wanted]
            gone = [name for name, place in zip(wanted, found, strict=True) if place is None]
            if gone:
                warnings.append(
                    f"{len(gone)} of {len(wanted)} {split} views are no longer in {self.path},"
                    f" such as {gone[0]}"
                )
            places = [place for place in found if place is not None]
            if places:
                splits[split] = self._gathered(places)
        known = {name for wanted in names.values() for name in wanted}
        new = [name for views in self.views.values() for name in views.names if name not in known]
        if new:
            warnings.append(
                f"{len(new)} views of {self.path} are new and left out, such as {new[0]}"
            )
        return replace(self, views=splits, warnings=warnings)

    def _place(self, split: str, name: str) -> tuple[str, int] | None:
        """Where the view of that name is, in the split of that name before others."""
        for other in (split, *self.views):
            if other in self.views and name in self.views[other].names:
                return other, self.views[other].names.index(name)
        return None

    def _gathered(self, places: Sequence[tuple[str, int]]) -> Views:
        """Views from here and there as one split."""
        sources = {split: self.views[split] for split, _ in places}
        cameras = [sources[split].cameras[i] for split, i in places]
        return Views(
            Cameras.stack(cameras, origin=self.origin),
            tuple(sources[split].names[i] for split, i in places),
            lambda index: sources[places[index][0]].read(places[index][1]),
            sum(views.memory for views in sources.values()),
            max(views.downscale for views in sources.values()),
        )

    def _views(self, split: str) -> Views:
        if split not in self.views:
            raise InputError(
                f"a split of {self.path}: {', '.join(self.views)}",
                repr(split),
                "choose one of them",
            )
        return self.views[split]


class PosedScene(Scene):
    """Views whose pixels lie in one flat buffer of their stored type; rays are made on the fly."""

    def __init__(self, capture: PosedCapture, split: str, views: Views) -> None:
        """Read every image of the split.

        Args:
            capture: the data set it belongs to.
            split: name of the split.
            views: at least one view.

        Raises:
            InputError: an image can't be read, or images of floats and of integers are mixed.
        """
        self.name = capture.name
        self.split = split
        self.bounds = capture.bounds
        self.unbounded = capture.unbounded
        self.color_space = capture.color_space
        self.cameras = views.cameras
        self._names = views.names
        self._first = _first_pixels(views.cameras)
        self._widths = views.cameras.size[:, 0].contiguous()
        sizes = views.cameras.size
        self._same_size = bool((sizes == sizes[0]).all())
        self._pixels, self._top = _read_pixels(views, self._first)
        # As int16, the bits of uint16's largest value are those of -1.
        opaque = {torch.uint8: 255, torch.int16: -1}.get(self._pixels.dtype, 1)
        self.has_alpha = bool((self._pixels[:, 3] != opaque).any())

    def __len__(self) -> int:
        return len(self.cameras)

    def sample(self, n: int, generator: Generator) -> tuple[Rays, Float[Tensor, "n 4"]]:
        """Draw pixels uniformly from all pixels of all views, with replacement."""
        index = torch.randint(len(self._pixels), (n,), generator=generator)
        stored = move(self._pixels[move(index, self._pixels.device)], self._first.device)
        index = move(index, self._first.device)
        if self._same_size:
            camera = index // self._first[1]
            inside = index - camera * self._first[1]
            width = self._widths[0]
        else:
            camera = torch.searchsorted(self._first, index, right=True) - 1
            inside = index - self._first[camera]
            width = self._widths[camera]
        row = inside // width
        pixel = torch.stack([inside - row * width, row], dim=1) + 0.5
        return self.cameras.rays(camera, pixel), self._values(stored)

    def view(self, index: int) -> tuple[Rays, Float[Tensor, "h w 4"]]:
        """All rays of a view, [height, width], and its straight RGBA."""
        width, height = self.cameras.size[index].tolist()
        first, last = self._first[index : index + 2].tolist()
        stored = move(self._pixels[first:last], self._first.device)
        return self.cameras.view(index), self._values(stored).reshape(height, width, 4)

    def view_name(self, index: int) -> str:
        """Name of a view as the data has it."""
        return self._names[index]

    def to(self, device: torch.device) -> PosedScene:
        """The same views, their pixels and cameras on another device.

        Pixels that a GPU has no room for stay where they are: what is drawn of them is moved.
        """
        other = copy.copy(self)
        other.cameras = self.cameras.to(device)
        other._first, other._widths = self._first.to(device), self._widths.to(device)
        if fits(self._pixels, device):
            other._pixels = self._pixels.to(device)
        return other

    def _values(self, stored: Tensor) -> Float[Tensor, "*n"]:
        """Stored pixels as numbers: fractions for integers, themselves for floats."""
        if stored.dtype == torch.int16:  # the bits of uint16, which torch can hardly compute with
            return (stored.int() & 0xFFFF).float() / self._top
        return stored.float() / self._top


def _first_pixels(cameras: Cameras) -> Int64[Tensor, " n+1"]:
    """Where each view begins in the flat buffer, and where the last one ends."""
    counts = cameras.size.prod(1)
    return torch.cat([torch.zeros(1, dtype=torch.int64), counts.cumsum(0)])


def _read_pixels(views: Views, first: Int64[Tensor, " n+1"]) -> tuple[Tensor, float]:
    """All pixels as RGBA, [total, 4], in their stored type, and the value that stands for 1."""
    buffer: np.ndarray | None = None
    for i, (start, stop) in enumerate(zip(first.tolist(), first.tolist()[1:], strict=False)):
        array = _as_rgba(views.read(i), views.names[i])
        width, height = views.cameras.size[i].tolist()
        assert array.shape == (height, width, 4), (views.names[i], array.shape)
        if buffer is None:
            buffer = np.empty((int(first[-1]), 4), array.dtype)
        buffer, array = _same_type(buffer, array, views.names[i])
        buffer[start:stop] = array.reshape(-1, 4)
    assert buffer is not None
    if buffer.dtype == np.uint16:
        return torch.from_numpy(buffer.view(np.int16)), 65535.0
    return torch.from_numpy(buffer), 255.0 if buffer.dtype == np.uint8 else 1.0


def _same_type(buffer: np.ndarray, array: np.ndarray, name: str) -> tuple[np.ndarray, np.ndarray]:
    """Widen whichever of the two is narrower; 8 to 16 bits is exact (times 257)."""
    if buffer.dtype == array.dtype:
        return buffer, array
    if "f" in (buffer.dtype.kind, array.dtype.kind):
        if buffer.dtype.kind != array.dtype.kind:
            raise InputError(
                "images of floats only or of integers only",
                f"{array.dtype} in {name} after {buffer.dtype}",
                "convert them to one kind",
            )
        return buffer.astype(np.float32), array.astype(np.float32)
    if buffer.dtype == np.uint8:
        return buffer.astype(np.uint16) * 257, array
    return buffer, array.astype(np.uint16) * 257


def _as_rgba(array: np.ndarray, name: str) -> np.ndarray:
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
