"""A reconstruction -> points, and a transforms.json that nerfstudio and instant-ngp read too."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import trimesh

from polyfield.files import write_json, write_whole
from polyfield.scenes.sfm.intake import Prepared
from polyfield.scenes.sfm.mapping import Model, View

POINTS = "sparse_pc.ply"
"""As nerfstudio calls it."""
AABB_SCALE = 16
"""Unit cubes of instant-ngp: photographs show more than the thing they are of."""


def write_capture(folder: Path, model: Model, images: Sequence[Prepared]) -> None:
    """Write transforms.json and the points into a folder that has the images.

    Where all images share a camera its lens stands at the top of the file, else in each frame.

    Raises:
        WriteError: the system doesn't let it.
    """
    lenses = [_lens(view, images[view.image]) for view in model.views]
    shared = all(lens == lenses[0] for lens in lenses)
    frames: list[dict[str, Any]] = []
    for view, lens in zip(model.views, lenses, strict=True):
        image = images[view.image]
        frame = {"file_path": image.image, "transform_matrix": view.pose.tolist()}
        if image.mask is not None:
            frame["mask_path"] = image.mask
        if not shared:
            # Its model stands at the top: nerfstudio looks for it there.
            frame |= {key: value for key, value in lens.items() if key != "camera_model"}
        frames.append(frame)
    content: dict[str, Any] = {"camera_model": lenses[0]["camera_model"]}
    if shared:
        content |= lenses[0] | _angles(lenses[0])
    content |= {"aabb_scale": AABB_SCALE, "ply_file_path": POINTS, "frames": frames}
    _write_points(folder / POINTS, model)
    write_json(folder / "transforms.json", content)


def _lens(view: View, image: Prepared) -> dict[str, Any]:
    return {"w": image.size[0], "h": image.size[1], **view.lens}


def _angles(lens: Mapping[str, Any]) -> dict[str, float]:
    """Fields of view, radians, which older readers look for."""
    return {
        f"camera_angle_{axis}": 2 * math.atan(lens[side] / 2 / lens[f"fl_{axis}"])
        for axis, side in (("x", "w"), ("y", "h"))
    }


def _write_points(path: Path, model: Model) -> None:
    opaque = np.full((len(model.colors), 1), 255, np.uint8)
    cloud = trimesh.PointCloud(model.points, np.concatenate([model.colors, opaque], axis=1))
    write_whole(path, lambda temporary: temporary.write_bytes(cloud.export(file_type="ply")))
