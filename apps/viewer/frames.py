"""From the user's frame to that of the browser, and back.

Ours: poses are camera-to-world in OpenGL axes (x right, y up, the camera looks along -z), any unit.
viser's: quaternion w x y z and position, OpenCV axes (y down, looks along +z); the scene is moved
and scaled so that the diagonal of its box is DIAGONAL, which its clipping planes and the sizes of
what it draws are made for. The axes of the world stay the user's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from polyfield.scenes.cameras import Camera
from polyfield.scenes.similarity import Similarity

DIAGONAL = 10.0
"""Of the scene's box, in the browser."""

Quaternion = tuple[float, float, float, float]
Three = tuple[float, float, float]

_FLIP = torch.tensor([1.0, -1.0, -1.0], dtype=torch.float64)
"""Half a turn about the camera's own x takes one convention to the other, either way."""


@dataclass(frozen=True)
class Eye:
    """Where a browser looks from, as it says."""

    wxyz: Quaternion
    position: Three
    fov: float
    """Of the height, radians."""
    width: int
    """Of the canvas, pixels."""
    height: int

    @property
    def is_sound(self) -> bool:
        """Whether an image can be drawn for it: a browser may send anything."""
        finite = all(map(math.isfinite, (*self.wxyz, *self.position, self.fov)))
        turn = math.hypot(*self.wxyz) > 1e-6
        size = 1 <= self.width <= 1 << 16 and 1 <= self.height <= 1 << 16
        return finite and turn and size and 1e-3 < self.fov < math.pi - 1e-3


@dataclass(frozen=True)
class Frame:
    """Where the user's frame lies in the browser's."""

    similarity: Similarity
    """What takes points of the user's to the browser's."""

    @classmethod
    def of_box(cls, bounds: Float[Tensor, "2 3"]) -> Frame:
        """The frame in which a box of the user's lies about zero with the diagonal DIAGONAL."""
        low, high = bounds.detach().cpu().double()
        x, y, z = ((low + high) / 2).tolist()
        return cls(Similarity((x, y, z), DIAGONAL / float((high - low).norm())))

    def points(self, x: Float[Tensor, "*n 3"]) -> np.ndarray:
        """Points of the user's frame in the browser's, float32."""
        return self.similarity.normalised(x).float().numpy()

    def to_browser(self, pose: Float[Tensor, "4 4"]) -> tuple[Quaternion, Three]:
        """A pose of the user's as quaternion and position."""
        pose = pose.double()
        x, y, z = self.similarity.normalised(pose[:3, 3]).tolist()
        return quaternion(pose[:3, :3] * _FLIP), (x, y, z)

    def from_browser(self, wxyz: Quaternion, position: Three) -> Float[Tensor, "4 4"]:
        """The inverse of `to_browser`; float64."""
        pose = torch.eye(4, dtype=torch.float64)
        pose[:3, :3] = rotation(wxyz) * _FLIP
        pose[:3, 3] = self.similarity.users(torch.tensor(position, dtype=torch.float64))
        return pose

    def camera(self, eye: Eye) -> Camera:
        """What a browser sees, at the size of its canvas."""
        focal = eye.height / 2 / math.tan(eye.fov / 2)
        pose = self.from_browser(eye.wxyz, eye.position)
        return Camera(pose, eye.width, eye.height, focal, focal, eye.width / 2, eye.height / 2)

    def eye(self, camera: Camera) -> Eye:
        """A camera's pose and vertical field of view; what else its lens does is left out."""
        wxyz, position = self.to_browser(camera.pose)
        fov = 2 * math.atan(camera.height / 2 / camera.fl_y)
        return Eye(wxyz, position, fov, camera.width, camera.height)


def rotation(wxyz: Quaternion) -> Float[Tensor, "3 3"]:
    """The matrix of a quaternion of any length but zero; float64."""
    length = math.hypot(*wxyz)
    w, x, y, z = (value / length for value in wxyz)
    rows = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
        [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
        [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
    ]
    return torch.tensor(rows, dtype=torch.float64)


def quaternion(matrix: Float[Tensor, "3 3"]) -> Quaternion:
    """The unit quaternion of a rotation, its largest part positive."""
    m = matrix.double().tolist()
    # Each row holds 4 q_i q_j: the one with the largest square loses no digits.
    rows = [
        [1 + m[0][0] + m[1][1] + m[2][2], m[2][1] - m[1][2], m[0][2] - m[2][0], m[1][0] - m[0][1]],
        [m[2][1] - m[1][2], 1 + m[0][0] - m[1][1] - m[2][2], m[0][1] + m[1][0], m[0][2] + m[2][0]],
        [m[0][2] - m[2][0], m[0][1] + m[1][0], 1 - m[0][0] + m[1][1] - m[2][2], m[1][2] + m[2][1]],
        [m[1][0] - m[0][1], m[0][2] + m[2][0], m[1][2] + m[2][1], 1 - m[0][0] - m[1][1] + m[2][2]],
    ]
    best = max(range(4), key=lambda i: rows[i][i])
    length = math.hypot(*rows[best])
    w, x, y, z = (value / length for value in rows[best])
    return w, x, y, z
