"""A model as points with colours and normals, by the depths its cameras see."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

import numpy as np
import torch
from jaxtyping import Float32, Float64

from polyfield.errors import InputError
from polyfield.files import write_whole
from polyfield.ranges import Range
from polyfield.renderers.exports.box import Six, box_of
from polyfield.renderers.exports.ply import normals, ply, positions, reds
from polyfield.renderers.exports.source import Radiant, Source, Tell
from polyfield.renderers.exports.writing import writing
from polyfield.scenes.base import ColorSpace
from polyfield.scenes.cameras import Camera
from polyfield.scenes.color import from_float, srgb_from_linear
from polyfield.scenes.visibility import pixels_of

SIDE, LARGER = 400, 2.0
"""Pixels along the longer side of a view, and how much larger than its images it is at most."""
OPAQUE = 0.8
"""Opacity of a pixel below which its depth is a mean of nothing and something."""
AGREE = 0.02
"""By how much of its depth a point may lie before or behind what another view sees there ..."""
OTHERS = 2
"""... and other views, the nearest in direction, that are asked; one has to agree."""
EDGE = 0.05
"""Depths of neighbouring pixels that differ by more of themselves are of an edge: left out."""
BEYOND = 4.0
"""Points of a scene without end are kept so many boxes around it."""


@dataclass(frozen=True)
class Cloud:
    """Points of surfaces, the user's frame."""

    points: Float64[np.ndarray, "n 3"]
    normals: Float64[np.ndarray, "n 3"]
    """Towards the camera that saw them."""
    colors: Float32[np.ndarray, "n 3"]
    """In the model's colour space, as that camera saw them."""

    def part(self, kept: np.ndarray) -> Cloud:
        """Some of them, by a mask or by numbers."""
        return Cloud(self.points[kept], self.normals[kept], self.colors[kept])


@dataclass(frozen=True)
class Points:
    """Depths of the training views, fused: points with colours and normals."""

    name: ClassVar[str] = "points"
    endings: ClassVar[tuple[str, ...]] = (".ply",)
    count: Annotated[int, Range(1, 1 << 28)] = 1_000_000
    """Most points."""
    views: Annotated[int, Range(1, 1 << 16)] = 100
    """Most views that are drawn for them, evenly spread."""
    bounds: tuple[float, float, float, float, float, float] | None = None
    """Box that is exported, xmin ymin zmin xmax ymax zmax, the data's own frame; default the
    scene's, and some around one without end."""

    def write(self, source: Source, path: Path, tell: Tell) -> str:
        """Draw, fuse, write."""
        model = source.radiant(self.name)
        cameras = chosen(source, self.views, self.name)
        found = fused(model, cameras, self.bounds, self.count, tell)
        shown = displayed(found.colors, model.color_space)
        columns = {**positions(found.points), **normals(found.normals), **reds(shown)}
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, lambda temporary: temporary.write_bytes(ply(columns)))
        return f"{len(found.points)} points"


def displayed(colors: Float32[np.ndarray, "*n 3"], space: ColorSpace) -> np.ndarray:
    """Colours as programs take them: sRGB, 8 bits."""
    if space == "linear":
        colors = srgb_from_linear(torch.from_numpy(colors).clamp(min=0)).numpy()
    return from_float(np.clip(colors, 0, 1), np.uint8)


def chosen(source: Source, most: int, name: str) -> list[Camera]:
    """Some of the run's cameras, evenly spread, at the size they are drawn.

    Raises:
        InputError: there are none.
    """
    cameras = source.views
    if not cameras:
        raise InputError(
            f"a run with cameras for --to {name}",
            "a model alone",
            "export the run's folder, which has cameras.json",
        )
    numbers = np.unique(np.linspace(0, len(cameras) - 1, min(most, len(cameras))).round())
    found = []
    for camera in (cameras[int(i)] for i in numbers):
        scale = min(LARGER, SIDE / max(camera.width, camera.height))
        size = round(camera.width * scale), round(camera.height * scale)
        found.append(camera.resized(*(max(n, 1) for n in size)))
    return found


def fused(
    model: Radiant, cameras: list[Camera], bounds: Six | None, count: int, tell: Tell
) -> Cloud:
    """Points that views see and that another view agrees about.

    Args:
        model: what is drawn.
        cameras: where from.
        bounds: the box they are to lie in; None for the scene's, and around one without end.
        count: most points.
        tell: shows progress.

    Raises:
        InputError: there are none.
    """
    low, high = _kept_box(model, bounds)
    seen = []
    for number, camera in enumerate(cameras):
        seen.append(_look(model, camera))
        if (number + 1) % max(len(cameras) // 5, 1) == 0:
            tell(f"depths: {number + 1} of {len(cameras)} views")
    parts = []
    for number, view in enumerate(seen):
        others = _nearest(cameras, number) if len(cameras) > 1 else []
        agreed = np.zeros(len(view.cloud.points), bool)
        for other in others:
            agreed |= seen[other].agrees(view.cloud.points)
        parts.append(view.cloud.part(agreed) if others else view.cloud)
    whole = Cloud(
        np.concatenate([p.points for p in parts]),
        np.concatenate([p.normals for p in parts]),
        np.concatenate([p.colors for p in parts]),
    )
    whole = whole.part(np.all((whole.points >= low) & (whole.points <= high), axis=1))
    if not len(whole.points):
        raise InputError(
            "a surface in the box that training views see", "none", "give other --bounds"
        )
    if len(whole.points) <= count:
        return whole
    kept = np.random.default_rng(0).permutation(len(whole.points))[:count]
    return whole.part(np.sort(kept))


def _kept_box(model: Radiant, bounds: Six | None) -> tuple[np.ndarray, np.ndarray]:
    """Corners of where points are kept."""
    if bounds is not None or not model.is_unbounded:
        low, high = box_of(model, bounds).numpy()
        return low, high
    low, high = model.bounds.double().cpu().numpy()
    reach = BEYOND * (high - low) / 2
    return (low + high) / 2 - reach, (low + high) / 2 + reach


@dataclass(frozen=True)
class _View:
    """What one camera sees."""

    camera: Camera
    depth: Float64[np.ndarray, "h w"]
    """Along the rays; infinite where nothing is."""
    cloud: Cloud

    def agrees(self, points: Float64[np.ndarray, "n 3"]) -> np.ndarray:
        """Whether points lie where this camera sees something."""
        camera = self.camera
        away = np.linalg.norm(points - camera.pose[:3, 3].numpy(), axis=1)
        pixel = pixels_of(camera, torch.from_numpy(points)).numpy()
        with np.errstate(invalid="ignore"):  # NaN, for what is behind, is never within
            inside = ((pixel >= 0) & (pixel < [camera.width, camera.height])).all(1)
        column, row = pixel[inside].astype(np.int64).T
        found = np.zeros(len(points), bool)
        depth = self.depth[row, column]
        found[inside] = np.abs(depth - away[inside]) <= AGREE * away[inside]
        return found


def _look(model: Radiant, camera: Camera) -> _View:
    """Draw a view and lift its pixels."""
    seen, rays = model.render(camera), camera.rays()
    directions = rays.directions.double().numpy()
    depth = np.where(seen.opacity.numpy() > OPAQUE, seen.depth.double().numpy(), np.inf)
    reach = np.where(np.isfinite(depth), depth, 0.0)[..., None]
    points = camera.pose[:3, 3].numpy() + reach * directions
    normal, smooth = _normals(points, depth, directions)
    opacity = np.maximum(seen.opacity.numpy(), 1e-6)[..., None]
    colors = np.clip(_front(model, seen.color.numpy(), opacity), 0, 1).astype(np.float32)
    return _View(camera, depth, Cloud(points[smooth], normal[smooth], colors[smooth]))


def _front(model: Radiant, color: np.ndarray, opacity: np.ndarray) -> np.ndarray:
    """The colour of what is met, without the background that shines through."""
    return np.asarray((color - (1 - opacity) * model.background.numpy()) / opacity)


def _normals(
    points: np.ndarray, depth: np.ndarray, directions: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Normals of a map of points, towards the camera, and where they can be told."""
    known = np.isfinite(depth)
    smooth = np.zeros(depth.shape, bool)
    normal = np.zeros_like(points)
    if min(depth.shape) < 3:
        return normal, smooth
    with np.errstate(invalid="ignore"):
        right = np.abs(depth[1:-1, 2:] - depth[1:-1, :-2]) < EDGE * depth[1:-1, 1:-1]
        down = np.abs(depth[2:, 1:-1] - depth[:-2, 1:-1]) < EDGE * depth[1:-1, 1:-1]
    inner = known[1:-1, 1:-1] & right & down
    across = np.cross(points[1:-1, 2:] - points[1:-1, :-2], points[2:, 1:-1] - points[:-2, 1:-1])
    length = np.linalg.norm(across, axis=-1, keepdims=True)
    unit = across / np.maximum(length, 1e-300)
    facing = (unit * directions[1:-1, 1:-1]).sum(-1, keepdims=True) > 0
    normal[1:-1, 1:-1] = np.where(facing, -unit, unit)
    smooth[1:-1, 1:-1] = inner & (length[..., 0] > 0)
    return normal, smooth


def _nearest(cameras: list[Camera], number: int) -> list[int]:
    """The other cameras that look most alike: in direction, then in place."""
    forward = np.stack([-camera.pose[:3, 2].numpy() for camera in cameras])
    alike = forward @ forward[number]
    alike[number] = -2.0
    return [int(i) for i in np.argsort(-alike)[:OTHERS]]
