"""What a frame of a scene shows, and as which values it is stored."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from polyfield.errors import InputError
from polyfield.renderers.colormaps import depth_picture, depth_range
from polyfield.renderers.normals import SEEN, normals
from polyfield.renderers.radiance_model import RadianceModel
from polyfield.renderers.volume import RenderOutput
from polyfield.scenes.cameras import Camera
from polyfield.scenes.color import from_float, linear_from_srgb, srgb_from_linear
from polyfield.training.figures import to_bytes

What = Literal["color", "depth", "opacity", "normals", "truth"]
Stored = Literal["png", "png16", "exr"]
Truth = Callable[[int], Float[Tensor, "h w 3"]]
"""The photograph of a frame, over the model's background, in [0, 1]."""
STEPS = 65535
"""Largest value of a 16-bit image."""


@dataclass(frozen=True, eq=False)
class SceneFrames:
    """Draws the frames of a camera path, any of them at any time."""

    model: RadianceModel
    cameras: Sequence[Camera]
    """At least one."""
    what: What = "color"
    stored: Stored = "png"
    truth: Truth | None = None
    """Photographs, where they are shown beside."""
    image: int | None = None
    """Training image whose exposure the colours have; None for the mean of all."""

    def __post_init__(self) -> None:
        assert (self.truth is not None) == (self.what == "truth")
        if self.what == "truth" and self.stored != "png":
            raise InputError(
                "--pixels png for --what truth", self.stored, "draw --what color instead"
            )

    def frame(self, index: int) -> np.ndarray:
        """A frame: uint8 [h w 3], uint16 or float32 [h w] or [h w 3]."""
        camera = self.cameras[index]
        seen = self.model.render(camera, image=self.image)
        if self.what == "color":
            return self._colors(seen.color)
        if self.what == "truth":
            assert self.truth is not None
            pair = torch.cat([self.truth(index), seen.color.clamp(0, 1)], dim=1)
            return to_bytes(pair, self._is_linear)
        if self.what == "opacity":
            return self._values(seen.opacity)
        if self.what == "depth":
            return self._depths(seen)
        rays = self.model.rays(camera)
        field = self.model.field
        found = normals(field.density, field.domain, rays, seen)
        if self.stored == "exr":
            return found.numpy()
        met = (seen.opacity > SEEN)[..., None]
        return self._values(torch.where(met, (found + 1) / 2, torch.zeros_like(found)))

    @cached_property
    def depth_step(self) -> float:
        """Length of one step of a 16-bit depth, the user's units: a power of ten.

        The farthest point that a bounded scene has for these cameras fits, and of one without
        bounds what is four boxes away.
        """
        box = self.model.bounds.double().cpu()
        corners = torch.cartesian_prod(*box.T)
        places = torch.stack([camera.pose[:3, 3] for camera in self.cameras]).double()
        farthest = float(torch.cdist(places, corners).max())
        farthest *= 4 if self.model.info.unbounded else 1
        return float(10.0 ** np.ceil(np.log10(max(farthest, 1e-30) / STEPS)))

    @cached_property
    def _span(self) -> tuple[float, float]:
        """Distances that the colours of depth span: those of the first view, for all views."""
        first = self.model.render(self.cameras[0])
        return depth_range(first.depth, first.opacity)

    @property
    def _is_linear(self) -> bool:
        return self.model.color_space == "linear"

    def _colors(self, color: Float[Tensor, "h w 3"]) -> np.ndarray:
        """Colours for eyes, or light for programs."""
        if self.stored == "exr":
            return (color if self._is_linear else linear_from_srgb(color)).numpy()
        shown = srgb_from_linear(color.clamp(min=0)) if self._is_linear else color
        return self._values(shown.clamp(0, 1))

    def _depths(self, seen: RenderOutput) -> np.ndarray:
        """Distances along the rays: in colours, in steps, or as they are; 0 where nothing is."""
        if self.stored == "png":
            return to_bytes(depth_picture(seen.depth, seen.opacity, *self._span), False)
        depth = torch.where(seen.opacity > SEEN, seen.depth, torch.zeros_like(seen.depth))
        if self.stored == "exr":
            return depth.numpy()
        return from_float((depth.double() / (self.depth_step * STEPS)).numpy(), np.uint16)

    def _values(self, values: Float[Tensor, "*n"]) -> np.ndarray:
        """Values in [0, 1], [h w] or [h w 3]."""
        if self.stored == "png":
            return to_bytes(values if values.ndim == 3 else values[..., None], False)
        if self.stored == "png16":
            return from_float(values.numpy(), np.uint16)
        return values.numpy()
