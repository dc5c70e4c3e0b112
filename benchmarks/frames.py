"""Time frames of two runs' fields along the same rays, in the same occupancy grid.

python benchmarks/frames.py BANK_RUN MLP_RUN    # grid, step and early stop of the second

Then the same against dense samples: 384 on each ray, none left out, as KiloNeRF's teacher renders;
and how much a student's image changes without its grid, where it never learned anything.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import torch
from torch import Tensor

from polyfield.apps.benchmarks.timing import in_turns
from polyfield.encodings.domain import domain
from polyfield.renderers.radiance_model import RadianceModel
from polyfield.renderers.renderer import VolumeRenderer
from polyfield.renderers.samplers import Uniform
from polyfield.renderers.volume import points, rendered
from polyfield.scenes.camera_files import read_cameras
from polyfield.scenes.rays import Rays
from polyfield.training.run import load
from polyfield.training.scores import psnr

TURNS = 5
DENSE = 384
ROWS = 10
"""Rows of pixels that the dense image is measured on; it takes minutes."""


@torch.no_grad()
def dense(model: RadianceModel, rays: Rays) -> Tensor:
    """Colours by every sample of every ray."""
    sampler, parts = Uniform(DENSE).build(domain(model.info.bounds, False)), []
    for at in range(0, len(rays), 200):
        part = rays[slice(at, at + 200)]
        intervals = sampler(part, model.field.probe())
        sample = model.field(*points(part, intervals))
        parts.append(rendered(model.field, sample, intervals, part).over(model.background))
    return torch.cat(parts).clamp(0, 1)


def main(bank_run: str, mlp_run: str) -> None:
    """Print the times and their ratios."""
    bank, mlp = load(bank_run), load(mlp_run)
    assert isinstance(bank, RadianceModel) and isinstance(mlp, RadianceModel)
    views = read_cameras(Path(mlp_run) / "cameras.json")
    camera = (views.get("test") or views["train"])[0]
    rays = mlp.rays(camera)
    shared = VolumeRenderer(mlp.renderer.sampler)
    found = in_turns(
        {
            "bank": lambda: shared.picture(bank.field, rays),
            "mlp": lambda: shared.picture(mlp.field, rays),
        },
        TURNS,
    )
    size = f"{camera.width}x{camera.height}"
    print(f"frame {size}: bank {found['bank']:.3f} s, 8x256 {found['mlp']:.3f} s, "
          f"{found['mlp'] / found['bank']:.1f}x")  # fmt: skip
    middle = rays[slice(camera.height // 2 - ROWS // 2, camera.height // 2 + ROWS // 2)].flatten()
    share = camera.height / ROWS
    began = time.perf_counter()
    seen = dense(mlp, middle)
    whole = (time.perf_counter() - began) * share
    print(f"8x256, {DENSE} dense samples a ray: {whole:.1f} s a frame, "
          f"{whole / found['bank']:.0f}x the bank's in its grid")  # fmt: skip
    for name, model, bare in (("8x256", mlp, seen), ("bank", bank, dense(bank, middle))):
        inside = model.render_rays(middle).color.clamp(0, 1)
        samples = len(model.renderer.sampler(middle, model.field.probe())) / len(middle)
        print(f"{name}: its grid leaves {samples:.1f} samples a ray; without it the image is "
              f"{psnr(bare, inside):.1f} dB off")  # fmt: skip


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
