"""Tiny captures on disk, whole or broken on purpose."""

import json
import math
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from polyfield.scenes.demo.capture import look_at
from polyfield.scenes.images import write_image

Content = dict[str, Any]


class Folder:
    """A capture folder under construction: images, and JSON that a test may spoil."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def picture(self, name: str, width: int = 6, height: int = 4, channels: int = 3) -> Path:
        """An image whose values differ from pixel to pixel and from name to name."""
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        generator = np.random.default_rng(abs(hash_name(name)))
        write_image(file, generator.integers(0, 256, (height, width, channels), dtype=np.uint8))
        return file

    def frames(self, names: list[str]) -> list[Content]:
        """One frame per name, on a ring around the origin."""
        return [
            {
                "file_path": name,
                "transform_matrix": look_at(2 * np.pi * i / len(names), 0.4, 4.0).tolist(),
            }
            for i, name in enumerate(names)
        ]

    def write(self, name: str, content: Content | str) -> Path:
        """A JSON file, or any text."""
        file = self.path / name
        file.write_text(content if isinstance(content, str) else json.dumps(content))
        return file


def hash_name(name: str) -> int:
    """A number from a name, the same in every process."""
    return int.from_bytes(name.encode()[-6:], "big")


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    """An empty capture folder."""
    path = tmp_path / "capture"
    path.mkdir()
    return Folder(path)


@pytest.fixture
def blender(folder: Folder) -> Callable[..., Content]:
    """Write a Blender split; the content is returned and may be changed and written again."""

    def make(split: str, count: int = 3, channels: int = 4) -> Content:
        names = [f"./{split}/r_{i}" for i in range(count)]
        for name in names:
            folder.picture(f"{name}.png", channels=channels)
        content = {"camera_angle_x": 0.7, "frames": folder.frames(names)}
        folder.write(f"transforms_{split}.json", content)
        return content

    return make


@pytest.fixture
def transforms(folder: Folder) -> Callable[..., Content]:
    """Write a transforms.json capture; the content is returned."""

    def make(count: int = 10, channels: int = 3, **shared: Any) -> Content:
        names = [f"images/{i:04d}.png" for i in range(count)]
        for name in names:
            folder.picture(name, channels=channels)
        lens = {"fl_x": 7.0, "fl_y": 8.0, "cx": 2.5, "cy": 2.25, "w": 6, "h": 4}
        content = {**lens, **shared, "frames": folder.frames(names)}
        folder.write("transforms.json", content)
        return content

    return make


# A capture with texture to find features in: a painted box on a painted floor, from all around.

WIDTH, HEIGHT, FOCAL = 240, 180, 230.0
VIEWS = 18
HALF = 0.8
"""Of the box's edge."""


@cache
def textures() -> np.ndarray:
    """Seven paintings [7, 256, 256, 3]: the box's faces and the floor; noise of several sizes."""
    generator = np.random.default_rng(7)
    found = np.zeros((7, 256, 256, 3))
    for cells, weight in ((8, 0.3), (32, 0.4), (64, 0.3)):
        coarse = generator.random((7, cells, cells, 3))
        found += weight * coarse.repeat(256 // cells, 1).repeat(256 // cells, 2)
    return found


def poses(arc: float) -> list[np.ndarray]:
    """Around the box, or along a part of a circle."""
    return [
        look_at(2 * math.pi * arc * i / VIEWS, 0.45 + 0.25 * math.sin(1.7 * i), 3.6)
        .double()
        .numpy()
        for i in range(VIEWS)
    ]


def render(pose: np.ndarray, shrink: int, k1: float) -> np.ndarray:
    """An image of the box, uint8; with k1 the lens distorts it so."""
    rows, columns = (np.mgrid[0 : HEIGHT // shrink, 0 : WIDTH // shrink] + 0.5) * shrink
    x, y = (columns - WIDTH / 2) / FOCAL, (rows - HEIGHT / 2) / FOCAL
    u, v = x.copy(), y.copy()
    for _ in range(20):  # undistort by repetition
        radial = 1 + k1 * (u * u + v * v)
        u, v = x / radial, y / radial
    rays = np.stack([u, -v, -np.ones_like(u)], -1) @ pose[:3, :3].T
    start = pose[:3, 3] - [0, 0, 0.25]
    with np.errstate(divide="ignore"):
        planes = np.stack([(-HALF - start) / rays, (HALF - start) / rays])
    enter, leave = planes.min(0), planes.max(0)
    near, face = enter.max(-1), enter.argmax(-1)
    hit = (near < leave.min(-1)) & (near > 0)
    floor = np.where(rays[..., 2] < 0, (-HALF - start[2]) / rays[..., 2], np.inf)
    distance = np.where(hit, near, np.minimum(floor, 50.0))
    points = start + distance[..., None] * rays
    face = np.where(
        hit, 2 * face + (np.take_along_axis(points, face[..., None], -1)[..., 0] > 0), 6
    )
    plane = np.where(face[..., None] // 2 == 0, points[..., 1:], points[..., :2])
    plane = np.where(face[..., None] // 2 == 1, points[..., ::2], plane)
    index = np.floor((plane + HALF) / (2 * HALF) * 256 * np.where(face == 6, 0.25, 1)[..., None])
    index = index.astype(int) % 256
    color = textures()[face, index[..., 1], index[..., 0]]
    color = np.where((distance < 50)[..., None], color, 0.7)
    return np.rint(color * 255).astype(np.uint8)


@cache
def images(shrink: int, k1: float, arc: float) -> tuple[np.ndarray, ...]:
    return tuple(render(pose, shrink, k1) for pose in poses(arc))


class Painted:
    """The capture on disk; a test spoils it."""

    def __init__(self, path: Path, shrink: int, k1: float, arc: float) -> None:
        self.path = path
        width, height, focal = WIDTH // shrink, HEIGHT // shrink, FOCAL / shrink
        self.content: Content = {
            "fl_x": focal, "fl_y": focal, "cx": width / 2, "cy": height / 2, "w": width,
            "h": height, "k1": k1, "frames": [],
        }  # fmt: skip
        (path / "images").mkdir(parents=True)
        for i, (pose, image) in enumerate(zip(poses(arc), images(shrink, k1, arc), strict=True)):
            name = f"images/{i:03d}.png"
            write_image(path / name, image)
            self.frames.append({"file_path": name, "transform_matrix": pose.tolist()})
        self.write()

    @property
    def frames(self) -> list[Content]:
        found: list[Content] = self.content["frames"]
        return found

    def poses(self, change: Callable[[np.ndarray], np.ndarray]) -> None:
        """Change every matrix."""
        for frame in self.frames:
            matrix = np.array(frame["transform_matrix"], np.float64)
            frame["transform_matrix"] = change(matrix).tolist()
        self.write()

    def image(self, index: int) -> Path:
        return self.path / f"images/{index:03d}.png"

    def write(self, text: str | bytes | None = None) -> None:
        """Write the JSON, or any text in its place."""
        text = json.dumps(self.content) if text is None else text
        raw = text.encode() if isinstance(text, str) else text
        (self.path / "transforms.json").write_bytes(raw)


@pytest.fixture
def painted(tmp_path: Path) -> Callable[..., Painted]:
    def make(shrink: int = 1, k1: float = 0.0, arc: float = 1.0) -> Painted:
        return Painted(tmp_path / "capture", shrink, k1, arc)

    return make
