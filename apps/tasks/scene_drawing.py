"""Drawing a scene's run: along a camera path, as a film or as images."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
import tyro
from jaxtyping import Float
from torch import Tensor

from polyfield.apps.tasks.scene_frames import SceneFrames, Stored, Truth, What
from polyfield.config import nearest
from polyfield.errors import InputError
from polyfield.files import read_json, write_json
from polyfield.renderers.exports.writing import writing
from polyfield.renderers.films import FPS, Film, Frames, film_of
from polyfield.renderers.radiance_model import RadianceModel
from polyfield.scenes.base import Capture
from polyfield.scenes.camera_files import read_cameras, read_names
from polyfield.scenes.camera_json import camera_object
from polyfield.scenes.camera_paths import SPLITS, RunCameras, path_of, ramped, same_size
from polyfield.scenes.cameras import Camera, Cameras
from polyfield.scenes.path_formats import CameraPath, Source, save_target, write_camera_path
from polyfield.scenes.view_order import Order
from polyfield.scenes.viewpoints import check_frames, parse_field_of_view, parse_size
from polyfield.training.run import Run
from polyfield.training.watchers.console import Reporter

ABOUT = "render.json"
"""Beside frames that are drawn one by one: what they are of."""


@dataclass(frozen=True)
class SceneDrawing:
    """Options of `render` for a scene."""

    path: Annotated[str, tyro.conf.arg(metavar="orbit|spiral|interpolate|train|test|FILE.json")] = (
        "orbit"
    )
    """Around the scene, before it, through its cameras, those of a split, or a file: as
    transforms.json, of nerfstudio or of instant-ngp."""
    frames: int | None = None
    """Number of frames of orbit, interpolate (60) and spiral (120)."""
    size: Annotated[str | None, tyro.conf.arg(metavar="WxH")] = None
    """Size in pixels; default that of the run's images."""
    what: What = "color"
    """Colour, distance, opacity, normals, or a split's photographs beside their views."""
    data: str | None = None
    """The run's data, where a camera path or photographs need it and it was moved."""
    fps: float | None = None
    """Frames per second of a film; default what the camera path says, else 30, of a GIF 20."""
    through: Annotated[str | None, tyro.conf.arg(metavar="SPLIT[:0,5,10-20]")] = None
    """Views that interpolate goes through; default those of the test, else of the training."""
    order: Order = "capture"
    """Of these views: as listed, or from each to the nearest."""
    fov: Annotated[str | None, tyro.conf.arg(metavar="DEGREES[:DEGREES]")] = None
    """Vertical field of view; two of them: at the first frame and at the last."""
    save_path: Annotated[
        str | None, tyro.conf.arg(metavar="[nerfstudio:|instant-ngp:]FILE.json")
    ] = None
    """Also write the camera path, as transforms.json or in the form of another program."""
    pixels: Stored = "png"
    """Of a folder's images: 8 bits to look at, or values as 16-bit PNG or EXR (see the docs)."""
    resume: bool = False
    """Write each frame of a folder as it is drawn, and keep those that are there."""
    appearance: Annotated[str | None, tyro.conf.arg(metavar="IMAGE")] = None
    """Training image whose exposure the colours have; default the mean of all."""

    def __post_init__(self) -> None:
        if self.frames is not None:
            check_frames(self.frames, "--frames")
        if self.size is not None:
            parse_size(self.size)
        if self.fov is not None:
            parse_field_of_view(self.fov)
        if self.save_path is not None:
            save_target(self.save_path)
        path_of(self.path, self.through, self.order)
        if self.what == "truth" and self.path not in SPLITS:
            raise InputError(
                f"--path {' or '.join(SPLITS)} with --what truth", self.path, "pick one of them"
            )
        if self.what == "truth" and (self.size is not None or self.fov is not None):
            got = "--size" if self.size is not None else "--fov"
            raise InputError("photographs at their own size for --what truth", got, "leave it out")


def film_at(options: SceneDrawing, out: Path, usual_fps: float | None = None) -> Film:
    """What writes the frames.

    Raises:
        InputError: `out` is no place for them, or values or --resume are asked of a film.
    """
    found = film_of(out, options.fps, usual_fps)
    if not found.is_film:
        return Frames("exr" if options.pixels == "exr" else "png")
    for flag, asked in (("--resume", options.resume), ("--pixels", options.pixels != "png")):
        if asked:
            raise InputError(f"a folder for --out with {flag}", str(out), f"leave out {flag}")
    return found


def check_out(options: SceneDrawing, out: Path, overwrite: bool) -> None:
    """Raise before any work if the frames can't be written there.

    Raises:
        InputError: the place is taken, or of another form.
    """
    if options.resume and overwrite:
        raise InputError("--resume or --overwrite", "both", "leave one of them out")
    film = film_at(options, out)
    if options.resume and (out / ABOUT).is_file():
        return
    film.check(out, overwrite)


def draw_scene(
    model: RadianceModel,
    run: Run,
    options: SceneDrawing,
    out: Path,
    reporter: Reporter,
    capture: Capture | None = None,
) -> str:
    """Write frames along a camera path into a film or a folder; says how many.

    Args:
        model: What is drawn.
        run: Its folder.
        options: What a user chose.
        out: A film or a folder, checked.
        reporter: Told how far it is.
        capture: The data with the run's splits, for photographs beside the views.

    Raises:
        InputError: the path or the photographs can't be had.
        WriteError: the system doesn't let it be written.
    """
    source = Path(options.data or str(run.config()["data"]))
    known = RunCameras(read_cameras(run.file("cameras.json")), model.bounds, source)
    found = path_of(options.path, options.through, options.order).cameras(known, options.frames)
    for line in found.warnings:
        reporter.warn(line)
    size = None if options.size is None else parse_size(options.size)
    ramp = None if options.fov is None else parse_field_of_view(options.fov)
    cameras = found.cameras if ramp is None else ramped(found.cameras, *ramp)
    cameras = cameras if capture is not None else same_size(cameras, size)
    Cameras.stack(cameras)  # A lens that can't be undone is told before anything is written.
    truth = None if capture is None else _truth(capture, options.path, model.background, cameras)
    image = None if options.appearance is None else _image(model, run, options.appearance)
    drawn = SceneFrames(model, cameras, options.what, options.pixels, truth, image)
    if options.save_path is not None:
        form, file = save_target(options.save_path)
        written = CameraPath(list(cameras), options.fps or found.fps or FPS)
        for line in write_camera_path(form, written, Source(file, cameras[0], data=source)):
            reporter.warn(line)
    film = film_at(options, out, found.fps)
    if options.resume:
        _go_on(drawn, run, out, reporter)
    else:
        film.write(_counted(drawn, reporter), out)
    if options.what == "depth" and options.pixels == "png16":
        about = (
            "distance along the ray = value * depth_unit_scale_factor, the data's units; 0: none"
        )
        unit = {"about": about, "depth_unit_scale_factor": drawn.depth_step}
        write_json(out / "depth.json", unit)
    return f"{len(cameras)} frame{'s' if len(cameras) != 1 else ''} in {out}"


def _go_on(drawn: SceneFrames, run: Run, out: Path, reporter: Reporter) -> None:
    """Draw the frames that a folder lacks, each written as it is drawn.

    Raises:
        InputError: the folder's frames are of another run or path.
    """
    stat = run.file("model.safetensors").stat()
    about = [
        [stat.st_size, stat.st_mtime_ns],
        [drawn.what, drawn.stored, drawn.image],
        [camera_object(camera) for camera in drawn.cameras],
    ]
    key = hashlib.sha256(json.dumps(about).encode()).hexdigest()
    if (out / ABOUT).is_file():
        content = read_json(out / ABOUT)
        if not isinstance(content, dict) or content.get("of") != key:
            raise InputError(
                f"frames of this run and path in {out}",
                "frames of others",
                "give --overwrite in place of --resume, or choose another --out",
            )
    with writing(out):
        out.mkdir(parents=True, exist_ok=True)
    write_json(out / ABOUT, {"about": "what the frames are of", "of": key})
    film, total = Frames("exr" if drawn.stored == "exr" else "png"), len(drawn.cameras)
    for index in range(total):
        if not film.is_whole(out, index):
            film.write_one(drawn.frame(index), out, index)
        reporter.count("rendered", index + 1, total)


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


def _counted(drawn: SceneFrames, reporter: Reporter) -> Iterator[np.ndarray]:
    total = len(drawn.cameras)
    for index in range(total):
        frame = drawn.frame(index)
        reporter.count("rendered", index + 1, total)
        yield frame


def _truth(
    capture: Capture, split: str, background: Float[Tensor, "3"], cameras: Sequence[Camera]
) -> Truth:
    """The photographs of a split over a background.

    Raises:
        InputError: there are others than the run had.
    """
    scene = capture.scene(split)
    sizes = [(camera.width, camera.height) for camera in cameras]
    if [tuple(size) for size in scene.cameras.size.tolist()] != sizes:
        raise InputError(
            f"the {len(sizes)} {split} images that the run had in {capture.path}",
            f"{len(scene)} of them, or other sizes",
            "give --data where they are",
        )

    def photograph(index: int) -> Float[Tensor, "h w 3"]:
        rgba = scene.pixels(index)
        color = rgba[..., :3] * rgba[..., 3:] + background * (1 - rgba[..., 3:])
        mask = scene.mask(index)
        shown = color if mask is None else torch.where(mask[..., None], color, color / 4)
        return shown.clamp(0, 1)

    return photograph
