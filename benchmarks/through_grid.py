"""What a run's occupancy grid takes away: views through it against the same field everywhere.

python through_grid.py RUN [THREADS]    prints one line of JSON

Eight held-out views, or the first eight of training, at most 200 pixels of each side, on white;
512 intervals of each ray stand for everywhere. Versions of polyfield since d1863d0 can run it.
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

import polyfield
from polyfield.machine import use_threads
from polyfield.renderers.occupancy import OccupancyGrid
from polyfield.renderers.samplers import Sampler, Uniform
from polyfield.renderers.volume import composite, points
from polyfield.scenes.camera_files import read_cameras
from polyfield.scenes.cameras import Camera, Cameras
from polyfield.scenes.rays import Rays

VIEWS, SIDE = 8, 200
"""Views, and most rows and columns of one."""
DENSE = 512
"""Intervals of a ray through the box; of the diagonal, where there is no end."""
LIMIT = 1 << 14
"""Most intervals of a ray that has no end."""
PART = 512
"""Rays sampled densely at once."""
BITE = 0.3
"""How much less opaque a pixel is that lacks something."""


@torch.no_grad()
def measure(run: Path) -> dict[str, Any]:
    """How far the two pictures are apart, and what the grid holds."""
    model: Any = polyfield.load(run)
    everywhere, grid = _everywhere(model), model.renderer.sampler
    errors, lacking, pixels, samples = [], 0, 0, 0
    for camera in _views(run):
        rays = _some(_rays(model, camera), camera)
        color, opacity = _dense(model, everywhere, rays)
        seen = model.render_rays(rays, background=torch.ones(3))
        errors.append(float((seen.color.clamp(0, 1) - color).double().square().mean()))
        lacking += int((opacity - seen.opacity > BITE).sum())
        pixels += len(rays)
        samples += len(grid(rays, None))
    return {
        "psnr": _decibels(math.fsum(errors) / len(errors)),
        "worst_psnr": _decibels(max(errors)),
        "lacking": lacking,
        "pixels": pixels,
        "occupied": float(grid.occupied.float().mean()),
        "samples_a_ray": samples / pixels,
    }


def _views(run: Path) -> list[Camera]:
    """Held-out views, evenly spread, or the first ones of training."""
    known = read_cameras(run / "cameras.json")
    tests = known.get("test")
    if not tests:
        return known["train"][:VIEWS]
    count = min(len(tests), VIEWS)
    return [tests[i * len(tests) // count] for i in range(count)]


def _rays(model: Any, camera: Camera) -> Rays:
    """All rays of a camera in the field's coordinates, which older models didn't say."""
    try:
        rays: Rays = model.rays(camera)
    except AttributeError:
        stack: Any = Cameras.stack
        rays = stack([camera], origin=model.origin).view(0)
    return rays.flatten()


def _some(rays: Rays, camera: Camera) -> Rays:
    """Those of evenly spread rows and columns."""
    rows, columns = (
        torch.arange(min(n, SIDE)) * n // min(n, SIDE) for n in (camera.height, camera.width)
    )
    return rays[(rows[:, None] * camera.width + columns).reshape(-1)]


def _everywhere(model: Any) -> Sampler:
    """A sampler that leaves out nothing."""
    domain = model.field.domain
    if not domain.contracted:
        return Uniform(DENSE).build(domain)
    full = OccupancyGrid(resolution=2, steps=DENSE, limit=LIMIT).build(domain)
    assert bool(full.occupied.all()), "a grid that never looked anywhere"
    return full


def _dense(model: Any, sampler: Sampler, rays: Rays) -> tuple[Tensor, Tensor]:
    """Colours on white, and opacities."""
    parts = []
    for at in range(0, len(rays), PART):
        part = rays[slice(at, at + PART)]
        intervals = sampler(part, None)
        sample = model.field(*points(part, intervals))
        parts.append(composite(sample.rgb, sample.density, intervals))
    color = torch.cat([part.over(torch.ones(3)) for part in parts]).clamp(0, 1)
    return color, torch.cat([part.opacity for part in parts])


def _decibels(error: float) -> float | None:
    """PSNR of a mean square error; None where there is none."""
    return -10 * math.log10(error) if error > 0 else None


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    use_threads(int(sys.argv[2]) if len(sys.argv) > 2 else 1)
    print(json.dumps(measure(Path(sys.argv[1]))))
