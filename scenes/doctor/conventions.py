"""What poses may mean: every way of writing them down that a matrix can come in, tried in turn."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Bool, Float

Layout = Literal[
    "camera-to-world", "world-to-camera", "transposed", "rotation transposed",
    "translation of world-to-camera",
]  # fmt: skip
"""What is in a matrix."""
RIGID = 5e-3
"""As the readers: largest entry of R^T R - I."""
Poses = Float[np.ndarray, "_n 4 4"]


@dataclass(frozen=True)
class Convention:
    """A way of writing a pose down, and so of reading it."""

    layout: Layout
    axes: tuple[tuple[int, int], ...]
    """Of the camera's right, up and back in turn: which column, and its sign."""
    mirrored: bool = False
    """The world's y and z are swapped, which mirrors it."""

    @property
    def is_ours(self) -> bool:
        """Camera-to-world in OpenGL axes."""
        return self == OURS

    def read(self, matrices: Poses) -> Poses:
        """Camera-to-world in OpenGL axes, if matrices are written so; NaN where they can't be."""
        if self.mirrored:
            matrices = _SWAP @ matrices
        if self.layout == "transposed":
            poses = np.swapaxes(matrices, 1, 2).copy()
        elif self.layout == "world-to-camera":
            poses = np.full_like(matrices, np.nan)
            able = np.abs(np.linalg.det(matrices)) > 1e-12
            poses[able] = np.linalg.inv(matrices[able])
        else:
            poses = matrices.copy()
            if self.layout == "rotation transposed":
                poses[:, :3, :3] = np.swapaxes(poses[:, :3, :3], 1, 2)
            if self.layout == "translation of world-to-camera":
                poses[:, :3, 3] = -np.einsum("nij,nj->ni", poses[:, :3, :3], poses[:, :3, 3])
        columns = [sign * poses[:, :3, column] for column, sign in self.axes]
        poses[:, :3, :3] = np.stack(columns, axis=2)
        return poses

    @property
    def words(self) -> str:
        """What the matrices are, in words."""
        parts: list[str] = []
        if self.layout != "camera-to-world":
            parts.append(self.layout)
        if self.axes == OPENCV:
            parts.append("in OpenCV axes (y down, z forward)")
        elif self.axes != OPENGL:
            names = ", ".join(
                f"{'' if sign > 0 else '-'}{'xyz'[column]}" for column, sign in self.axes
            )
            parts.append(f"with right, up, back in {names}")
        if self.mirrored:
            parts.append("of a mirrored world (y and z swapped)")
        return " ".join(parts) or "camera-to-world in OpenGL axes"


OPENGL = ((0, 1), (1, 1), (2, 1))
OPENCV = ((0, 1), (1, -1), (2, -1))
OURS = Convention("camera-to-world", OPENGL)
_SWAP = np.array([[1.0, 0, 0, 0], [0, 0, 1.0, 0], [0, 1.0, 0, 0], [0, 0, 0, 1.0]], dtype=np.float64)
_LAYOUTS: tuple[Layout, ...] = (
    "camera-to-world",
    "world-to-camera",
    "transposed",
    "rotation transposed",
    "translation of world-to-camera",
)


def conventions() -> list[Convention]:
    """Every one that is tried, the likelier first."""
    axes = [
        tuple(zip(columns, signs, strict=True))
        for columns in itertools.permutations(range(3))
        for signs in itertools.product((1, -1), repeat=3)
    ]
    axes.sort(key=lambda chosen: (chosen != OPENGL, chosen != OPENCV))
    found = [
        Convention(layout, chosen, mirrored)
        for mirrored in (False, True)
        for layout in _LAYOUTS
        for chosen in axes
    ]
    found.sort(key=lambda c: (c.mirrored, c.axes not in (OPENGL, OPENCV)))
    return found


def are_rigid(poses: Poses) -> Bool[np.ndarray, " n"]:
    """Which are rotations with a position: orthonormal, not mirrored, a last row of 0 0 0 1."""
    block = poses[:, :3, :3]
    with np.errstate(invalid="ignore", over="ignore"):
        gram = np.swapaxes(block, 1, 2) @ block
        unit = np.abs(gram - np.eye(3)).max((1, 2)) < RIGID
        last = np.abs(poses[:, 3] - [0, 0, 0, 1]).max(1) < 1e-6
        finite = np.isfinite(poses).all((1, 2))
        upright = np.where(finite, np.linalg.det(np.where(finite[:, None, None], block, 0)), 0) > 0
    return np.asarray(finite & unit & last & upright)


def readable(matrices: Poses, tried: Sequence[Convention]) -> list[tuple[Convention, Poses]]:
    """The conventions under which all matrices are poses, with those poses."""
    found = []
    for convention in tried:
        poses = convention.read(matrices)
        if bool(are_rigid(poses).all()):
            found.append((convention, poses))
    return found
