"""A COLMAP model -> cameras in our axes, and its points. Read with pycolmap, the extra `capture`.

COLMAP's poses are world-to-camera in OpenCV's axes; its pixel coordinates are ours: the centre of
the first pixel is (0.5, 0.5).
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64

from polyfield.errors import InputError, shown
from polyfield.files import check_file, one_line
from polyfield.quiet import quiet_stderr
from polyfield.scenes.cameras import Camera
from polyfield.scenes.formats.colmap_files import FILES, check_whole, ending
from polyfield.scenes.lens_keys import MODELS, SAME
from polyfield.scenes.lenses import LENSES
from polyfield.scenes.sfm.library import pycolmap

FEWEST = 2
"""Observations of points below which the pose of an image is not believed."""
ONE_FOCAL = ("RADIAL", "RADIAL_FISHEYE")
"""Models with one focal length beside those called SIMPLE_."""
_FLIP = np.diag([1.0, -1.0, -1.0, 1.0])


@dataclass(frozen=True, eq=False)
class ColmapImage:
    """An image of a model."""

    name: str
    """Below the folder of images, with forward slashes."""
    camera: Camera
    """At the size that COLMAP saw."""


@dataclass(frozen=True, eq=False)
class ColmapModel:
    """What is taken from a model."""

    images: list[ColmapImage]
    """By name; those with a pose that is believed."""
    points: Float64[np.ndarray, "n 3"]
    """Its points."""
    dropped: list[str]
    """Names of images with fewer than `FEWEST` observations."""


def read_model(folder: Path) -> ColmapModel:
    """Read a model.

    Args:
        folder: with cameras, images and, where there are, points3D; .bin or .txt.

    Raises:
        MissingBackend: pycolmap is not installed.
        InputError: not such a model, or a camera or pose that can't be.
    """
    model = _reconstruction(folder)
    points = np.array([point.xyz for point in model.points3D.values()], np.float64).reshape(-1, 3)
    shots: list[ColmapImage] = []
    dropped: list[str] = []
    lenses = {number: _intrinsics(camera, folder) for number, camera in model.cameras.items()}
    for image in sorted(model.images.values(), key=lambda image: str(image.name)):
        if not image.has_pose:
            continue
        if len(points) and image.num_points3D < FEWEST:
            dropped.append(str(image.name))
            continue
        if image.camera_id not in lenses:
            raise InputError(
                f"a camera of each image of {shown(folder)}", str(image.name), "export it again"
            )
        world_to_camera = np.vstack([image.cam_from_world().matrix(), [0, 0, 0, 1]])
        pose = np.linalg.inv(world_to_camera) @ _FLIP
        name = str(image.name).replace("\\", "/")
        shots.append(ColmapImage(name, Camera(pose, *lenses[image.camera_id])))
    if not shots:
        raise InputError(f"images with a pose in {shown(folder)}", "none", "map the capture again")
    return ColmapModel(shots, points[np.isfinite(points).all(1)], dropped)


def _reconstruction(folder: Path) -> Any:
    """The model as pycolmap has it."""
    library = pycolmap("COLMAP's models")
    suffix = ending(folder)
    if suffix == ".bin":
        check_whole(folder)
    model = library.Reconstruction()
    try:
        # Without the files of rigs and frames: each image has its pose by itself.
        with quiet_stderr(), tempfile.TemporaryDirectory() as alone:
            for name in FILES:
                file = folder / f"{name}{suffix}"
                check_file(file, "a COLMAP model")
                os.symlink(file.absolute(), Path(alone) / file.name)
            read = model.read_binary if suffix == ".bin" else model.read_text
            read(alone)
    except InputError:
        raise
    except Exception as error:  # whatever its C++ throws at damaged files
        raise InputError(
            f"a COLMAP model at {shown(folder)}", one_line(error)[:100], "export it again"
        ) from None
    return model


def _intrinsics(camera: Any, folder: Path) -> Sequence[Any]:
    """Width, height, focal lengths, centre and lens of a COLMAP camera.

    Raises:
        InputError: a camera model that we don't have.
    """
    name, params = camera.model.name, [float(value) for value in camera.params]
    kind = LENSES.get(SAME.get(name, name))
    if kind is None:
        raise InputError(
            f"a camera model of {', '.join(MODELS)} in {shown(folder)}",
            name,
            "undistort the images: colmap image_undistorter",
        )
    size = (int(camera.width), int(camera.height))
    if not kind.plane.has_axis:
        # A panorama of COLMAP has its size for parameters.
        return (*size, size[0] / 2, float(size[1]), size[0] / 2, size[1] / 2, kind())
    if name.startswith("SIMPLE_") or name in ONE_FOCAL:
        params.insert(0, params[0])
    return (*size, *params[:4], kind(*params[4:]))
