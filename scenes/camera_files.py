"""Cameras as JSON: a run's cameras.json, and camera paths in the form of transforms.json."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from polyfield.errors import InputError
from polyfield.files import read_json, write_json
from polyfield.scenes.base import Capture, Scene
from polyfield.scenes.cameras import Camera, check_pose
from polyfield.scenes.formats.frames import number

_LENS = ("fl_x", "fl_y", "cx", "cy")
_DISTORTION = ("k1", "k2", "p1", "p2")
_PROBES = 4096


def write_cameras(path: Path, capture: Capture) -> None:
    """Write all poses and lenses of a capture, in the frame of the user's data."""
    splits = {}
    for split in capture.splits:
        cameras = capture.cameras(split)
        splits[split] = [_frame(cameras[i]) for i in range(len(cameras))]
    about = "transform_matrix is camera-to-world in OpenGL axes and the data's own units"
    write_json(path, {"about": about, "splits": splits})


def read_cameras(path: Path) -> dict[str, list[Camera]]:
    """Read what `write_cameras` wrote: cameras by split.

    Raises:
        InputError: no such file, or not one of a run.
    """
    tree = read_json(path)
    if not isinstance(tree, dict) or not isinstance(tree.get("splits"), dict):
        raise InputError("a run's cameras.json", str(path), "fit the run again")
    return {
        split: [_camera(frame, f"camera {i} of {path}", None) for i, frame in enumerate(frames)]
        for split, frames in tree["splits"].items()
    }


def read_path(path: Path, lens: Camera) -> list[Camera]:
    """Read a camera path: frames with a transform_matrix, as in transforms.json.

    Picture size and lens are those of the frame, else of the file, else of `lens`.

    Raises:
        InputError: not such a file, or a pose or lens that is impossible.
    """
    content = read_json(path)
    frames = content.get("frames") if isinstance(content, dict) else None
    if not isinstance(frames, list) or not frames or not all(isinstance(f, dict) for f in frames):
        raise InputError(
            f'a list "frames" of objects in {path}', "none", "write it as in transforms.json"
        )
    shared = {key: value for key, value in content.items() if key != "frames"}
    return [
        _camera({**shared, **frame}, f"frame {i} of {path}", lens) for i, frame in enumerate(frames)
    ]


def fingerprint(capture: Capture, scene: Scene) -> str:
    """A short name of the data itself: changes with a pose, a lens or (nearly surely) a pixel."""
    digest = hashlib.sha256()
    cameras = scene.cameras
    rays, rgba = scene.sample(_PROBES, torch.Generator().manual_seed(0))
    parts = (cameras.poses, cameras.focal, cameras.center, cameras.size, cameras.distortion)
    for tensor in (*parts, capture.bounds, rays.camera, rgba):
        digest.update(tensor.contiguous().numpy().tobytes())
    return digest.hexdigest()[:16]


def _frame(camera: Camera) -> dict[str, Any]:
    return {
        "transform_matrix": camera.pose.tolist(),
        "w": camera.width,
        "h": camera.height,
        **{key: getattr(camera, key) for key in _LENS},
        **dict(zip(_DISTORTION, camera.distortion, strict=True)),
    }


def _camera(values: Mapping[str, Any], where: str, lens: Camera | None) -> Camera:
    """A frame as a camera; `lens` stands for what it doesn't say."""
    matrix = values.get("transform_matrix")
    if matrix is None:
        raise InputError(
            f"a transform_matrix in {where}", "none", "add the 4x4 camera-to-world matrix"
        )
    pose = check_pose(matrix, where)
    width = number(values, "w", where) or (lens.width if lens else 0)
    height = number(values, "h", where) or (lens.height if lens else 0)
    if int(width) != width or int(height) != height or min(width, height) < 1:
        raise InputError(f"w and h of at least 1 in {where}", f"{width}, {height}", "add them")
    focal_x, focal_y = _focal(values, "x", width, where), _focal(values, "y", height, where)
    if lens is not None and focal_x is None and focal_y is None:
        scale = min(width / lens.width, height / lens.height)
        focal_x, focal_y = lens.fl_x * scale, lens.fl_y * scale
    focal_x, focal_y = focal_x or focal_y, focal_y or focal_x
    if focal_x is None or focal_y is None:
        raise InputError(f"fl_x or camera_angle_x in {where}", "neither", "add one")
    cx, cy = number(values, "cx", where), number(values, "cy", where)
    k1, k2, p1, p2 = (number(values, key, where) or 0.0 for key in _DISTORTION)
    return Camera(
        pose,
        int(width),
        int(height),
        focal_x,
        focal_y,
        width / 2 if cx is None else cx,
        height / 2 if cy is None else cy,
        (k1, k2, p1, p2),
    )


def _focal(values: Mapping[str, Any], axis: str, size: float, where: str) -> float | None:
    """A focal length in pixels, from a length or an angle in radians."""
    length = number(values, f"fl_{axis}", where)
    angle = number(values, f"camera_angle_{axis}", where)
    if length is not None or angle is None:
        return length
    if not 0 < angle < math.pi:
        raise InputError(
            f"camera_angle_{axis} between 0 and pi in {where}", f"{angle:g}", "give radians"
        )
    return size / 2 / math.tan(angle / 2)
