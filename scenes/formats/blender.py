"""The Blender format of NeRF-synthetic: one transforms_SPLIT.json per split."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from polyfield.scenes.base import ReadOptions
from polyfield.scenes.bounds import scene_bounds
from polyfield.scenes.formats.frames import PosedImage, list_frames, read_object, views_of
from polyfield.scenes.formats.intrinsics import posed_images
from polyfield.scenes.formats.posed import PosedCapture

SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Blender:
    """A folder with transforms_train.json and, where there are, transforms_val and _test.json.

    Everything is taken to be inside the bounds; only pictures named in the JSON are read. The lens
    is camera_angle_x, as in NeRF-synthetic, or anything a transforms.json may say.
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
            splits[split] = posed_images(listed, content, file)
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
