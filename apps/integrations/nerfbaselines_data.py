"""A data set of nerfbaselines as a capture on disk, and its cameras as ours.

Facts of nerfbaselines 1.2.12 (_types.py): `cameras.poses` [n, 3, 4] camera-to-world with OpenCV's
axes (y down, looking along +z), `intrinsics` fx, fy, cx, cy in pixels, `camera_models` numbers,
`distortion_parameters` in OpenCV's order, `images` uint8 or float32 [h, w, 3 or 4].
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch

from polyfield.errors import InputError
from polyfield.files import write_json
from polyfield.scenes.cameras import Camera
from polyfield.scenes.color import from_float
from polyfield.scenes.images import write_image
from polyfield.scenes.lenses.opencv import OpenCV

MODELS = ("pinhole", "opencv")
"""Lenses that are taken, by nerfbaselines' numbers."""
_TERMS = ("k1", "k2", "p1", "p2")


@runtime_checkable
class Cameras(Protocol):
    """What is used of nerfbaselines' cameras: of one, or with a first dimension of all."""

    poses: np.ndarray
    intrinsics: np.ndarray
    camera_models: np.ndarray
    distortion_parameters: np.ndarray
    image_sizes: np.ndarray


def camera_of(camera: Cameras) -> Camera:
    """One camera of theirs as ours, in the data's frame.

    Raises:
        InputError: a lens that isn't one of `MODELS`.
    """
    number = int(camera.camera_models)
    if not 0 <= number < len(MODELS):
        raise InputError(f"cameras {' or '.join(MODELS)}", f"number {number}", "undistort them")
    pose = np.eye(4)
    pose[:3] = np.asarray(camera.poses, np.float64)[:3, :4]
    pose[:3, 1:3] *= -1
    fl_x, fl_y, cx, cy = (float(v) for v in np.asarray(camera.intrinsics))
    width, height = (int(n) for n in np.asarray(camera.image_sizes))
    terms = [float(v) for v in np.asarray(camera.distortion_parameters).reshape(-1)]
    if any(terms[len(_TERMS) :]):
        raise InputError("k1, k2, p1, p2 of distortion", f"{terms}"[:80], "undistort the images")
    lens = OpenCV(*terms[: len(_TERMS)]) if number else OpenCV()
    return Camera(torch.from_numpy(pose), width, height, fl_x, fl_y, cx, cy, lens)


def write_capture(folder: Path, dataset: Any) -> None:
    """A folder with transforms.json and the images, all of them for training.

    Args:
        folder: empty.
        dataset: nerfbaselines', its images loaded.

    Raises:
        InputError: a lens that is not taken, or images of another kind of number.
        WriteError: the system doesn't let it.
    """
    cameras, frames = dataset["cameras"], []
    masks: Sequence[np.ndarray] | None = dataset.get("masks")
    for i, image in enumerate(dataset["images"]):
        camera, name = camera_of(cameras[i]), f"images/{i:05d}.png"
        pixels = np.asarray(image)[: camera.height, : camera.width]
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        write_image(path, _bytes(pixels))
        frame: dict[str, Any] = {
            "file_path": name,
            "w": camera.width,
            "h": camera.height,
            "fl_x": camera.fl_x,
            "fl_y": camera.fl_y,
            "cx": camera.cx,
            "cy": camera.cy,
            "transform_matrix": camera.pose.tolist(),
        }
        if int(cameras[i].camera_models):
            values = np.asarray(cameras[i].distortion_parameters).reshape(-1).tolist()
            frame |= dict(zip(_TERMS, values, strict=False))
        if masks is not None:
            frame["mask_path"] = f"masks/{i:05d}.png"
            (folder / "masks").mkdir(exist_ok=True)
            seen = np.asarray(masks[i])[: camera.height, : camera.width] > 0
            write_image(folder / frame["mask_path"], np.where(seen, 255, 0).astype(np.uint8))
        frames.append(frame)
    names = [frame["file_path"] for frame in frames]
    write_json(folder / "transforms.json", {"train_filenames": names, "frames": frames})


def _bytes(pixels: np.ndarray) -> np.ndarray:
    if pixels.dtype == np.uint8:
        return pixels
    if pixels.dtype.kind != "f":
        raise InputError("images of uint8 or float32", str(pixels.dtype), "convert them")
    return from_float(pixels, np.uint8)
