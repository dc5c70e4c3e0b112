"""A view as the doctor sees it: a pose that may be wrong, a lens, pixels; of any format."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float

from polyfield.scenes.base import Capture
from polyfield.scenes.cameras import Cameras

Points = Float[np.ndarray, "_n 2"]


@dataclass(frozen=True, eq=False)
class Shot:
    """One view."""

    name: str
    split: str
    pose: Float[np.ndarray, "4 4"]
    """As the data has it, which need not be camera-to-world or rigid."""
    size: tuple[int, int]
    """Width and height, pixels."""
    focal: tuple[float, float]
    """Pixels."""
    center: tuple[float, float]
    ideal: Callable[[Points], Points]
    """Pixels -> where they were without distortion, in focal lengths right and down of the axis."""
    read: Callable[[], np.ndarray]
    """Pixels in their stored type, [h w 1-4]."""

    def plain(self, pixels: Points) -> Points:
        """Pixels -> focal lengths right and down of the axis, distorted as they are."""
        return (pixels - np.array(self.center)) / np.array(self.focal)


def shots_of(capture: Capture) -> list[Shot]:
    """All views of a capture, split by split; no pixels are read yet."""
    found = []
    for split in capture.splits:
        cameras = capture.cameras(split)
        poses = cameras.user_poses.numpy()
        for i, name in enumerate(capture.names(split)):
            found.append(
                Shot(
                    name,
                    split,
                    poses[i],
                    (int(cameras.size[i, 0]), int(cameras.size[i, 1])),
                    (float(cameras.focal[i, 0]), float(cameras.focal[i, 1])),
                    (float(cameras.center[i, 0]), float(cameras.center[i, 1])),
                    ideal_points(cameras, i),
                    _reader(capture, split, i),
                )
            )
    return found


def ideal_points(cameras: Cameras, index: int) -> Callable[[Points], Points]:
    """What takes pixels of a view to points without distortion, whatever its lens is."""

    def ideal(pixels: Points) -> Points:
        number = torch.full((len(pixels),), index, dtype=torch.int64)
        rays = cameras.rays(number, torch.from_numpy(np.asarray(pixels, np.float32)))
        local = rays.directions.double() @ cameras.poses[index, :3, :3].double()
        ahead = -local[:, 2:]
        plane = torch.cat([local[:, :1], -local[:, 1:2]], 1) / ahead.clamp(min=1e-6)
        return np.asarray(torch.where(ahead > 1e-6, plane, torch.nan).numpy())

    return ideal


def _reader(capture: Capture, split: str, index: int) -> Callable[[], np.ndarray]:
    return lambda: capture.pixels(split, index)
