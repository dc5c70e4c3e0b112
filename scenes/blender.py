"""The Blender format of NeRF-synthetic: one transforms_SPLIT.json per split, one angle, no lens."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path

from polyfield.encodings.errors import InputError
from polyfield.scenes.base import ReadOptions
from polyfield.scenes.bounds import scene_bounds
from polyfield.scenes.cameras import Camera
from polyfield.scenes.checks import check_pose
from polyfield.scenes.frames import (
    Listed,
    PosedImage,
    check_one_size,
    list_frames,
    matrix_of,
    number,
    read_object,
    views_of,
)
from polyfield.scenes.posed import PosedCapture

SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Blender:
    """A folder with transforms_train.json and, where there are, transforms_val and _test.json.

    Everything is taken to be inside the bounds; only pictures named in the JSON are read.
    """

    def build(self, path: str | os.PathLike[str], options: ReadOptions) -> PosedCapture:
        """Parse and check the folder; pixels are read later.

        Args:
            path: the folder.
            options: how to read it.

        Raises:
            InputError: a file, frame, pose, lens or picture is not as it should be.
        """
        folder = Path(path)
        splits: dict[str, list[PosedImage]] = {}
        skipped: list[str] = []
        warnings: list[str] = []
        is_float = False
        for split in SPLITS:
            file = folder / f"transforms_{split}.json"
            if split != "train" and not file.is_file():
                continue
            content = read_object(file)
            listed, missing, notes = list_frames(content, file, options)
            check_one_size(listed, file)
            angle = _camera_angle(content, file)
            splits[split] = [_posed(frame, angle) for frame in listed]
            skipped += missing
            warnings += notes
            is_float = is_float or listed[0].info.is_float
        views = {split: views_of(images, options) for split, images in splits.items()}
        return PosedCapture(
            name=folder.resolve().name,
            path=str(path),
            bounds=scene_bounds(views["train"].cameras, options),
            unbounded=False,
            color_space="linear" if is_float else "srgb",
            views=views,
            frames_skipped=skipped,
            warnings=warnings,
        )


def _camera_angle(content: dict[str, object], file: Path) -> float:
    """The horizontal field of view in radians."""
    angle = number(content, "camera_angle_x", str(file))
    if angle is None:
        raise InputError(
            f"camera_angle_x in {file}", "none", "add the horizontal field of view in radians"
        )
    if not 0 < angle < math.pi:
        raise InputError(
            f"camera_angle_x between 0 and pi (radians) in {file}",
            f"{angle:g}",
            "give the horizontal field of view in radians",
        )
    return angle


def _posed(listed: Listed, angle: float) -> PosedImage:
    """A frame with its camera: square pixels, axis in the middle."""
    width, height = listed.info.width, listed.info.height
    pose = check_pose(matrix_of(listed), listed.where)
    focal = width / 2 / math.tan(angle / 2)
    camera = Camera(pose, width, height, focal, focal, width / 2, height / 2)
    return PosedImage(listed.name, listed.image, camera)
