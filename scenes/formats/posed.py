"""Posed images with their pixels: Scene and Capture of every format that has files of pixels."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from torch import Generator, Tensor

from polyfield.devices import move
from polyfield.errors import InputError
from polyfield.scenes.base import Capture, ColorSpace, Layout, Scene
from polyfield.scenes.bounds import layout_of
from polyfield.scenes.cameras import Cameras
from polyfield.scenes.formats.headers import VIEW, check_memory
from polyfield.scenes.formats.masks import KeptPixels
from polyfield.scenes.formats.pixel_file import in_file
from polyfield.scenes.formats.pixels import PixelFacts, as_rgba, in_memory
from polyfield.scenes.rays import Rays
from polyfield.scenes.similarity import IDENTITY, Similarity


def _all_pixels(index: int) -> None:
    """No view has a mask."""


@dataclass(frozen=True, eq=False)
class Views:
    """The views of one split, their pixels not yet read."""

    cameras: Cameras
    """One camera per view, at the size the pixels will have."""
    names: tuple[str, ...]
    """One name per view, for reports."""
    read: Callable[[int], np.ndarray]
    """Pixels of a view in their stored type, [height, width, 1-4]."""
    facts: PixelFacts = PixelFacts()
    """What their headers say."""
    downscale: int = 1
    """The factor they are shrunk by, for messages."""
    kept: Callable[[int], np.ndarray | None] = _all_pixels
    """Which pixels of a view count, bool [height, width]; None where all do."""

    def arrays(self) -> Iterator[tuple[np.ndarray, np.ndarray | None, str]]:
        """Read the views one after the other: pixels, which of them count, name."""
        for index, name in enumerate(self.names):
            yield self.read(index), self.kept(index), name


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
    frame: Similarity = IDENTITY
    memory: int | None = None
    """Bytes beyond which all pixels are kept in files; None for any number in memory."""
    points: Float[Tensor, "n 3"] | None = None

    @property
    def layout(self) -> Layout:
        """What it is, by its first split's cameras."""
        return layout_of(next(iter(self.views.values())).cameras, self.unbounded)

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

    def check_pixels(self, split: str) -> None:
        """Decode every image of a split and keep none."""
        views = self._views(split)
        if not views.facts.keys:  # made by code
            return
        for index, name in enumerate(views.names):
            as_rgba(views.read(index), name)

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
        largest = VIEW * int(views.cameras.size.prod(1).max())
        what = f"the {len(views.names)} {split} images of {self.path}"
        if self.in_files:
            need = views.facts.decoding + largest
        else:
            # Training is followed by measuring, with both splits in memory.
            others = [v.facts for name, v in self.views.items() if split == "train" != name]
            more = max((facts.stored + facts.decoding for facts in others), default=0)
            need = views.facts.stored + views.facts.decoding + more + largest
        check_memory(need, what, views.downscale)
        return PosedScene(self, split, views)

    @property
    def in_files(self) -> bool:
        """Whether pixels go into files: more than are to be in memory, and images to tell by."""
        stored = sum(views.facts.stored for views in self.views.values())
        known = all(views.facts.keys for views in self.views.values())
        return self.memory is not None and stored > self.memory and known

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

    def in_frame(self, frame: Similarity) -> PosedCapture:
        """The same data with rays, boxes and points in another frame."""

        def moved(points: Float[Tensor, "n 3"]) -> Float[Tensor, "n 3"]:
            return frame.normalised(self.frame.users(points)).float()

        views = {
            name: replace(v, cameras=v.cameras.in_frame(frame)) for name, v in self.views.items()
        }
        points = None if self.points is None else moved(self.points)
        return replace(self, views=views, bounds=moved(self.bounds), points=points, frame=frame)

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
        times = [t[i] for split, i in places if (t := sources[split].cameras.times) is not None]
        return Views(
            Cameras.stack(
                cameras,
                frame=self.frame,
                times=tuple(times) if times and len(times) == len(places) else None,
            ),
            tuple(sources[split].names[i] for split, i in places),
            lambda index: sources[places[index][0]].read(places[index][1]),
            _joined([(sources[split].facts, i) for split, i in places]),
            max(views.downscale for views in sources.values()),
            lambda index: sources[places[index][0]].kept(places[index][1]),
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
    """Views whose pixels lie in one flat array of their stored type; rays are made on the fly."""

    def __init__(self, capture: PosedCapture, split: str, views: Views) -> None:
        """Read every image of the split, or find the file that holds them.

        Args:
            capture: the data set it belongs to.
            split: name of the split.
            views: at least one view.

        Raises:
            InputError: an image can't be read, images of floats and of integers are mixed, or no
                pixel counts.
            WriteError: a file of pixels can't be written.
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
        masks = (views.kept(i) for i in range(len(views.names)))
        self._kept = KeptPixels.of(masks, self._first)
        if self._kept is not None and self._kept.total == 0:
            raise InputError(
                f"pixels that count in the {split} images of {capture.path}",
                "masks that ignore all of them",
                "check whether white or black is to be kept",
            )
        if capture.in_files and capture.memory is not None:
            facts = views.facts
            self._stored = in_file(views.arrays, self._first, facts.keys, facts.opaque)
        else:
            self._stored = in_memory(views.arrays(), self._first)
        self._rows = self._stored.rows
        self.has_alpha = self._stored.has_alpha
        self.ignored = None if self._kept is None else self._kept.ignored
        self.pixel_file = self._stored.file

    def __len__(self) -> int:
        return len(self.cameras)

    def sample(self, n: int, generator: Generator) -> tuple[Rays, Float[Tensor, "n 4"]]:
        """Draw pixels uniformly from all pixels of all views that count, with replacement."""
        count = len(self._rows) if self._kept is None else self._kept.total
        index = torch.randint(count, (n,), generator=generator)
        index = index if self._kept is None else self._kept.pixels(index)
        stored = move(self._rows.at(index), self._first.device)
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
        return self.cameras.rays(camera, pixel), self._stored.numbers(stored)

    def view(self, index: int) -> tuple[Rays, Float[Tensor, "h w 4"]]:
        """All rays of a view, [height, width], and its straight RGBA."""
        return self.cameras.view(index), self.pixels(index)

    def pixels(self, index: int) -> Float[Tensor, "h w 4"]:
        """The straight RGBA of a view."""
        width, height = self.cameras.size[index].tolist()
        first, last = self._first[index : index + 2].tolist()
        stored = move(self._rows.between(first, last), self._first.device)
        return self._stored.numbers(stored).reshape(height, width, 4)

    def mask(self, index: int) -> Bool[Tensor, "h w"] | None:
        """Which pixels of a view count; None where all do."""
        if self._kept is None or not int(self._kept.ignored[index]):
            return None
        width, height = self.cameras.size[index].tolist()
        first, last = self._first[index : index + 2].tolist()
        return self._kept.mask(first, last).reshape(height, width)

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
        other._rows = self._rows.to(device)
        return other


def _first_pixels(cameras: Cameras) -> Int64[Tensor, " n+1"]:
    """Where each view begins in the flat buffer, and where the last one ends."""
    counts = cameras.size.prod(1)
    return torch.cat([torch.zeros(1, dtype=torch.int64), counts.cumsum(0)])


def _joined(parts: Sequence[tuple[PixelFacts, int]]) -> PixelFacts:
    """What is known of views from here and there, each by its number in its split."""
    keys = [facts.keys[index : index + 1] for facts, index in parts]
    sources = {id(facts): facts for facts, _ in parts}.values()
    return PixelFacts(
        sum(facts.stored for facts in sources),
        max(facts.decoding for facts in sources),
        all(facts.opaque for facts in sources),
        tuple(key[0] for key in keys) if all(keys) else (),
    )
