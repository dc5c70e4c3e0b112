"""A run's cameras.json: poses and lenses by split, in the frame of the user's data."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from polyfield.errors import InputError
from polyfield.files import read_json, write_json
from polyfield.scenes.base import Capture, Scene
from polyfield.scenes.camera_json import camera_object, read_camera
from polyfield.scenes.cameras import Camera, Cameras
from polyfield.scenes.lenses.opencv import OpenCV
from polyfield.scenes.similarity import Similarity

_PROBES = 4096


def write_capture(path: Path, capture: Capture) -> None:
    """Write all poses and lenses of a capture, in the frame of the user's data."""
    views = {split: capture.cameras(split) for split in capture.splits}
    names = {split: capture.names(split) for split in capture.splits}
    write_cameras(path, views, names, capture.bounds)


def write_cameras(
    path: Path,
    views: Mapping[str, Cameras],
    names: Mapping[str, Sequence[str]],
    bounds: Float[Tensor, "2 3"],
) -> None:
    """Write poses and lenses by split, and the names of their images.

    Args:
        path: a run's cameras.json.
        views: written in the frame of the user's data.
        names: as many of each split as there are cameras.
        bounds: of the scene, in the cameras' frame.
    """
    splits = {}
    for split, cameras in views.items():
        splits[split] = [camera_object(cameras[i]) for i in range(len(cameras))]
        for entry, time in zip(splits[split], cameras.times or (), strict=False):
            entry["time"] = time
    about = "transform_matrix is camera-to-world in OpenGL axes and the data's own units"
    box = Similarity.of_box(next(iter(views.values())).frame.users(bounds)).tree()
    kept = {split: list(part) for split, part in names.items()}
    write_json(path, {"about": about, "normalisation": box, "splits": splits, "names": kept})


def read_names(path: Path) -> dict[str, tuple[str, ...]]:
    """Names of the views of each split, as the data has them; none in files of the first edition.

    Raises:
        InputError: no such file, or not one of a run.
    """
    tree = read_json(path)
    names = tree.get("names", {}) if isinstance(tree, dict) else None
    if not isinstance(names, dict) or not all(
        isinstance(part, list) and all(isinstance(name, str) for name in part)
        for part in names.values()
    ):
        raise InputError("a run's cameras.json", str(path), "fit the run again")
    return {split: tuple(part) for split, part in names.items()}


def read_cameras(path: Path) -> dict[str, list[Camera]]:
    """Read what `write_cameras` wrote: cameras by split.

    Raises:
        InputError: no such file, or not one of a run: another shape, words or NaN for numbers,
            poses that can't be; the message names the camera.
    """
    tree = read_json(path)
    splits = tree.get("splits") if isinstance(tree, dict) else None
    if not isinstance(splits, dict) or not all(isinstance(v, list) for v in splits.values()):
        raise InputError("a run's cameras.json", str(path), "fit the run again")
    found: dict[str, list[Camera]] = {}
    for split, frames in splits.items():
        found[split] = []
        for i, frame in enumerate(frames):
            where = f"{split} camera {i} of {path}"
            if not isinstance(frame, dict):
                raise InputError(f"an object for {where}", repr(frame)[:40], "fit the run again")
            found[split].append(read_camera(frame, {}, where))
    return found


def fingerprint(capture: Capture, scene: Scene) -> str:
    """A short name of the data itself: changes with a pose, a lens or (nearly surely) a pixel."""
    digest = hashlib.sha256()
    cameras = scene.cameras
    rays, rgba = scene.sample(_PROBES, torch.Generator().manual_seed(0))
    parts = (cameras.poses, cameras.focal, cameras.center, cameras.size, cameras.coefficients)
    for tensor in (*parts, capture.bounds, rays.camera, rgba):
        digest.update(tensor.contiguous().numpy().tobytes())
    if not cameras.frame.is_identity:
        digest.update(repr(cameras.frame).encode())
    others = [lens.model for lens in cameras.lenses if lens.model != OpenCV.model]
    digest.update("".join(others).encode())
    return digest.hexdigest()[:16]
