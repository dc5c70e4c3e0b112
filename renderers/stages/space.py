"""A radiance field as a viewer shows it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from polyfield.renderers.colormaps import depth_picture, depth_range
from polyfield.renderers.normals import SEEN, normals
from polyfield.renderers.radiance_model import RadianceModel
from polyfield.renderers.stages.base import Look, Stage
from polyfield.renderers.tiles import view_tiles
from polyfield.scenes.cameras import Camera, Cameras
from polyfield.scenes.color import from_float, srgb_from_linear
from polyfield.scenes.orbit import up_of
from polyfield.scenes.rays import Rays
from polyfield.scenes.viewpoints import looking_at, moved

OUTSIDE = 1.5
"""Distance of the first camera where there is none, in diagonals of the box."""
FOCAL = 1.2
"""Its focal length, in heights of its image."""


class Space(Stage):
    """Colour, depth, opacity and normals of a radiance field.

    Args:
        model: what is drawn, as it is at the time.
        views: its training cameras, the user's frame; may be none.
    """

    shows = ("color", "depth", "opacity", "normals")
    can_crop = True

    def __init__(self, model: RadianceModel, views: Sequence[Camera] = ()) -> None:
        self._model = model
        self.bounds = model.bounds.detach().cpu().double()
        self.views = views
        center = self.bounds.mean(0)
        if views:
            x, y, z = up_of(torch.stack([v.pose for v in views]).double(), center).tolist()
            self.up = (x, y, z)
            self.start = moved(views[0], views[0].pose)
        else:
            self.up = (0.0, 0.0, 1.0)
            self.start = _from_outside(self.bounds)
        self._draws: dict[str, Callable[[Rays], Tensor]] = {
            "color": self._color,
            "depth": self._depth,
            "opacity": lambda rays: model.render_rays(rays).opacity[:, None],
            "normals": self._normals,
        }

    def values(self, camera: Camera, look: Look, size: int) -> Iterator[Float[Tensor, "n c"]]:
        """Colours; distance and opacity; opacity; normals as colours."""
        frame, draw = self._model.frame, self._draws[look.what]
        cameras = Cameras.stack([camera], frame=frame).to(self._model.device)
        if look.crop is None:
            return view_tiles(draw, cameras, size)
        corners = torch.tensor(look.crop, dtype=torch.float64)
        box = frame.normalised(corners).float().to(self._model.device)
        return view_tiles(lambda rays: draw(clipped(rays, box)), cameras, size)

    def image(self, values: Float[Tensor, "h w c"], look: Look) -> np.ndarray:
        """Depth in false colours between the nearest and the farthest that is seen."""
        if look.what == "depth":
            depth, opacity = values.unbind(-1)
            values = depth_picture(depth, opacity, *depth_range(depth, opacity))
        elif look.what == "color" and self._model.color_space == "linear":
            values = srgb_from_linear(values.clamp(min=0))
        return from_float(values.expand(-1, -1, 3).numpy(), np.uint8)

    def _color(self, rays: Rays) -> Float[Tensor, "n 3"]:
        return self._model.render_rays(rays).color

    def _depth(self, rays: Rays) -> Float[Tensor, "n 2"]:
        seen = self._model.render_rays(rays)
        return torch.stack([seen.depth / self._model.frame.scale, seen.opacity], -1)

    def _normals(self, rays: Rays) -> Float[Tensor, "n 3"]:
        seen, field = self._model.render_rays(rays), self._model.field
        found = normals(field.density, field.domain, rays, seen)
        met = (seen.opacity > SEEN)[:, None]
        return torch.where(met, (found + 1) / 2, torch.zeros_like(found))


def clipped(rays: Rays, box: Float[Tensor, "2 3"]) -> Rays:
    """The same rays, of which only what lies in a box counts; nothing where they miss it."""
    away = rays.directions
    safe = torch.where(away.abs() < 1e-12, torch.full_like(away, 1e-12), away)
    one, two = ((corner - rays.origins) / safe for corner in box)
    near = torch.maximum(rays.near, torch.minimum(one, two).amax(-1))
    far = torch.minimum(rays.far, torch.maximum(one, two).amin(-1))
    return Rays(rays.origins, away, near, torch.maximum(far, near), rays.camera)


def _from_outside(bounds: Float[Tensor, "2 3"]) -> Camera:
    """Looks at the middle of a box from a corner above."""
    center, diagonal = bounds.mean(0), float((bounds[1] - bounds[0]).norm())
    away = torch.tensor([0.6, -0.6, 0.5], dtype=bounds.dtype)
    eye = center + OUTSIDE * diagonal * away / away.norm()
    pose = looking_at(eye, center, torch.tensor([0.0, 0.0, 1.0], dtype=bounds.dtype))
    width, height = 960, 720
    return Camera(pose, width, height, FOCAL * height, FOCAL * height, width / 2, height / 2)
