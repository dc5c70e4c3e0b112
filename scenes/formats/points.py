"""Points of the scene that a transforms.json names or implies: a point cloud, depth images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from polyfield.errors import InputError
from polyfield.scenes.base import ReadOptions
from polyfield.scenes.formats.depth import depth_points
from polyfield.scenes.formats.frames import PosedImage
from polyfield.scenes.formats.pictures import Pictures
from polyfield.scenes.lens_keys import is_set
from polyfield.scenes.ply import read_points

CLOUD = "ply_file_path"


def scene_points(
    content: Mapping[str, object], images: Sequence[PosedImage], path: Path, options: ReadOptions
) -> tuple[Float64[np.ndarray, "n 3"] | None, list[str]]:
    """Points of the scene in the file's frame, and one-line warnings.

    Args:
        content: the file, parsed.
        images: its frames, posed.
        path: the file.
        options: whether what lies outside of its folder may be opened.

    Raises:
        InputError: a point cloud or a depth image that is not as it should be.
    """
    name = content.get(CLOUD)
    if not is_set(name):
        return depth_points(images), []
    if not isinstance(name, str):
        raise InputError(f"a file name for {CLOUD} in {path}", repr(name)[:40], "correct it")
    pictures = Pictures(path.parent, options.allow_outside)
    cloud = pictures.find(name.replace("\\", "/"), f"{CLOUD} of {path}")
    if cloud is None:
        return depth_points(images), [f"{name}, the {CLOUD} of {path}, is missing: done without it"]
    points = read_points(cloud)
    return (points if len(points) else None), []
