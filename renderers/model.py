"""What a run saves and a user loads: a field and all that is needed to render it, in one file.

The file is safetensors. Its metadata is JSON: the kind of data, the layout of the model, config
tree, bounds, colour space ... Nothing in it can run.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from polyfield.allocation import within_memory
from polyfield.config import TAGGED, from_tree, to_tree
from polyfield.encodings.domain import Box, domain
from polyfield.errors import InputError, MissingBackend
from polyfield.fields import RadianceFieldConfig, SignalFieldConfig
from polyfield.fields.base import Field, RadianceField, RadianceSample, SignalField, Size
from polyfield.renderers.corrections import Corrections
from polyfield.renderers.nerfacc import NerfaccGrid
from polyfield.renderers.occupancy import OccupancyGrid
from polyfield.renderers.renderer import VolumeRenderer
from polyfield.renderers.samplers import Uniform
from polyfield.renderers.volume import RenderOutput
from polyfield.scenes.base import ColorSpace
from polyfield.scenes.cameras import Camera, Cameras
from polyfield.scenes.rays import Rays
from polyfield.scenes.similarity import IDENTITY, Similarity
from polyfield.tensors import load_tensors, save_tensors

SamplerConfig = NerfaccGrid | OccupancyGrid | Uniform
"""THE list of samplers."""

TaggedRadiance = Annotated[RadianceFieldConfig, TAGGED]
TaggedSignal = Annotated[SignalFieldConfig, TAGGED]
TaggedSampler = Annotated[SamplerConfig, TAGGED]

NO_CORRECTIONS = Corrections()
"""Nothing is learned beside the field."""
MOST_IMAGES = 1 << 24
"""Of a model file."""
ROWS = 1 << 16
"""Points of a signal evaluated at once."""
LARGEST, CHANNELS = 1 << 31, 1024
"""Most samples along an axis of a signal, and values of each."""


class Model(nn.Module, ABC):
    """A field in the user's frame, and how it is seen."""

    kind: str
    """The kind of data, as the command line calls it."""
    bounds: Float[Tensor, "2 d"]
    """Corners of the box of the data, the user's frame; on the CPU."""
    field: Field
    """The field itself."""

    @property
    def device(self) -> torch.device:
        """Where its parameters are."""
        return self.field.domain.bounds.device

    @abstractmethod
    def size(self) -> Size:
        """Trainable and stored values."""

    @abstractmethod
    def ask(self, x: Float[Tensor, "n d"], directions: Float[Tensor, "n 3"]) -> object:
        """All that the field says of points; what sees no directions passes them over."""

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """The metadata of the model file."""


@dataclass(frozen=True)
class SceneInfo:
    """What the data decides about a radiance model."""

    bounds: Float[Tensor, "2 3"]
    """Box of the scene, in `frame`."""
    unbounded: bool
    """Whether there is something outside."""
    color_space: ColorSpace
    """Of the colours."""
    background: tuple[float, float, float]
    """What lies behind everything, in that colour space."""
    frame: Similarity = IDENTITY
    """What takes the user's frame to that of the field's coordinates."""
    images: int = 0
    """Training images: what is learned of each of them is numbered as they are."""


class RadianceModel(Model):
    """A radiance field and how to render it."""

    kind = "scene"
    field: RadianceField

    def __init__(
        self,
        field: RadianceFieldConfig,
        sampler: SamplerConfig,
        info: SceneInfo,
        corrections: Corrections = NO_CORRECTIONS,
    ) -> None:
        """A fresh model."""
        super().__init__()
        self.configs = (field, sampler, corrections)
        self.info, self.bounds = info, info.bounds
        if not info.frame.is_identity:
            self.bounds = info.frame.users(info.bounds)
        self.field = field.build(domain(info.bounds, info.unbounded))
        self.renderer = VolumeRenderer(sampler.build(domain(info.bounds, info.unbounded)))
        self.corrections = corrections.build(info.images, self.field.domain.length)

    @property
    def frame(self) -> Similarity:
        """What takes the user's frame to that of the field's coordinates, and of rays."""
        return self.info.frame

    @property
    def color_space(self) -> ColorSpace:
        """Of the colours."""
        return self.info.color_space

    @property
    def background(self) -> Float[Tensor, "3"]:
        """Colour behind everything, on the CPU."""
        return torch.tensor(self.info.background)

    def size(self) -> Size:
        """Trainable and stored values, those of the sampler's grid included."""
        grid = sum(tensor.numel() for tensor in self.renderer.sampler.state_dict().values())
        field = self.field.size()
        return Size(field.trainable, field.stored + grid)

    def ask(self, x: Float[Tensor, "*n 3"], directions: Float[Tensor, "*n 3"]) -> RadianceSample:
        """Density and colour of points.

        Args:
            x: in the user's frame; float64 far from its zero. The field itself is in `frame`.
            directions: unit vectors.

        Returns:
            With densities per length of the user's.
        """
        found: RadianceSample = self.field(self.frame.normalised(x).float(), directions)
        return replace(found, density=found.density * self.frame.scale)

    def render(
        self,
        camera: Camera,
        background: Float[Tensor, "3"] | None = None,
        image: int | None = None,
    ) -> RenderOutput:
        """What a camera sees.

        Args:
            camera: in the user's frame.
            background: behind everything; None for the model's own sky, or else colour.
            image: training image whose exposure the colours have; None for the mean of all.

        Returns:
            Color [h, w, 3], opacity, depth [h, w] in the user's units: on the CPU, wherever the
            model is.
        """
        seen = self.render_rays(self.rays(camera), background, image)
        return replace(seen, depth=seen.depth / self.frame.scale)

    def rays(self, camera: Camera) -> Rays:
        """The rays of a camera, [height, width], in the field's coordinates, on its device."""
        return Cameras.stack([camera], frame=self.frame).to(self.device).view(0)

    @torch.no_grad()
    def render_rays(
        self,
        rays: Rays,
        background: Float[Tensor, "3"] | None = None,
        image: int | None = None,
    ) -> RenderOutput:
        """What rays of `frame`, of any shape and device, see; depth is in its lengths too."""
        rays = rays.to(self.device)
        seen = self.renderer.picture(self.field, rays)
        flat = seen.reshape(rays.near.numel())
        behind = background
        if behind is None and self.corrections.sky is None:
            behind = self.background
        color = self.corrections.over(
            flat,
            rays.directions.reshape(-1, 3),
            None if behind is None else behind.to(self.device),
            None if image is None else torch.full_like(rays.camera.reshape(-1), image),
        )
        found = RenderOutput(color.reshape(*rays.shape, 3), seen.opacity, seen.depth)
        return found.cpu()

    def describe(self) -> dict[str, Any]:
        """The metadata of the model file."""
        field, sampler, corrections = self.configs
        return {
            "kind": self.kind,
            "model": "radiance",
            "field": to_tree(field, TaggedRadiance),
            "sampler": to_tree(sampler, TaggedSampler),
            "bounds": self.info.bounds.tolist(),
            "unbounded": self.info.unbounded,
            "color_space": self.info.color_space,
            "background": list(self.info.background),
            "frame": {"center": list(self.frame.center), "scale": self.frame.scale},
            "images": self.info.images,
            "corrections": to_tree(corrections),
        }


@dataclass(frozen=True)
class SignalInfo:
    """What the data decides about a model of a signal."""

    kind: str
    """The kind of data."""
    shape: tuple[int, ...]
    """Samples along each axis, in the order of the coordinates: width and height, say."""
    extent: tuple[float, ...]
    """Upper corner of the coordinates, the user's units; the lower one is the origin."""
    channels: int
    """Values a sample."""
    about: Mapping[str, Any]
    """What else its reader keeps for its writer: colour space, sample rate ..."""
    scale: float = 1.0
    """What the field's values are multiplied by to be the signal's."""


class SignalModel(Model):
    """A field that is a signal: an image, a sound."""

    field: SignalField

    def __init__(self, field: SignalFieldConfig, info: SignalInfo) -> None:
        """A fresh model of a signal of this size."""
        super().__init__()
        self.config, self.info, self.kind = field, info, info.kind
        self.bounds = torch.tensor([[0.0] * len(info.extent), list(info.extent)])
        self.field = field.build(Box(self.bounds), info.channels)

    def size(self) -> Size:
        """Trainable and stored values."""
        return self.field.size()

    def ask(self, x: Float[Tensor, "n d"], directions: Float[Tensor, "n 3"]) -> object:
        """Values, [n, channels]."""
        return self.field(x)

    @torch.no_grad()
    def render(self, *shape: int) -> Float[Tensor, "... c"]:
        """The signal with this many samples along each axis, its own if none; on the CPU.

        It is asked at the centres of the samples. The last coordinate comes first: an image of
        `render(width, height)` is [height, width, channels], a sound of `render(samples)` is
        [samples, channels].
        """
        shape = shape or self.info.shape
        axes = [
            (torch.arange(n, device=self.device) + 0.5) * (extent / n)
            for n, extent in zip(shape, self.info.extent, strict=True)
        ]
        rows = max(1, ROWS // math.prod(shape[:-1]))
        order = [*reversed(range(len(shape))), len(shape)]
        parts = [
            self.field.on_grid([*axes[:-1], part]).permute(order).cpu()
            for part in axes[-1].split(rows)
        ]
        found = torch.cat(parts)
        return found if self.info.scale == 1 else found * self.info.scale

    def describe(self) -> dict[str, Any]:
        """The metadata of the model file."""
        return {
            "kind": self.kind,
            "model": "signal",
            "field": to_tree(self.config, TaggedSignal),
            "shape": list(self.info.shape),
            "extent": list(self.info.extent),
            "channels": self.info.channels,
            "about": dict(self.info.about),
            "scale": self.info.scale,
        }


def save_model(path: Path, model: Model, extra: Mapping[str, Any] | None = None) -> None:
    """Write the model file, whole or not at all; `extra` joins the metadata."""
    save_tensors(path, model.state_dict(), {**model.describe(), **(extra or {})})


Three = tuple[float, float, float]


def _ordered(low: Sequence[float], high: Sequence[float]) -> None:
    """Raise unless these are the corners of a box."""
    if not all(a < b and math.isfinite(b - a) for a, b in zip(low, high, strict=True)):
        raise InputError(
            "bounds, each lower one below its upper", f"{low}, {high}", "train it again"
        )


def _frame(meta: Mapping[str, Any]) -> Similarity:
    """The frame of a model; before there were frames, files knew an origin, or nothing."""
    tree = meta.get("frame", {"center": meta.get("origin", [0.0, 0.0, 0.0]), "scale": 1.0})
    found: Similarity = from_tree(Similarity, tree, "frame")
    if not all(map(math.isfinite, (*found.center, found.scale))) or found.scale <= 0:
        raise InputError("a finite frame with a scale above 0", f"{found}", "train it again")
    return found


def _radiance(meta: dict[str, Any]) -> RadianceModel:
    color_space: ColorSpace = from_tree(
        Literal["srgb", "linear"], meta["color_space"], "color_space"
    )
    low, high = from_tree(tuple[Three, Three], meta["bounds"], "bounds")
    _ordered(low, high)
    info = SceneInfo(
        torch.tensor([low, high]),
        from_tree(bool, meta["unbounded"], "unbounded"),
        color_space,
        from_tree(Three, meta["background"], "background"),
        _frame(meta),
        from_tree(int, meta.get("images", 0), "images"),
    )
    if not 0 <= info.images <= MOST_IMAGES:
        raise InputError(f"0 to {MOST_IMAGES} images", str(info.images), "train it again")
    if not all(map(math.isfinite, info.background)):
        raise InputError("a finite background", f"{info.background}", "train it again")
    return RadianceModel(
        from_tree(TaggedRadiance, meta["field"]),
        from_tree(TaggedSampler, meta["sampler"], "sampler"),
        info,
        from_tree(Corrections, meta.get("corrections", {}), "corrections"),
    )


def _signal(meta: dict[str, Any]) -> SignalModel:
    if "shape" not in meta:
        # Files of the first edition knew images alone.
        size = [meta["width"], meta["height"]]
        about = {"color_space": meta["color_space"]}
        meta = {**meta, "kind": "image", "shape": size, "extent": size, "about": about}
    info = SignalInfo(
        from_tree(str, meta["kind"], "kind"),
        from_tree(tuple[int, ...], meta["shape"], "shape"),
        from_tree(tuple[float, ...], meta["extent"], "extent"),
        from_tree(int, meta["channels"], "channels"),
        from_tree(Mapping[str, Any], meta["about"], "about"),
        from_tree(float, meta.get("scale", 1.0), "scale"),
    )
    _ordered([0.0] * len(info.extent), info.extent)
    if len(info.shape) != len(info.extent) or not all(1 <= n <= LARGEST for n in info.shape):
        raise InputError("samples along each axis", str(info.shape)[:60], "train it again")
    if not (math.isfinite(info.scale) and info.scale > 0):
        raise InputError("a finite scale above 0", f"{info.scale:g}", "train it again")
    if not 1 <= info.channels <= CHANNELS:
        raise InputError(f"1 to {CHANNELS} channels", str(info.channels), "train it again")
    return SignalModel(from_tree(TaggedSignal, meta["field"]), info)


_LAYOUTS: dict[str, Callable[[dict[str, Any]], Model]] = {"radiance": _radiance, "signal": _signal}


def load_model(path: Path) -> Model:
    """Read a model file, onto the CPU.

    Raises:
        InputError: no such file, truncated, foreign, newer, or its parts don't fit together.
    """
    tensors, meta = load_tensors(path)
    try:
        # In files of the first edition the layout was called the kind.
        build = _LAYOUTS[meta.get("model", meta["kind"])]
        with within_memory("the model"):
            model = build(meta)
        boxes = {n: b.clone() for n, b in model.named_buffers() if n.endswith("domain.bounds")}
        model.load_state_dict(tensors)
        wrong = [n for n, p in model.named_parameters() if not bool(p.isfinite().all())]
        # A grid of occupancy is infinite where nobody has looked.
        wrong += [n for n, b in model.named_buffers() if bool(b.isnan().any())]
        if wrong:
            raise ValueError(f"{wrong[0]} is not finite")
        moved = [n for n, b in model.named_buffers() if n in boxes and not b.equal(boxes[n])]
        if moved:
            raise ValueError(f"{moved[0]} is not the box of its metadata")
    except MissingBackend:
        raise
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise InputError(
            "a whole polyfield model",
            f"{path}, whose parts don't fit ({' '.join(str(error).split())[:80]})",
            "train it again, or use the version of polyfield that wrote it",
        ) from None
    return model.eval()
