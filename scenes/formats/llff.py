"""LLFF: poses_bounds.npy beside images/, forward-facing captures and others."""

from __future__ import annotations

import io
import os
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from jaxtyping import Float64

from polyfield.errors import InputError, shown
from polyfield.files import one_line, read_bytes
from polyfield.scenes.base import ReadOptions
from polyfield.scenes.bounds import MARGIN
from polyfield.scenes.cameras import PINHOLE, Camera
from polyfield.scenes.checks import check_lens, check_pose
from polyfield.scenes.formats.posed import PosedCapture
from polyfield.scenes.formats.shots import (
    Shot,
    image_names,
    images_folder,
    posed_shots,
    split_every_nth,
)
from polyfield.scenes.formats.whole import Parts, capture_of, show_a_thing

FILE = "poses_bounds.npy"
LARGEST = 1 << 28
"""Bytes of the file that are read at most."""


@dataclass(frozen=True)
class Llff:
    """poses_bounds.npy and images/ or images_N/: the images by name are its rows.

    A row is a 3x5 matrix, camera-to-world with columns down, right, back, position and (height,
    width, focal length), and the nearest and farthest depth of what the camera sees. Every
    `test_every`-th image from the first is for the test. Things exist outside the bounds unless
    most images have alpha. The box is what most cameras see at the middle of their depths, where
    disparity is the mean of the nearest's and the farthest's.
    """

    name: ClassVar[str] = "llff"
    """What it is called on the command line."""
    looks_for: ClassVar[str] = FILE
    """What a path must hold."""

    def found_at(self, path: str | os.PathLike[str]) -> bool:
        """Whether a path is a folder of this format."""
        return os.path.isfile(Path(path) / FILE)

    def open(self, path: str | os.PathLike[str], options: ReadOptions) -> PosedCapture:
        """Read the file and the headers of its images; pixels are read later.

        Args:
            path: the folder.
            options: how to read it.

        Raises:
            InputError: the file or an image is not as it should be.
        """
        root = Path(path)
        table = _read(root / FILE)
        there = images_folder(root)
        if there is None:
            raise InputError(
                f"a folder images or images_8 beside {shown(root / FILE)}", "neither", "add it"
            )
        folder, notes = there
        names = image_names(folder)
        if len(names) != len(table):
            raise InputError(
                f"one image in {shown(folder)} for each of the {len(table)} rows of {FILE}",
                f"{len(names)} images",
                "its rows are those of the images by name: add the missing ones",
            )
        cameras = [_camera(row, f"row {i} of {root / FILE}") for i, row in enumerate(table)]
        shots = [Shot(name, camera) for name, camera in zip(names, cameras, strict=True)]
        posed = posed_shots(shots, folder, root / FILE, options)
        return capture_of(
            Parts(
                name=root.resolve().name,
                path=str(path),
                splits=split_every_nth(posed.images, options, root),
                missing=posed.missing,
                warnings=[*notes, *posed.warnings],
                box=_box(cameras, table[:, 15:]),
            ),
            options,
            lambda _: not show_a_thing(posed.images),
        )


def _read(file: Path) -> Float64[np.ndarray, "n 17"]:
    """The rows of the file.

    Raises:
        InputError: not such a file, or depths that can't be.
    """
    content = read_bytes(file, "poses and bounds", LARGEST)
    try:
        table = np.load(io.BytesIO(content), allow_pickle=False)
        table = np.asarray(table, np.float64)
    except (ValueError, TypeError, OSError, EOFError) as error:
        raise InputError(
            f"an array of numbers in {shown(file)}", one_line(error)[:80], "write it again"
        ) from None
    if table.ndim != 2 or table.shape[1] != 17 or not len(table):
        raise InputError(
            f"rows of 17 numbers in {shown(file)}",
            f"shape {'x'.join(map(str, table.shape))}",
            "write 3x5 poses and two depths for each image",
        )
    near, far = table[:, 15], table[:, 16]
    good = np.isfinite(near) & np.isfinite(far) & (near > 0) & (far > near)
    if not good.all():
        row = int((~good).argmax())
        raise InputError(
            f"0 < nearest < farthest depth in row {row} of {shown(file)}",
            f"{near[row]:g} and {far[row]:g}",
            "estimate them again, or remove that image and its row",
        )
    return table


def _camera(row: Float64[np.ndarray, "17"], where: str) -> Camera:
    """The camera of a row, in our axes, at the size that it is for.

    Raises:
        InputError: not a rigid motion, or an impossible size or focal length.
    """
    matrix = row[:15].reshape(3, 5)
    down, right, back, position, (height, width, focal) = matrix.T
    pose = check_pose(np.stack([right, -down, back, position], 1), where)
    if not (np.isfinite([height, width]).all() and height % 1 == 0 and width % 1 == 0):
        raise InputError(
            f"a whole height and width in {where}", f"{height:g} and {width:g}", "correct them"
        )
    size, middle = (int(width), int(height)), (width / 2, height / 2)
    check_lens(size, (focal, focal), middle, PINHOLE, where)
    return Camera(pose, *size, focal, focal, *middle)


def _box(cameras: list[Camera], depths: Float64[np.ndarray, "n 2"]) -> Float64[np.ndarray, "2 3"]:
    """A cube around what the cameras see at the middle of their depths."""
    middle = 2 / (1 / depths).sum(1)
    poses = np.stack([camera.pose.numpy() for camera in cameras])
    center = np.median(poses[:, :3, 3] - middle[:, None] * poses[:, :3, 2], axis=0)
    wider = np.array([max(c.width / c.fl_x, c.height / c.fl_y) / 2 for c in cameras])
    half = MARGIN * float(np.median(middle * wider))
    return np.stack([center - half, center + half])
