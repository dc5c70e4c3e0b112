"""Exported graphs in ONNX Runtime against the model's own numbers in PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import onnxruntime
import torch

import polyfield
from taken.evidence import Evidence, Found
from taken.pictures import fitted
from taken.teachers import teacher_of

SCENES = ("hash", "triplane", "voxels", "mlp")
IMAGES = ("hash", "mlp", "siren")
CLOSE = 1e-4
POINTS = 20_000


def rows(evidence: Evidence) -> Iterator[tuple[str, Callable[[], Found]]]:
    """Names and what measures them."""
    for preset in SCENES:
        yield f"onnx scene {preset}", partial(scene, evidence, preset)
    for preset in IMAGES:
        yield f"onnx image {preset}", partial(image, evidence, preset)


def scene(evidence: Evidence, preset: str) -> Found:
    """Density, relative where it is above 1, and colour, at points in the box."""
    run = teacher_of(evidence, preset)
    path, _ = evidence.exported(run, "onnx", f"scene-{preset}.onnx")
    model = polyfield.load(run)
    generator = torch.Generator().manual_seed(5)
    low, high = model.bounds.double()
    points = low + torch.rand(POINTS, 3, generator=generator, dtype=torch.float64) * (high - low)
    directions = torch.nn.functional.normalize(torch.randn(POINTS, 3, generator=generator), dim=1)
    with torch.no_grad():
        wanted = model.ask(points, directions)
    given = {"points": points.numpy(), "directions": directions.numpy()}
    density, rgb = session(path).run(["density", "rgb"], given)
    size = wanted.density.clamp(min=1).numpy()
    errors = {
        "density": float((np.abs(density - wanted.density.numpy()) / size).max()),
        "rgb": float(np.abs(rgb - wanted.rgb.numpy()).max()),
    }
    return {**errors, "points": POINTS, "must": max(errors.values()) <= CLOSE}


def image(evidence: Evidence, preset: str) -> Found:
    """Values at points of the image."""
    run = fitted(evidence, preset)
    path, _ = evidence.exported(run, "onnx", f"image-{preset}.onnx")
    model = polyfield.load(run)
    x = torch.rand(POINTS, 2, generator=torch.Generator().manual_seed(1)) * model.bounds[1]
    with torch.no_grad():
        wanted = model.field(x)
    (found,) = session(path).run(None, {"coordinates": x.numpy()})
    error = float(np.abs(found - wanted.numpy()).max())
    return {"values": error, "points": POINTS, "must": error <= CLOSE}


def session(path: object) -> onnxruntime.InferenceSession:
    """On the CPU."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
