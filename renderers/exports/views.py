"""A model as images with cameras: a capture that other programs train on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar

import numpy as np
import torch

from polyfield.errors import InputError
from polyfield.files import write_json
from polyfield.ranges import Range
from polyfield.renderers.exports.new_folder import new_folder
from polyfield.renderers.exports.points import displayed
from polyfield.renderers.exports.source import Radiant, Source, Tell
from polyfield.renderers.exports.writing import writing
from polyfield.scenes.camera_json import camera_object
from polyfield.scenes.cameras import Camera
from polyfield.scenes.images import write_image

MARK = "transforms.json"


@dataclass(frozen=True)
class Images:
    """The run's own views drawn, with a transforms.json: a capture for other programs."""

    name: ClassVar[str] = "images"
    endings: ClassVar[tuple[str, ...]] = ()
    downscale: Annotated[int, Range(1, 64)] = 1
    """Shrink the views by this factor."""

    def write(self, source: Source, path: Path, tell: Tell) -> str:
        """Draw every camera of every split."""
        model = source.radiant(self.name)
        total = sum(map(len, source.cameras.values()))
        if not total:
            raise InputError(
                "a run with cameras for --to images", "a model alone", "export the run's folder"
            )
        frames: list[dict[str, Any]] = []
        splits: dict[str, list[str]] = {}
        done = 0
        with new_folder(path) as folder:
            (folder / "images").mkdir()
            for split, cameras in source.cameras.items():
                names = splits.setdefault(f"{split}_filenames", [])
                for number, camera in enumerate(cameras):
                    small = camera.resized(
                        max(camera.width // self.downscale, 1),
                        max(camera.height // self.downscale, 1),
                    )
                    name = f"images/{split}_{number:04d}.png"
                    with writing(path):
                        write_image(folder / name, _drawn(model, small))
                    frames.append({**camera_object(small), "file_path": name})
                    names.append(name)
                    done += 1
                    if done % max(total // 5, 1) == 0:
                        tell(f"images: {done} of {total}")
            about = {"is_polyfield_export": True, **splits, "frames": frames}
            write_json(folder / MARK, about)
        return f"{total} images and {MARK}"


def _drawn(model: Radiant, camera: Camera) -> np.ndarray:
    """A view, 8 bits; with alpha where the scene has an end."""
    seen = model.render(camera)
    color = seen.color
    if model.is_unbounded:
        return displayed(color.clamp(0, 1).numpy(), model.color_space)
    opacity = seen.opacity[..., None].clamp(0, 1)
    straight = (color - (1 - opacity) * model.background) / opacity.clamp(min=1e-4)
    rgb = displayed(straight.clamp(0, 1).float().numpy(), model.color_space)
    alpha = (opacity * 255).round().to(torch.uint8).numpy()
    return np.concatenate([rgb, alpha], -1)
