"""Instant-ngp's coordinates and cameras -> the frame of the data.

It takes a point p of a transforms.json to scale p + offset, then has y, z, x for x, y, z (not for
scenes of Mitsuba); cameras look along +z with y down there, along -z with y up here.
UNCERTAIN: matrices are read as three rows of four; Mitsuba's have x and z turned round first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float64

from polyfield.errors import InputError
from polyfield.renderers.imports.snapshot import Tree
from polyfield.scenes.cameras import Camera
from polyfield.scenes.lenses.opencv import OpenCV

MOST = 1 << 16
"""Cameras, and pixels along one."""


@dataclass(frozen=True)
class NgpFrame:
    """From the program's coordinates to the user's."""

    scale: float
    offset: Float64[np.ndarray, "3"]
    mitsuba: bool

    def __post_init__(self) -> None:
        if not self.scale > 0:
            raise InputError("a scale above 0 for nerf.dataset", f"{self.scale:g}", "save it again")

    def _back(self, rows: np.ndarray) -> np.ndarray:
        """Rows in the user's order: x is the program's z, y its x, z its y."""
        return rows if self.mitsuba else np.roll(rows, 1, axis=0)

    def users_box(self, box: Float64[np.ndarray, "2 3"]) -> Float64[np.ndarray, "2 3"]:
        """Corners of a box."""
        return np.asarray((self._back(box.T).T - self.offset) / self.scale)

    def pose(self, matrix: Float64[np.ndarray, "3 4"]) -> Float64[np.ndarray, "4 4"]:
        """A camera-to-world matrix in OpenGL axes."""
        found = np.eye(4)
        found[:3] = self._back(matrix)
        signs = [-1.0, -1.0, 1.0] if self.mitsuba else [1.0, -1.0, -1.0]
        found[:3, :3] *= signs
        found[:3, 3] = (found[:3, 3] - self.offset) / self.scale
        return found


def cameras_of(dataset: Tree, frame: NgpFrame) -> tuple[Sequence[Camera], Sequence[str], list[str]]:
    """Training cameras, names of their images, and warnings; none where the file has none.

    Raises:
        InputError: one of them is damaged.
    """
    poses, lenses = dataset.items("xforms"), dataset.items("metadata")
    paths = dataset.items("paths")
    if len(poses) > MOST or len(lenses) != len(poses):
        raise InputError(
            f"as many lenses as poses, at most {MOST}", f"{len(lenses)} and {len(poses)}",
            "save the snapshot again",
        )  # fmt: skip
    cameras, names, warnings = [], [], set()
    for i, (pose, lens) in enumerate(zip(poses, lenses, strict=True)):
        place = f"{dataset.place}.metadata[{i}]"
        if not (isinstance(pose, dict) and isinstance(lens, dict)):
            raise InputError(f"maps for {place}", "others", "save the snapshot again")
        camera, passed = _camera(Tree(pose, place), Tree(lens, place), frame)
        cameras.append(camera)
        warnings |= passed
        path = paths[i] if i < len(paths) else f"{i}"
        names.append(path if isinstance(path, str) else f"{i}")
    return cameras, names, sorted(warnings)


def _camera(pose: Tree, lens: Tree, frame: NgpFrame) -> tuple[Camera, set[str]]:
    rows: Any = pose.items("start")
    if len(rows) != 3:
        raise InputError(f"3 rows of 4 numbers for {pose.place}", f"{len(rows)}", "save it again")
    matrix = np.array([pose.checked(row, 4, "start") for row in rows])
    width, height = (int(n) for n in lens.numbers("resolution", 2))
    if not (0 < width <= MOST and 0 < height <= MOST):
        raise InputError(f"pixels for {lens.place}", f"{width} x {height}", "save it again")
    fl_x, fl_y = lens.numbers("focal_length", 2)
    along, down = lens.numbers("principal_point", 2)
    warnings, distortion = set(), OpenCV()
    model = lens.part("lens") if isinstance(lens.values.get("lens"), dict) else Tree({}, "")
    keys = ("k1", "k2", "p1", "p2")
    mode = str(model.values.get("mode", "opencv" if "p1" in model else "perspective")).lower()
    if mode == "opencv":
        distortion = OpenCV(*(model.number(key, 0.0) for key in keys))
    elif mode != "perspective":
        warnings.add("cameras with other lenses than OpenCV's are taken as pinholes")
    made = Camera(
        torch.from_numpy(frame.pose(matrix)), width, height, fl_x, fl_y,
        along * width, down * height, distortion,
    )  # fmt: skip
    return made, warnings
