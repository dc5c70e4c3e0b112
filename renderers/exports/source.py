"""What an exporter is given: a model, asked for what it can do, and the cameras of its run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float, Float64
from torch import Tensor

from polyfield.errors import InputError
from polyfield.fields import BakedConfig
from polyfield.fields.base import RadianceField, RadianceSample, SignalField
from polyfield.renderers.corrections import Corrected
from polyfield.renderers.graph import Graph
from polyfield.renderers.radiance_model import SceneInfo
from polyfield.renderers.renderer import VolumeRenderer
from polyfield.renderers.signal_model import SignalInfo
from polyfield.renderers.volume import RenderOutput
from polyfield.scenes.base import ColorSpace
from polyfield.scenes.cameras import Camera

ROWS = 1 << 17
"""Points asked at once."""


@runtime_checkable
class Radiant(Protocol):
    """Has density and colour in space, in the user's frame and units."""

    bounds: Float[Tensor, "2 3"]

    @property
    def color_space(self) -> ColorSpace:
        """Of the colours."""

    @property
    def device(self) -> torch.device:
        """Where points are to be."""

    @property
    def background(self) -> Float[Tensor, "3"]:
        """Colour behind everything, on the CPU."""

    @property
    def is_unbounded(self) -> bool:
        """Whether there is something outside the box."""

    def ask(self, x: Float[Tensor, "*n 3"], directions: Float[Tensor, "*n 3"]) -> RadianceSample:
        """Density and colour of points."""

    def density(self, x: Float[Tensor, "*n 3"]) -> Float[Tensor, "*n"]:
        """Density of points, 0 where nothing is ever sampled."""

    def is_occupied(self, x: Float[Tensor, "n 3"]) -> Bool[Tensor, " n"]:
        """Whether there may be something at points, or next to them."""

    @property
    def cell(self) -> float:
        """Edge of the cells that `is_occupied` tells apart; infinite where it tells none."""

    def render(self, camera: Camera) -> RenderOutput:
        """What a camera sees."""


@runtime_checkable
class Bakeable(Protocol):
    """Can be turned into bytes that a page draws."""

    info: SceneInfo
    field: RadianceField
    renderer: VolumeRenderer
    corrections: Corrected

    def baked(self, config: BakedConfig, cameras: Sequence[Camera] = ()) -> Bakeable:
        """What cameras see of it, as bytes; itself if it is of bytes."""


@runtime_checkable
class Pictured(Protocol):
    """May be an image: a field of values on a rectangle."""

    info: SignalInfo
    field: SignalField

    @property
    def picture(self) -> ColorSpace | None:
        """Of its colours; None of what is no image."""

    def parts(self, *shape: int) -> Iterator[Float[Tensor, "r w c"]]:
        """Its values at the centres of so many columns and rows, some rows at a time."""


@runtime_checkable
class Graphed(Protocol):
    """Is one graph of operations on tensors, from points to what it says of them."""

    def graph(self) -> Graph:
        """The graph, with its names."""


Tell = Callable[[str], None]
"""Shows a line of progress."""


Learn = Callable[["Bakeable", "Bakeable", int, Tell], None]
"""Trains the second model to look like the first for so many steps."""


@dataclass(frozen=True)
class Source:
    """A trained model and what is known beside it."""

    model: object
    """Asked for capabilities."""
    name: str
    """For titles and file names."""
    cameras: Mapping[str, Sequence[Camera]]
    """Those of the run by split, the user's frame; none of a kind that has none."""
    learn: Learn | None = None
    """How a baked model learns to look like the one it was baked from; None for not at all."""

    def radiant(self, name: str) -> Radiant:
        """The model, asked for density and colour in space.

        Raises:
            InputError: it has none.
        """
        if not isinstance(self.model, Radiant):
            raise _unable("density and colour in space", name)
        return self.model

    def bakeable(self, name: str) -> Bakeable:
        """The model, asked to be baked: its density and colour in space.

        Raises:
            InputError: it can't be.
        """
        if not isinstance(self.model, Bakeable):
            raise _unable("a scene or an image", name)
        return self.model

    @property
    def picture(self) -> Pictured | None:
        """The model, if it is an image."""
        model = self.model
        return model if isinstance(model, Pictured) and model.picture is not None else None

    def graphed(self, name: str) -> Graphed:
        """The model, asked for its graph.

        Raises:
            InputError: it has none.
        """
        if not isinstance(self.model, Graphed):
            raise _unable("a graph of operations", name)
        return self.model

    @property
    def views(self) -> Sequence[Camera]:
        """The training cameras, else any."""
        return self.cameras.get("train") or next(iter(self.cameras.values()), ())

    @property
    def up(self) -> Float64[Tensor, "3"]:
        """The axis of the user's frame, with its sign, that is most up for the cameras; else +z."""
        axis = torch.zeros(3, dtype=torch.float64)
        axis[2] = 1.0
        if not self.views:
            return axis
        mean = torch.stack([camera.pose[:3, 1] for camera in self.views]).double().mean(0)
        if float(mean.norm()) < 0.2:
            return axis
        place = int(mean.abs().argmax())
        axis[2], axis[place] = 0.0, 1.0 if mean[place] > 0 else -1.0
        return axis


def _unable(words: str, name: str) -> InputError:
    return InputError(
        f"a run with {words} for --to {name}", "one without", "`polyfield info RUN` says what it is"
    )
