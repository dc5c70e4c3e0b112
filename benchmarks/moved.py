"""The built-in scene as a capture on disk, scaled, turned and shifted: the same must be learned.

python benchmarks/moved.py OUT   writes OUT/NAME/transforms.json and images for each of `MOVES`
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch

from polyfield.scenes import open_capture
from polyfield.scenes.base import ReadOptions
from polyfield.scenes.camera_json import camera_object
from polyfield.scenes.images import write_image

MOVES: dict[str, tuple[float, tuple[float, float, float], tuple[float, float, float]]] = {
    "as it is": (1.0, (0.0, 0.0, 0.0), (0.0, 0.0, 0.0)),
    "by 8": (8.0, (0.0, 0.0, 0.0), (0.0, 0.0, 0.0)),
    "by 8, shifted": (8.0, (0.0, 0.0, 0.0), (16.0, -32.0, 64.0)),
    "by 3.7, shifted": (3.7, (0.0, 0.0, 0.0), (0.3, 1000.0, -77.7)),
    "turned": (1.0, (0.5, 1.1, -0.7), (0.0, 0.0, 0.0)),
}
"""A scale, a turn (axis times radians) and a shift."""


def write(folder: Path, name: str) -> Path:
    """One of `MOVES` as transforms.json with images."""
    scale, (x, y, z), shift = MOVES[name]
    turn = torch.tensor([[0, -z, y], [z, 0, -x], [-y, x, 0]], dtype=torch.float64).matrix_exp()
    capture = open_capture("demo", ReadOptions())
    folder.mkdir(parents=True)
    tree: dict[str, Any] = {}
    frames: list[dict[str, Any]] = []
    for split in ("train", "test"):
        for i in range(len(capture.names(split))):
            camera, file = capture.cameras(split)[i], f"{split}_{i:03d}.png"
            pose = camera.pose.clone()
            pose[:3, :3] = turn @ pose[:3, :3]
            pose[:3, 3] = scale * turn @ pose[:3, 3] + torch.tensor(shift, dtype=torch.float64)
            write_image(folder / file, capture.pixels(split, i))
            frame = {"file_path": file, "transform_matrix": pose.tolist()}
            frames.append({**camera_object(camera), **frame})
            tree.setdefault(f"{split}_filenames", []).append(file)
    (folder / "transforms.json").write_text(json.dumps({**tree, "frames": frames}))
    return folder


if __name__ == "__main__":
    for name in MOVES:
        print(write(Path(sys.argv[1]) / name, name))
