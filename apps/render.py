"""`polyfield render`: a run seen along a camera path, as a video or as pictures."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import tyro
from jaxtyping import Float
from torch import Tensor

from polyfield.apps import config_cli
from polyfield.config import from_tree
from polyfield.devices import resolve
from polyfield.errors import InputError
from polyfield.machine import use_threads
from polyfield.renderers.colormaps import depth_picture, depth_range
from polyfield.renderers.exports import exporter_of
from polyfield.renderers.model import RadianceModel, SignalModel
from polyfield.scenes import camera_paths, open_capture
from polyfield.scenes.base import ReadOptions
from polyfield.scenes.camera_files import read_cameras
from polyfield.scenes.cameras import Camera
from polyfield.scenes.path_formats import Source, read_camera_path
from polyfield.training.console import Reporter
from polyfield.training.figures import to_bytes
from polyfield.training.run import Run, load

What = Literal["color", "depth", "opacity"]

FRAMES = 60
"""Frames of a path that has no number of its own."""


@dataclass(frozen=True)
class Flags:
    """Draw a run: a scene along a camera path, a picture at another size."""

    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """Folder of the run."""
    out: Annotated[Path, tyro.conf.arg(metavar="FILE.mp4|DIR")]
    """A video, or a folder for 00000.png and so on."""
    path: Annotated[str, tyro.conf.arg(metavar="orbit|interpolate|test|FILE.json")] = "orbit"
    """Around the scene, through its cameras, its test cameras, or a file like transforms.json."""
    frames: int | None = None
    """Number of frames of orbit and interpolate; default 60."""
    size: Annotated[str | None, tyro.conf.arg(metavar="WxH")] = None
    """Picture size in pixels; default that of the run's pictures."""
    what: What = "color"
    """Colour, distance or opacity."""
    data: str | None = None
    """Where the cameras of --path test come from; default the data of the fit."""
    fps: int = 30
    """Frames per second of a video."""
    threads: int | None = None
    """CPU threads."""
    device: Annotated[str, tyro.conf.arg(metavar="auto|cpu|cuda[:N]")] = "auto"
    """Where to compute; auto is an NVIDIA GPU where there is one."""
    overwrite: bool = False
    """Replace what is at --out."""
    quiet: bool = False
    """Print nothing but warnings and errors."""


def main(arguments: Sequence[str]) -> None:
    """The command line."""
    given = config_cli.parse(Flags, arguments, "render")
    use_threads(given.threads)
    device = resolve(given.device)
    size = _size(given.size)
    _check_out(given.out, given.overwrite)
    if given.frames is not None and given.frames < 1:
        raise InputError("frames of at least 1", str(given.frames), "change --frames")
    if not 1 <= given.fps <= 240:
        raise InputError("fps between 1 and 240", str(given.fps), "change --fps")
    run = Run(given.run)
    config = run.config()
    model = load(run.path).to(device)
    with Reporter(given.quiet) as reporter:
        if isinstance(model, SignalModel):
            pictures, total = iter([_picture(model, size)]), 1
        else:
            cameras = _cameras(given, run, config, model.bounds)
            cameras = _same_size(cameras, size)
            pictures, total = _frames(model, cameras, given.what), len(cameras)
        _write(given.out, _counted(pictures, total, reporter), given.fps)
        reporter.say(f"{total} frame{'s' if total != 1 else ''} in {given.out}")


def _cameras(
    given: Flags, run: Run, config: dict[str, object], bounds: Float[Tensor, "2 3"]
) -> list[Camera]:
    """The cameras of the path asked for, in the user's frame."""
    if given.path == "test":
        read = from_tree(ReadOptions, config["read"], "read")
        found = open_capture(given.data or str(config["data"]), read).cameras("test")
        return [found[i] for i in range(len(found))]
    splits = read_cameras(run.file("cameras.json"))
    frames = given.frames or FRAMES
    if given.path == "orbit":
        return camera_paths.orbit(splits["train"], bounds, frames)
    if given.path == "interpolate":
        # A test split is usually a path of its own; training views may lie in any order.
        steps = splits["test"] if len(splits.get("test", [])) > 1 else splits["train"]
        return camera_paths.interpolate(steps, frames)
    if not given.path.endswith(".json"):
        raise InputError(
            "--path orbit, interpolate, test or FILE.json", repr(given.path), "pick one of them"
        )
    return read_camera_path(Source(Path(given.path), splits["train"][0], frames)).cameras


def _same_size(cameras: list[Camera], size: tuple[int, int] | None) -> list[Camera]:
    """All frames at the size asked for, else at that of the first."""
    width, height = size or (cameras[0].width, cameras[0].height)
    return [camera_paths.sized(camera, width, height) for camera in cameras]


def _frames(model: RadianceModel, cameras: list[Camera], what: What) -> Iterator[np.ndarray]:
    """One 8-bit picture for each camera; depth has the colours of the first view's range."""
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


def _picture(model: SignalModel, size: tuple[int, int] | None) -> np.ndarray:
    """A picture run at a size, alpha left out."""
    values = model.render(*(size or (model.width, model.height)))
    color = values[..., : 1 if values.shape[-1] < 3 else 3]
    return to_bytes(color, model.color_space == "linear")


def _counted(
    pictures: Iterator[np.ndarray], total: int, reporter: Reporter
) -> Iterator[np.ndarray]:
    for done, picture in enumerate(pictures):
        reporter.count("rendered", done + 1, total)
        yield picture


def _write(out: Path, pictures: Iterator[np.ndarray], fps: int) -> None:
    """A video, or a folder of pictures."""
    exporter_of(out, usual_fps=fps).write(pictures, out)


def _check_out(out: Path, overwrite: bool) -> None:
    """Raise if --out is taken, or is neither a video nor a folder."""
    if out.suffix and out.suffix.lower() != ".mp4" and not out.is_dir():
        raise InputError("--out FILE.mp4 or a folder", str(out), "end it with .mp4 or nothing")
    taken = any(out.iterdir()) if out.is_dir() else out.exists()
    if taken and not overwrite:
        raise InputError(
            "a new file or folder for --out",
            f"{out}, which is there",
            "add --overwrite or choose another",
        )


def _size(text: str | None) -> tuple[int, int] | None:
    """A size in words, such as 640x480."""
    if text is None:
        return None
    found = re.fullmatch(r"(\d+)x(\d+)", text)
    width, height = (int(found[1]), int(found[2])) if found else (0, 0)
    if not (0 < width <= 65536 and 0 < height <= 65536):
        raise InputError("--size WxH in pixels", repr(text), "give for instance 640x480")
    return width, height
