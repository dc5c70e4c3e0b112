"""Tiny captures on disk, whole or broken on purpose."""

import json
from collections.abc import Callable
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
