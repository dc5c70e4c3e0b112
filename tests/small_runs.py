"""Presets on tiny data, built by the seed alone: the same first values on every device."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from polyfield.apps.tasks.image_presets import image_presets
from polyfield.apps.tasks.presets import ScenePreset, SignalPreset
from polyfield.apps.tasks.scene_presets import scene_presets
from polyfield.encodings.dense_grid import DenseGrid
from polyfield.encodings.hash_grid import HashGrid
from polyfield.encodings.rbf import Rbf
from polyfield.fields.coordinate import Coordinate
from polyfield.fields.kilo import KiloBank
from polyfield.fields.radiance import Radiance
from polyfield.fields.voxels import Voxels
from polyfield.renderers.radiance_model import RadianceModel, SceneInfo
from polyfield.renderers.signal_model import SignalInfo, SignalModel
from polyfield.scenes import open_image
from polyfield.scenes.base import ReadOptions
from polyfield.scenes.color import from_float
from polyfield.scenes.demo.capture import Analytic
from polyfield.scenes.images import write_image
from polyfield.scenes.signals.image import ImageSignal
from polyfield.training.loop import Fit
from polyfield.training.objectives.photometric import Behind

CPU = torch.device("cpu")
SMALL = HashGrid(levels=2, features=2, log2_size=8, base_resolution=4, finest_resolution=8)
# What would take seconds a step without kernels.
LESS_SCENE: dict[str, Any] = {
    "dense": Radiance(DenseGrid(levels=2, features=2, base_resolution=4, finest_resolution=8)),
    "kilo": KiloBank(cells=2, octaves=2),
    "voxels": Voxels(cells=8),
    "rbf": Radiance(Rbf(kernels=40, neighbours=3, waves=None, normalise=False, grid=SMALL)),
}
LESS_IMAGE: dict[str, Any] = {"rbf": Coordinate(Rbf(kernels=40, grid=SMALL))}
CAPTURE = Analytic(size=12, train=4, val=1, test=2).open("demo", ReadOptions())


def scene_run(name: str, steps: int) -> ScenePreset:
    """A preset with a small grid and small batches."""
    run = scene_presets()[name]
    return replace(
        run,
        field=LESS_SCENE.get(name, run.field),
        sampler=replace(run.sampler, resolution=8, steps=24, sweep=32, every=2),
        objective=replace(run.objective, samples=128),
        fit=replace(run.fit, steps=steps),
    )


def image_run(name: str, steps: int) -> SignalPreset:
    """A preset with small batches."""
    run = image_presets()[name]
    batch = 0 if run.objective.batch == 0 else 48
    return replace(
        run,
        field=LESS_IMAGE.get(name, run.field),
        objective=replace(run.objective, batch=batch),
        fit=replace(run.fit, steps=steps),
    )


def info(width: int, height: int) -> SignalInfo:
    """Of an sRGB image of three channels."""
    extent = (float(width), float(height))
    return SignalInfo("image", (width, height), extent, 3, {"color_space": "srgb"})


def picture() -> ImageSignal:
    """16x12 pixels of noise."""
    numbers = np.random.default_rng(0).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    return open_image(numbers, ReadOptions())


def scene(run: ScenePreset, device: torch.device) -> tuple[RadianceModel, Fit]:
    """A model of CAPTURE and its loop."""
    torch.manual_seed(0)
    world = SceneInfo(CAPTURE.bounds, CAPTURE.unbounded, CAPTURE.color_space, (1.0, 1.0, 1.0))
    model = RadianceModel(run.field, run.sampler, world).to(device)
    views = CAPTURE.scene("train").to(device)
    objective = run.objective.build(views, model, Behind(None), 0)
    return model, Fit(model.field, objective, run.fit)


def image(run: SignalPreset, device: torch.device) -> tuple[SignalModel, Fit]:
    """A model of `image` and its loop."""
    torch.manual_seed(0)
    pixels = picture().to(device)
    model = SignalModel(run.field, info(pixels.width, pixels.height)).to(device)
    return model, Fit(model.field, run.objective.build(pixels, model.field, 0), run.fit)


def go(fit: Fit, steps: int) -> None:
    """Some steps, none of which may fail."""
    assert fit.config.steps is not None
    for _ in range(steps):
        assert fit.step() is None
        fit.progress.fraction = fit.progress.step / fit.config.steps


def state(fit: Fit) -> dict[str, Tensor]:
    """The state on the CPU, without the clock's seconds."""
    found = {name: tensor.cpu() for name, tensor in fit.state().items()}
    found["progress"][1] = 0
    return found


def write_data(folder: Path) -> Path:
    """CAPTURE as files."""
    folder.mkdir()
    for split in ("train", "test"):
        views, frames = CAPTURE.scene(split), []
        for i in range(len(views)):
            name, camera = f"{split}_{i}.png", views.cameras[i]
            rgba = views.view(i)[1].numpy()
            write_image(folder / name, from_float(rgba, np.dtype(np.uint8)))
            frames.append({"file_path": name, "transform_matrix": camera.pose.tolist()})
        lens = {"fl_x": camera.fl_x, "fl_y": camera.fl_y, "w": camera.width, "h": camera.height}
        text = json.dumps({**lens, "frames": frames})
        (folder / f"transforms_{split}.json").write_text(text)
    return folder
