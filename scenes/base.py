"""What every data set looks like to the rest: posed views (Scene, Capture), plain signals."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Int64
from torch import Generator, Tensor

from polyfield.errors import InputError
from polyfield.memory import parse_bytes
from polyfield.scenes.cameras import Cameras
from polyfield.scenes.rays import Rays
from polyfield.scenes.similarity import Similarity

ColorSpace = Literal["srgb", "linear"]
"""How pixel values encode light: with the sRGB curve, or in proportion to it."""


Layout = Literal["bounded", "forward-facing", "unbounded"]
"""What a capture is: a thing in its box, something seen from one side, or all that is around."""


@dataclass(frozen=True)
class ReadOptions:
    """What a user chooses about reading data, whatever its format."""

    downscale: int = 1
    """Shrink images by this whole factor (exact block means; a remainder is cropped)."""
    strict: bool = False
    """Make a missing image an error, instead of skipping its frame with a warning."""
    test_every: int = 8
    """Every n-th frame is kept for the test where a format has no split of its own; 0: none."""
    bounds: tuple[float, float, float, float, float, float] | None = None
    """Box of the scene, xmin ymin zmin xmax ymax zmax, in the data's own frame; else automatic."""
    allow_outside: bool = False
    """Also open images that lie outside the data folder: absolute paths, `..`, links."""
    time: float | None = None
    """Which frames to take where they have times: those of this one. A static scene needs one."""
    memory: str | None = None
    """Pixels of a capture beyond this, such as 4GB, are kept in a file of the user's cache."""

    def __post_init__(self) -> None:
        if self.memory is not None:
            parse_bytes(self.memory, "--memory")
        if self.downscale < 1:
            raise InputError(
                "a downscale of at least 1", str(self.downscale), "give a whole number such as 2"
            )
        if self.test_every < 0 or self.test_every == 1:
            raise InputError(
                "test-every of 2 or more, or 0 for no test split",
                str(self.test_every),
                "give a whole number such as 8",
            )
        if self.time is not None and not math.isfinite(self.time):
            raise InputError("a finite time", str(self.time), "give one that frames have")
        if self.bounds is not None:
            low, high = self.bounds[:3], self.bounds[3:]
            finite = all(math.isfinite(value) for value in self.bounds)
            if not finite or not all(a < b for a, b in zip(low, high, strict=True)):
                raise InputError(
                    "bounds xmin ymin zmin xmax ymax zmax with each min below its max",
                    " ".join(f"{value:g}" for value in self.bounds),
                    "give the two corners of a box around the scene",
                )


class Scene(ABC):
    """One split of a data set: posed views with their pixels at hand."""

    name: str
    """Short name of the data set, for titles."""
    split: str
    """Which part of the data set this is: train, val, test."""
    bounds: Float[Tensor, "2 3"]
    """Lower and upper corner of the scene's box, in the capture's `frame`."""
    unbounded: bool
    """Whether things exist outside `bounds`, so that a model has to contract space."""
    color_space: ColorSpace
    """How the pixel values encode light."""
    has_alpha: bool
    """Whether some pixel is not opaque, so that alpha can be learned from."""
    cameras: Cameras
    """The views' cameras."""
    ignored: Int64[Tensor, " n"] | None
    """How many pixels of each view masks say to ignore; None where none does. On the CPU."""
    pixel_file: Path | None
    """Where its pixels lie, if they are not in memory."""

    @abstractmethod
    def __len__(self) -> int:
        """Number of views."""

    @abstractmethod
    def sample(self, n: int, generator: Generator) -> tuple[Rays, Float[Tensor, "n 4"]]:
        """Draw pixels uniformly from all pixels of all views that count, with replacement.

        Args:
            n: how many.
            generator: source of randomness (CPU).

        Returns:
            n rays through pixel centres, and straight (not premultiplied) RGBA.
        """

    @abstractmethod
    def view(self, index: int) -> tuple[Rays, Float[Tensor, "h w 4"]]:
        """All rays of a view, [height, width], and its straight RGBA."""

    @abstractmethod
    def pixels(self, index: int) -> Float[Tensor, "h w 4"]:
        """The straight RGBA of a view; pixels to be ignored have a colour too."""

    @abstractmethod
    def mask(self, index: int) -> Bool[Tensor, "h w"] | None:
        """Which pixels of a view count, on the CPU; None where all do."""

    @abstractmethod
    def view_name(self, index: int) -> str:
        """Name of a view as the data has it, for reports."""

    @abstractmethod
    def to(self, device: torch.device) -> Scene:
        """The same views, their pixels and cameras on another device: samples come from there.

        The bounds stay on the CPU.
        """


class Capture(ABC):
    """A whole data set, parsed and checked, its pixels not yet read."""

    name: str
    """Short name of the data set, for titles."""
    path: str
    """Where it came from, as the user gave it."""
    frame: Similarity
    """What takes the data's own frame to the one that `bounds`, cameras' poses and rays are in.

    The scene's box is of size 2 about zero there, whatever the data's units; a model keeps it.
    """
    bounds: Float[Tensor, "2 3"]
    """Lower and upper corner of the scene's box, in `frame`."""
    unbounded: bool
    """Whether things exist outside `bounds`."""
    points: Float[Tensor, "n 3"] | None
    """Points of the scene that the data knows, in `frame`; None where it knows none."""
    color_space: ColorSpace
    """How the pixel values encode light."""
    frames_skipped: list[str]
    """Images the data names but doesn't have."""
    warnings: list[str]
    """One line each, for the user to see."""

    @property
    @abstractmethod
    def layout(self) -> Layout:
        """What it is, told by its cameras and by what its format knows."""

    @property
    @abstractmethod
    def splits(self) -> tuple[str, ...]:
        """The parts of the data set, train first."""

    @abstractmethod
    def cameras(self, split: str) -> Cameras:
        """The cameras of a split; reads no pixels.

        Raises:
            InputError: the data has no such split.
        """

    @abstractmethod
    def names(self, split: str) -> tuple[str, ...]:
        """The names of a split's views, as `Scene.view_name` gives them; reads no pixels.

        Raises:
            InputError: the data has no such split.
        """

    @abstractmethod
    def pixels(self, split: str, index: int) -> np.ndarray:
        """The pixels of one view, [height, width, 1-4], in their stored type; no other is read.

        Raises:
            InputError: the data has no such split, or the image can't be read.
        """

    @abstractmethod
    def regrouped(self, names: Mapping[str, Sequence[str]]) -> Capture:
        """The same data with splits of these views, whatever splits it has by itself.

        What was held out stays so although images came, went or came back since.

        Args:
            names: those of the views of each split, train first.

        Returns:
            A capture whose warnings tell of views that are gone or new; a split whose views are all
            gone is left out.
        """

    @abstractmethod
    def in_frame(self, frame: Similarity) -> Capture:
        """The same data with rays, boxes and points in another frame: a model's own."""

    @abstractmethod
    def check_pixels(self, split: str) -> None:
        """Decode every image of a split and keep none: damage is told before training.

        Raises:
            InputError: no such split, or an image that can't be read or has pixels without a value.
        """

    @abstractmethod
    def scene(self, split: str) -> Scene:
        """Read the pixels of a split.

        Raises:
            InputError: no such split, no views in it, or an image that can't be read.
        """


class Signal(ABC):
    """Values at coordinates, all of them known: an image, a volume, a sound."""

    bounds: Float[Tensor, "2 d"]
    """Lower and upper corner of the coordinates."""
    channels: int
    """Values per coordinate."""

    @abstractmethod
    def sample(
        self, n: int, generator: Generator
    ) -> tuple[Float[Tensor, "n d"], Float[Tensor, "n c"]]:
        """Draw n coordinates uniformly, with replacement, and their values."""

    @abstractmethod
    def all(self) -> tuple[Float[Tensor, "n d"], Float[Tensor, "n c"]]:
        """Every coordinate, in storage order, and its value."""

    @abstractmethod
    def axes(self) -> list[Float[Tensor, "_n"]]:
        """Coordinates along each axis; `all` walks their product, the first running fastest."""

    @abstractmethod
    def detail(self, kept: Tensor | None = None) -> Float[Tensor, "n"]:
        """How much changes at every sample, in storage order; above 0.

        Args:
            kept: Numbers of the samples that may be seen; the others are made up from them.
        """

    @abstractmethod
    def to(self, device: torch.device) -> Signal:
        """The same signal, its values on another device; the bounds stay on the CPU."""
