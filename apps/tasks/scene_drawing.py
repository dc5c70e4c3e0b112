"""Drawing a scene's run: along a camera path, as a film or as images."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import tyro
from jaxtyping import Float
from torch import Tensor

from polyfield.apps.tasks.sizes import image_size
from polyfield.errors import InputError
from polyfield.renderers.model import RadianceModel
from polyfield.scenes import camera_paths, open_capture
from polyfield.scenes.base import ReadOptions
from polyfield.scenes.camera_files import read_cameras, read_path
from polyfield.scenes.cameras import Camera
from polyfield.scenes.images import write_image
from polyfield.training.figures import depth_picture, depth_range, to_bytes, write_video
from polyfield.training.run import Run
from polyfield.training.watchers.console import Reporter

What = Literal["color", "depth", "opacity"]

FRAMES = 60
"""Frames of a path that has no number of its own."""


@dataclass(frozen=True)
class SceneDrawing:
    """Options of `render` for a scene."""

    path: Annotated[str, tyro.conf.arg(metavar="orbit|interpolate|test|FILE.json")] = "orbit"
    """Around the scene, through its cameras, its test cameras, or a file like transforms.json."""
    frames: int | None = None
    """Number of frames of orbit and interpolate; default 60."""
    size: Annotated[str | None, tyro.conf.arg(metavar="WxH")] = None
    """Size in pixels; default that of the run's images."""
    what: What = "color"
    """Colour, distance or opacity."""
    data: str | None = None
    """Where the cameras of --path test come from; default the data of the fit."""
    fps: int = 30
    """Frames per second of a film."""

    def __post_init__(self) -> None:
        if self.frames is not None and self.frames < 1:
            raise InputError("frames of at least 1", str(self.frames), "change --frames")
        if not 1 <= self.fps <= 240:
            raise InputError("fps between 1 and 240", str(self.fps), "change --fps")


def draw_scene(
    read: ReadOptions,
    model: RadianceModel,
    run: Run,
    options: SceneDrawing,
    out: Path,
    reporter: Reporter,
) -> str:
    """Write frames along a camera path into a film or a folder; says how many."""
    size = image_size(options.size)
    cameras = _same_size(_cameras(options, run, read, model.bounds), size)
    total = len(cameras)
    frames = _counted(_frames(model, cameras, options.what), total, reporter)
    if out.suffix.lower() == ".mp4":
        out.parent.mkdir(parents=True, exist_ok=True)
        write_video(out, frames, options.fps)
    else:
        out.mkdir(parents=True, exist_ok=True)
        for index, image in enumerate(frames):
            write_image(out / f"{index:05d}.png", image)
    return f"{total} frame{'s' if total != 1 else ''} in {out}"


def _cameras(
    options: SceneDrawing, run: Run, read: ReadOptions, bounds: Float[Tensor, "2 3"]
) -> list[Camera]:
    """The cameras of the path asked for, in the user's frame."""
    if options.path == "test":
        data = options.data or str(run.config()["data"])
        found = open_capture(data, read).cameras("test")
        return [found[i] for i in range(len(found))]
    splits = read_cameras(run.file("cameras.json"))
    frames = options.frames or FRAMES
    if options.path == "orbit":
        return camera_paths.orbit(splits["train"], bounds, frames)
    if options.path == "interpolate":
        # A test split is usually a path of its own; training views may lie in any order.
        steps = splits["test"] if len(splits.get("test", [])) > 1 else splits["train"]
        return camera_paths.interpolate(steps, frames)
    if not options.path.endswith(".json"):
        raise InputError(
            "--path orbit, interpolate, test or FILE.json", repr(options.path), "pick one of them"
        )
    return read_path(Path(options.path), splits["train"][0])


def _same_size(cameras: list[Camera], size: tuple[int, int] | None) -> list[Camera]:
    """All frames at the size asked for, else at that of the first."""
    width, height = size or (cameras[0].width, cameras[0].height)
    return [camera_paths.sized(camera, width, height) for camera in cameras]


def _frames(model: RadianceModel, cameras: list[Camera], what: What) -> Iterator[np.ndarray]:
    """One 8-bit image for each camera; depth has the colours of the first view's range."""
    span = None
    for camera in cameras:
        pixels = model.render(camera)
        if what == "color":
            yield to_bytes(pixels.color.clamp(0, 1), model.color_space == "linear")
        elif what == "opacity":
            yield to_bytes(pixels.opacity[..., None], False)
        else:
            span = span or depth_range(pixels.depth, pixels.opacity)
            yield to_bytes(depth_picture(pixels.depth, pixels.opacity, *span), False)


def _counted(frames: Iterator[np.ndarray], total: int, reporter: Reporter) -> Iterator[np.ndarray]:
    for done, frame in enumerate(frames):
        reporter.count("rendered", done + 1, total)
        yield frame
