"""Drawing a scene's run: along a camera path, as a film or as images."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import tyro

from polyfield.config import nearest
from polyfield.errors import InputError
from polyfield.renderers.colormaps import depth_picture, depth_range
from polyfield.renderers.exports import exporter_of
from polyfield.renderers.model import RadianceModel
from polyfield.scenes.camera_files import read_cameras, read_names
from polyfield.scenes.camera_paths import RunCameras, path_of, same_size
from polyfield.scenes.cameras import Camera
from polyfield.scenes.viewpoints import check_frames, parse_size
from polyfield.training.figures import to_bytes
from polyfield.training.run import Run
from polyfield.training.watchers.console import Reporter

What = Literal["color", "depth", "opacity"]


@dataclass(frozen=True)
class SceneDrawing:
    """Options of `render` for a scene."""

    path: Annotated[str, tyro.conf.arg(metavar="orbit|interpolate|test|FILE.json")] = "orbit"
    """Around the scene, through its cameras, those of a split, or a file: as transforms.json, of
    nerfstudio or of instant-ngp."""
    frames: int | None = None
    """Number of frames of orbit and interpolate; default 60."""
    size: Annotated[str | None, tyro.conf.arg(metavar="WxH")] = None
    """Size in pixels; default that of the run's images."""
    what: What = "color"
    """Colour, distance or opacity."""
    data: str | None = None
    """The run's data, where a camera path needs it and it was moved."""
    fps: float | None = None
    """Frames per second of a film; default what the camera path says, else 30."""
    appearance: Annotated[str | None, tyro.conf.arg(metavar="IMAGE")] = None
    """Training image whose exposure the colours have; default the mean of all."""

    def __post_init__(self) -> None:
        if self.frames is not None:
            check_frames(self.frames, "--frames")
        if self.size is not None:
            parse_size(self.size)
        path_of(self.path)


def draw_scene(
    model: RadianceModel, run: Run, options: SceneDrawing, out: Path, reporter: Reporter
) -> str:
    """Write frames along a camera path into a film or a folder; says how many."""
    source = Path(options.data or str(run.config()["data"]))
    known = RunCameras(read_cameras(run.file("cameras.json")), model.bounds, source)
    found = path_of(options.path).cameras(known, options.frames)
    for line in found.warnings:
        reporter.warn(line)
    size = None if options.size is None else parse_size(options.size)
    cameras = same_size(found.cameras, size)
    image = None if options.appearance is None else _image(model, run, options.appearance)
    frames = _counted(_frames(model, cameras, options.what, image), len(cameras), reporter)
    exporter_of(out, options.fps, found.fps).write(frames, out)
    return f"{len(cameras)} frame{'s' if len(cameras) != 1 else ''} in {out}"


def _image(model: RadianceModel, run: Run, name: str) -> int:
    """The number of a training image.

    Raises:
        InputError: the run learned nothing of single images, or has none of that name.
    """
    if model.corrections.appearance is None:
        raise InputError(
            "a run that learned how its images differ for --appearance",
            str(run.path),
            "fit it with --appearance exposure or affine",
        )
    names = read_names(run.file("cameras.json")).get("train", ())
    if name not in names:
        raise InputError(
            f"a training image of {run.path}", repr(name), nearest(name, names, "see cameras.json")
        )
    return names.index(name)


def _frames(
    model: RadianceModel, cameras: list[Camera], what: What, image: int | None
) -> Iterator[np.ndarray]:
    """One 8-bit image for each camera; depth has the colours of the first view's range."""
    span = None
    for camera in cameras:
        pixels = model.render(camera, image=image)
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
