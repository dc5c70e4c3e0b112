"""The Blender format of NeRF-synthetic: one transforms_SPLIT.json per split."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from polyfield.scenes.base import ReadOptions
from polyfield.scenes.formats.frames import FrameList, PosedImage, list_frames, read_object
from polyfield.scenes.formats.intrinsics import aabb_scale, posed_images
from polyfield.scenes.formats.keys import BLENDER
from polyfield.scenes.formats.points import scene_points
from polyfield.scenes.formats.posed import PosedCapture
from polyfield.scenes.formats.splits import check_each_once, overlap
from polyfield.scenes.formats.whole import Parts, capture_of

SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Blender:
    """A folder with transforms_train.json and, where there are, transforms_val and _test.json.

    Things are taken to be inside the bounds, unless aabb_scale is above 1 or the cameras look
    outward; only images named in the JSON are read. The lens is camera_angle_x, as in
    NeRF-synthetic, or anything a transforms.json may say. A val or test split without frames, or
    none of whose images is there, is no split. D-NeRF's are the same with a time for each frame.
    """

    name: ClassVar[str] = "blender"
    """What it is called on the command line."""
    looks_for: ClassVar[str] = "transforms_train.json"
    """What a path must hold."""

    def found_at(self, path: str | os.PathLike[str]) -> bool:
        """Whether a path is a folder of this format."""
        return os.path.isfile(Path(path) / self.looks_for)

    def open(self, path: str | os.PathLike[str], options: ReadOptions) -> PosedCapture:
        """Parse and check the folder; pixels are read later.

        Args:
            path: the folder.
            options: how to read it.

        Raises:
            InputError: a file, frame, pose, lens or image is not as it should be.
        """
        folder = Path(path)
        splits: dict[str, list[PosedImage]] = {}
        frames: dict[str, FrameList] = {}
        warnings: list[str] = []
        notes: list[str] = []  # on the lens: that of one split is enough
        scale, points = 1.0, None
        for split in SPLITS:
            file = folder / f"transforms_{split}.json"
            if split != "train" and not file.is_file():
                continue
            content = read_object(file)
            found = list_frames(content, file, options, BLENDER, optional=split != "train")
            frames[split] = found
            warnings += found.warnings
            if not found.listed:
                continue
            check_each_once(found.listed, file)
            splits[split], angles = posed_images(found.listed, content, file)
            notes = notes or angles
            if split == "train":
                scale = aabb_scale(content, file)
                points, lines = scene_points(content, splits[split], file, options)
                warnings += lines
        warnings += overlap({split: found.listed for split, found in frames.items()}, folder)
        return capture_of(
            Parts(
                name=folder.resolve().name,
                path=str(path),
                splits=splits,
                missing=[name for found in frames.values() for name in found.missing],
                warnings=[*warnings, *notes],
                points=points,
            ),
            options,
            lambda outward: scale > 1 or outward,
        )
