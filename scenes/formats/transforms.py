"""transforms.json as instant-ngp and nerfstudio write it: one file, one list of frames."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from polyfield.errors import InputError
from polyfield.scenes.base import ReadOptions
from polyfield.scenes.bounds import scene_bounds
from polyfield.scenes.color import to_float
from polyfield.scenes.formats.frames import (
    Listed,
    every_nth,
    list_frames,
    number,
    read_object,
    views_of,
)
from polyfield.scenes.formats.intrinsics import posed_images
from polyfield.scenes.formats.posed import PosedCapture
from polyfield.scenes.images import read_image

FILE = "transforms.json"


@dataclass(frozen=True)
class Transforms:
    """A transforms.json, or a folder with one: shared or per-frame pinholes, k1 k2 p1 p2.

    Frames with a picture, sorted by file_path, give every `test_every`-th from the first to the
    test split. Things exist outside the bounds unless the pictures have alpha and aabb_scale is 1
    or absent. The bounds are automatic: instant-ngp's unit cube (user's -1.515 to 1.515) holds a
    quarter of the surfaces of its own fox, the box that the cameras look at nine tenths.
    """

    def build(self, path: str | os.PathLike[str], options: ReadOptions) -> PosedCapture:
        """Parse and check the file; pixels are read later.

        Args:
            path: the file or its folder.
            options: how to read it.

        Raises:
            InputError: the file, a frame, pose, lens or picture is not as it should be.
        """
        file = Path(path)
        file = file / FILE if file.is_dir() else file
        content = read_object(file)
        listed, missing, warnings = list_frames(content, file, options)
        listed = sorted(listed, key=lambda frame: frame.name)
        _check_each_once(listed, file)
        images = posed_images(listed, content, file)
        train, test = every_nth(len(images), options.test_every)
        if not train:
            raise InputError(
                f"at least two pictures for {file}, one of them for training",
                f"{len(images)}, kept for the test",
                "add pictures, or set test-every to 0",
            )
        views = {"train": views_of([images[i] for i in train], options)}
        if test:
            views["test"] = views_of([images[i] for i in test], options)
        aabb_scale = number(content, "aabb_scale", str(file)) or 1.0
        return PosedCapture(
            name=file.resolve().parent.name,
            path=str(path),
            bounds=scene_bounds(views["train"].cameras, options),
            unbounded=aabb_scale > 1 or not _has_alpha(listed[0]),
            color_space="linear" if listed[0].info.is_float else "srgb",
            views=views,
            frames_skipped=missing,
            warnings=warnings,
        )


def _check_each_once(listed: list[Listed], file: Path) -> None:
    """A picture listed twice could be trained on and tested on."""
    for before, after in zip(listed, listed[1:], strict=False):
        if before.name == after.name:
            raise InputError(
                f"each picture once in {file}", f"{after.name} twice", "remove one of its frames"
            )


def _has_alpha(listed: Listed) -> bool:
    """Whether the picture has pixels that aren't opaque; an alpha channel alone doesn't say so."""
    return listed.info.has_alpha and bool((to_float(read_image(listed.image)[..., -1:]) < 1).any())
