"""What a run saves and a user loads: a field and all that is needed to render it, in one file.

The file is safetensors. Its metadata is JSON: kind, config tree, bounds, colour space,
background ... Nothing in it can run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from polyfield.config import TAGGED, from_tree, to_tree
from polyfield.encodings.domain import Box, domain
from polyfield.errors import InputError
from polyfield.fields import RadianceFieldConfig, SignalFieldConfig
from polyfield.fields.base import Size
from polyfield.renderers.nerfacc import NerfaccGrid
from polyfield.renderers.occupancy import OccupancyGrid
from polyfield.renderers.renderer import VolumeRenderer
from polyfield.renderers.samplers import Uniform
from polyfield.renderers.volume import Pixels
from polyfield.scenes.base import ColorSpace
from polyfield.scenes.cameras import Camera, Cameras
from polyfield.scenes.rays import Rays
from polyfield.tensors import load_tensors, save_tensors

SamplerConfig = NerfaccGrid | OccupancyGrid | Uniform
"""THE list of samplers."""

TaggedRadiance = Annotated[RadianceFieldConfig, TAGGED]
TaggedSignal = Annotated[SignalFieldConfig, TAGGED]
TaggedSampler = Annotated[SamplerConfig, TAGGED]

ROWS = 1 << 16
"""Points of a picture evaluated at once."""


@dataclass(frozen=True)
class World:
    """What the data decides about a radiance model."""

    bounds: Float[Tensor, "2 3"]
    """Box of the scene, the user's frame."""
    unbounded: bool
    """Whether there is something outside."""
    color_space: ColorSpace
    """Of the colours."""
    background: tuple[float, float, float]
    """What lies behind everything, in that colour space."""


class RadianceModel(nn.Module):
    """A radiance field and how to render it."""

    def __init__(self, field: RadianceFieldConfig, sampler: SamplerConfig, world: World) -> None:
        """A fresh model."""
        super().__init__()
        self.configs = (field, sampler)
        self.world = world
        self.field = field.build(domain(world.bounds, world.unbounded))
        self.renderer = VolumeRenderer(sampler.build(domain(world.bounds, world.unbounded)))

    @property
    def bounds(self) -> Float[Tensor, "2 3"]:
        """Corners of the scene's box, the user's frame."""
        return self.world.bounds

    @property
    def color_space(self) -> ColorSpace:
        """Of the colours."""
        return self.world.color_space

    @property
    def device(self) -> torch.device:
        """Where its parameters are."""
        return self.field.domain.bounds.device

    @property
    def background(self) -> Float[Tensor, "3"]:
        """Colour behind everything, on the CPU."""
        return torch.tensor(self.world.background)

    def size(self) -> Size:
        """Trainable and stored values, those of the sampler's grid included."""
        grid = sum(tensor.numel() for tensor in self.renderer.sampler.state_dict().values())
        field = self.field.size()
        return Size(field.trainable, field.stored + grid)

    def render(self, camera: Camera, background: Float[Tensor, "3"] | None = None) -> Pixels:
        """What a camera sees.

        Color [h, w, 3] over the background (the model's own if None), opacity, depth [h, w]: on
        the CPU, wherever the model is.
        """
        eye = Cameras.stack([camera]).to(self.device)
        return self.render_rays(eye.view(0), background)

    def render_rays(self, rays: Rays, background: Float[Tensor, "3"] | None = None) -> Pixels:
        """What rays of any shape and device see, over the background; on the CPU."""
        seen = self.renderer.picture(self.field, rays.to(self.device)).cpu()
        behind = self.background if background is None else background.cpu()
        return Pixels(seen.over(behind), seen.opacity, seen.depth)

    def describe(self) -> dict[str, Any]:
        """The metadata of the model file."""
        field, sampler = self.configs
        return {
            "kind": "radiance",
            "field": to_tree(field, TaggedRadiance),
            "sampler": to_tree(sampler, TaggedSampler),
            "bounds": self.world.bounds.tolist(),
            "unbounded": self.world.unbounded,
            "color_space": self.world.color_space,
            "background": list(self.world.background),
        }


class SignalModel(nn.Module):
    """A field that is a picture."""

    def __init__(
        self,
        field: SignalFieldConfig,
        width: int,
        height: int,
        channels: int,
        color_space: ColorSpace,
    ) -> None:
        """A fresh model of a picture of this size."""
        super().__init__()
        self.config = field
        self.width, self.height, self.channels = width, height, channels
        self.color_space = color_space
        self.bounds = torch.tensor([[0.0, 0.0], [float(width), float(height)]])
        self.field = field.build(Box(self.bounds), channels)

    @property
    def device(self) -> torch.device:
        """Where its parameters are."""
        return self.field.domain.bounds.device

    def size(self) -> Size:
        """Trainable and stored values."""
        return self.field.size()

    @torch.no_grad()
    def render(self, width: int | None = None, height: int | None = None) -> Float[Tensor, "h w c"]:
        """The picture at any size (its own if None), asked at pixel centres; on the CPU."""
        width, height = width or self.width, height or self.height
        x = (torch.arange(width, device=self.device) + 0.5) * (self.width / width)
        y = (torch.arange(height, device=self.device) + 0.5) * (self.height / height)
        rows = max(1, ROWS // width)
        # on_grid's axes are x then y, pictures are rows of columns.
        parts = [self.field.on_grid([x, part]).transpose(0, 1).cpu() for part in y.split(rows)]
        return torch.cat(parts)

    def describe(self) -> dict[str, Any]:
        """The metadata of the model file."""
        return {
            "kind": "signal",
            "field": to_tree(self.config, TaggedSignal),
            "width": self.width,
            "height": self.height,
            "channels": self.channels,
            "color_space": self.color_space,
        }


Model = RadianceModel | SignalModel


def save_model(path: Path, model: Model, extra: Mapping[str, Any] | None = None) -> None:
    """Write the model file, whole or not at all; `extra` joins the metadata."""
    save_tensors(path, model.state_dict(), {**model.describe(), **(extra or {})})


def _radiance(meta: dict[str, Any]) -> RadianceModel:
    color_space: ColorSpace = from_tree(Literal["srgb", "linear"], meta["color_space"])
    world = World(
        torch.tensor(meta["bounds"]),
        bool(meta["unbounded"]),
        color_space,
        tuple(meta["background"]),
    )
    return RadianceModel(
        from_tree(TaggedRadiance, meta["field"]),
        from_tree(TaggedSampler, meta["sampler"], "sampler"),
        world,
    )


def _signal(meta: dict[str, Any]) -> SignalModel:
    field = from_tree(TaggedSignal, meta["field"])
    return SignalModel(field, meta["width"], meta["height"], meta["channels"], meta["color_space"])


_KINDS: dict[str, Callable[[dict[str, Any]], Model]] = {"radiance": _radiance, "signal": _signal}


def load_model(path: Path) -> Model:
    """Read a model file, onto the CPU.

    Raises:
        InputError: no such file, truncated, foreign, newer, or its parts don't fit together.
    """
    tensors, meta = load_tensors(path)
    try:
        model = _KINDS[meta["kind"]](meta)
        model.load_state_dict(tensors)
    except (KeyError, TypeError, RuntimeError) as error:
        raise InputError(
            "a whole polyfield model",
            f"{path}, whose parts don't fit ({' '.join(str(error).split())[:80]})",
            "train it again, or use the version of polyfield that wrote it",
        ) from None
    return model.eval()
