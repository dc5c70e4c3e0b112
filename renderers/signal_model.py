"""A field that is a signal: an image, a sound; and what its file says."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from polyfield.config import TAGGED, from_tree, to_tree
from polyfield.encodings.domain import Box
from polyfield.errors import InputError
from polyfield.fields import SignalFieldConfig
from polyfield.fields.base import SignalField, Size
from polyfield.renderers.graph import Graph
from polyfield.renderers.model import REHEARSED, Model, check_corners
from polyfield.scenes.base import ColorSpace

TaggedSignal = Annotated[SignalFieldConfig, TAGGED]

ROWS = 1 << 16
"""Points of a signal evaluated at once."""
LARGEST, CHANNELS = 1 << 31, 1024
"""Most samples along an axis of a signal, and values of each."""


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

    def rehearsals(self) -> tuple[Callable[[], object], ...]:
        """The field, forth and back."""

        def learn() -> None:
            self.field(torch.rand(REHEARSED, len(self.info.extent))).sum().backward()

        return (learn,)

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
        return torch.cat(list(self.parts(*shape)))

    @torch.no_grad()
    def parts(self, *shape: int) -> Iterator[Float[Tensor, "... c"]]:
        """`render` part by part along its first axis, for what is too large at once."""
        shape = shape or self.info.shape
        axes = [
            (torch.arange(n, device=self.device) + 0.5) * (extent / n)
            for n, extent in zip(shape, self.info.extent, strict=True)
        ]
        rows = max(1, ROWS // math.prod(shape[:-1]))
        order = [*reversed(range(len(shape))), len(shape)]
        for part in axes[-1].split(rows):
            found = self.field.on_grid([*axes[:-1], part]).permute(order).cpu()
            yield found if self.info.scale == 1 else found * self.info.scale

    @property
    def picture(self) -> ColorSpace | None:
        """The colour space of an image; None of what is none."""
        space = self.info.about.get("color_space")
        if len(self.info.extent) != 2 or self.info.channels > 4 or space is None:
            return None
        found: ColorSpace = from_tree(ColorSpace, space, "about.color_space")
        return found

    def graph(self) -> Graph:
        """The signal at coordinates [n, d] of the user's: values [n, c]."""

        def example(n: int, generator: torch.Generator) -> tuple[Tensor, ...]:
            return (torch.rand(n, len(self.info.extent), generator=generator) * self.bounds[1],)

        about = {
            "kind": self.kind,
            "field": to_tree(self.config, TaggedSignal),
            "bounds": self.bounds.tolist(),
            "shape": list(self.info.shape),
            **self.info.about,
        }
        return Graph(_Values(self), example, ("coordinates",), ("values",), about)

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


class _Values(nn.Module):
    """The graph of a signal."""

    def __init__(self, model: SignalModel) -> None:
        super().__init__()
        self.field, self.scale = model.field, model.info.scale

    def forward(self, x: Float[Tensor, "n d"]) -> tuple[Tensor]:
        """Values as the signal has them."""
        found = self.field(x)
        return (found if self.scale == 1 else found * self.scale,)


def signal_of(meta: dict[str, Any]) -> SignalModel:
    """The model that a file's metadata describes, its values not yet read."""
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
    check_corners([0.0] * len(info.extent), info.extent)
    if len(info.shape) != len(info.extent) or not all(1 <= n <= LARGEST for n in info.shape):
        raise InputError("samples along each axis", str(info.shape)[:60], "train it again")
    if not (math.isfinite(info.scale) and info.scale > 0):
        raise InputError("a finite scale above 0", f"{info.scale:g}", "train it again")
    if not 1 <= info.channels <= CHANNELS:
        raise InputError(f"1 to {CHANNELS} channels", str(info.channels), "train it again")
    return SignalModel(from_tree(TaggedSignal, meta["field"]), info)
