"""The built-in scene as a data set: closed-form pixels with alpha, no files."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from polyfield.errors import InputError
from polyfield.scenes.base import ReadOptions
from polyfield.scenes.cameras import Camera, Cameras
from polyfield.scenes.color import block_mean, from_float
from polyfield.scenes.demo.scene import BOUNDS, render
from polyfield.scenes.formats.posed import PosedCapture, Views
from polyfield.scenes.suspicions import check_box

DEMO = "demo"
"""What stands for the built-in scene where a data folder is asked for."""
FIELD_OF_VIEW = math.radians(42)
CENTER = (0.0, 0.0, 0.25)
"""What every camera looks at."""


@dataclass(frozen=True)
class Analytic:
    """A still life of glossy solids, computed when a split is read; transparent background."""

    name: ClassVar[str] = "demo"
    """What it is called on the command line."""
    looks_for: ClassVar[str] = "the word demo"
    """What a path must be."""
    size: int = 160
    """Width and height of the images in pixels."""
    train: int = 60
    """Training views, spread evenly over a dome."""
    val: int = 8
    """Validation views, between those."""
    test: int = 12
    """Test views, once around the scene."""
    distance: float = 3.9
    """From the cameras to the middle of the scene, world units."""

    def found_at(self, path: str | os.PathLike[str]) -> bool:
        """Whether a path stands for the built-in scene."""
        return str(path) == DEMO

    def open(self, path: str | os.PathLike[str], options: ReadOptions) -> PosedCapture:
        """Place the cameras; pixels are computed later.

        Args:
            path: the word demo; nothing is read.
            options: `downscale` and `bounds` apply.

        Raises:
            InputError: another path, a size or number of views that isn't positive, or a camera
                that stands in the scene.
        """
        if not self.found_at(path):
            raise InputError(
                "the word demo for the format demo, which reads no files",
                str(path),
                "leave out --format: it is found by itself",
            )
        if min(self.train, self.val, self.test) < 1 or self.size < options.downscale:
            raise InputError(
                "at least one view per split, and a size of at least the downscale",
                f"train {self.train}, val {self.val}, test {self.test}, size {self.size}",
                "raise those numbers",
            )
        if not 2.5 <= self.distance < math.inf:
            raise InputError(
                "cameras outside the scene, at a distance of 2.5 or more",
                f"{self.distance:g}",
                "raise the distance",
            )
        around = [(2 * math.pi * i / self.test, math.radians(28)) for i in range(self.test)]
        splits = {
            "train": _dome(self.train, 0.0),
            "val": _dome(self.val, 0.5),
            "test": around,
        }
        bounds = torch.tensor(options.bounds or [*BOUNDS[0], *BOUNDS[1]]).view(2, 3)
        views = {split: self._views(split, angles, options) for split, angles in splits.items()}
        return PosedCapture(
            name=DEMO,
            path=str(path),
            bounds=bounds,
            unbounded=False,
            color_space="srgb",
            views=views,
            warnings=check_box(views["train"].cameras, bounds, False, options),
        )

    def _views(self, split: str, angles: list[tuple[float, float]], options: ReadOptions) -> Views:
        """The views of a split, from azimuths and elevations."""
        factor = options.downscale
        focal = self.size / 2 / math.tan(FIELD_OF_VIEW / 2)
        middle = self.size / 2
        full = [
            Camera(
                look_at(*angle, self.distance), self.size, self.size, focal, focal, middle, middle
            )
            for angle in angles
        ]

        def read(index: int) -> np.ndarray:
            return block_mean(from_float(render(full[index]), np.uint8), factor)

        names = tuple(f"{split}/{i:03d}" for i in range(len(full)))
        cameras = [camera.reduced(factor) for camera in full]
        return Views(Cameras.stack(cameras), names, read)


def look_at(azimuth: float, elevation: float, distance: float) -> Float[Tensor, "4 4"]:
    """The pose of a camera on a sphere around the scene, upright, looking at its middle.

    Args:
        azimuth: from x towards y, radians.
        elevation: above the horizon, radians, short of straight up.
        distance: from the middle, world units.
    """
    flat = math.cos(elevation)
    back = torch.tensor(
        [flat * math.cos(azimuth), flat * math.sin(azimuth), math.sin(elevation)],
        dtype=torch.float64,
    )
    right = torch.tensor([-math.sin(azimuth), math.cos(azimuth), 0.0], dtype=torch.float64)
    pose = torch.eye(4, dtype=torch.float64)
    pose[:3, 0] = right
    pose[:3, 1] = torch.linalg.cross(back, right)
    pose[:3, 2] = back
    pose[:3, 3] = torch.tensor(CENTER, dtype=torch.float64) + distance * back
    return pose.float()


def _dome(count: int, shift: float) -> list[tuple[float, float]]:
    """Azimuths and elevations spread evenly: a spiral of golden angles, from -5 to 75 degrees.

    `shift` moves the spiral by a part of a step.
    """
    low, high = math.sin(math.radians(-5)), math.sin(math.radians(75))
    golden = math.pi * (3 - math.sqrt(5))
    return [
        (golden * (i + shift), math.asin(low + (high - low) * (i + 0.5) / count))
        for i in range(count)
    ]
