"""transforms.json as instant-ngp and nerfstudio write it: one file, one list of frames."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from polyfield.scenes.base import ReadOptions
from polyfield.scenes.formats.frames import list_frames, read_object
from polyfield.scenes.formats.intrinsics import aabb_scale, posed_images
from polyfield.scenes.formats.keys import TRANSFORMS
from polyfield.scenes.formats.points import scene_points
from polyfield.scenes.formats.posed import PosedCapture
from polyfield.scenes.formats.splits import check_each_once, named_splits, train_and_test
from polyfield.scenes.formats.whole import Parts, capture_of, show_a_thing

FILE = "transforms.json"


@dataclass(frozen=True)
class Transforms:
    """A transforms.json, or a folder with one: shared or per-frame lenses of any model.

    The splits are those of train_filenames, val_filenames and test_filenames; without these, frames
    with an image, sorted by file_path, give every `test_every`-th from the first to the test
    split. Things exist outside the bounds unless most images have alpha and aabb_scale is 1 or
    absent. The bounds are automatic: instant-ngp's unit cube (user's -1.515 to 1.515) holds a
    quarter of the surfaces of its own fox, the box that the cameras look at nine tenths. The user's
    frame is the file's own: applied_transform and applied_scale say what was done before.
    """

    name: ClassVar[str] = "transforms"
    """What it is called on the command line."""
    looks_for: ClassVar[str] = "transforms.json"
    """What a path must hold."""

    def found_at(self, path: str | os.PathLike[str]) -> bool:
        """Whether a path is such a file or its folder."""
        place = Path(path)
        itself = place.suffix.lower() == ".json" and os.path.isfile(place)
        return itself or os.path.isfile(place / FILE)

    def open(self, path: str | os.PathLike[str], options: ReadOptions) -> PosedCapture:
        """Parse and check the file; pixels are read later.

        Args:
            path: the file or its folder.
            options: how to read it.

        Raises:
            InputError: the file, a frame, pose, lens or image is not as it should be.
        """
        file = Path(path)
        file = file / FILE if file.is_dir() else file
        content = read_object(file)
        found = list_frames(content, file, options, TRANSFORMS)
        listed = sorted(found.listed, key=lambda frame: frame.name)
        check_each_once(listed, file)
        images, notes = posed_images(listed, content, file)
        named = named_splits(content, listed, found.missing, file)
        splits, more = named or (train_and_test(len(images), options, str(file)), [])
        points, lines = scene_points(content, images, file, options)
        scale = aabb_scale(content, file)
        return capture_of(
            Parts(
                name=file.resolve().parent.name,
                path=str(path),
                splits={split: [images[i] for i in frames] for split, frames in splits.items()},
                missing=found.missing,
                warnings=[*found.warnings, *notes, *more, *lines],
                points=points,
            ),
            options,
            lambda _: scale > 1 or not show_a_thing(images),
        )
