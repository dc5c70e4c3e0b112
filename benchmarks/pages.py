"""Pages against the run they are made of: bytes, and how near they come.

python benchmarks/pages.py RUN SHADING:RESOLUTION ...    # sh:168 deferred:168 deferred:210

For each the page that `polyfield export RUN --to web` would write is made, and what it draws is
measured in Python, from the very bytes: against the test images, as `polyfield evaluate` does, and
against the run itself on every fourth test view, at half size where they are wider than 300.
"""

from __future__ import annotations

import sys
from pathlib import Path

from polyfield.apps.choices import task_of
from polyfield.apps.export import source_of
from polyfield.renderers.exports.web import Web, page
from polyfield.renderers.radiance_model import RadianceModel
from polyfield.scenes.cameras import Camera
from polyfield.training.run import Run
from polyfield.training.scores import psnr
from polyfield.training.watchers.console import Reporter

LARGE = 300
"""Width of views that are halved for the second measure."""


def likeness(one: RadianceModel, other: RadianceModel, cameras: list[Camera]) -> float:
    """Mean PSNR of what one model shows against another, dB."""
    scores = []
    for camera in cameras:
        if camera.width > LARGE:
            camera = camera.resized(camera.width // 2, camera.height // 2)
        pair = (model.render(camera).color.clamp(0, 1) for model in (one, other))
        scores.append(float(psnr(*pair)))
    return sum(scores) / len(scores)


def main(run: str, wanted: list[str]) -> None:
    """Print a row for each page."""
    folder, source = Run(Path(run)), source_of(run, "cpu")
    model, task, quiet = source.model, task_of(folder), Reporter(quiet=True)
    assert isinstance(model, RadianceModel) and source.learn is not None
    data = task.reopen(folder.config()["data"], folder)
    scores = task.measure(model, data, "test", quiet).scores
    print(f"{run}: PSNR {scores['psnr']:.2f} dB, SSIM {scores['ssim']:.4f}", flush=True)
    for each in wanted:
        shading, resolution = each.split(":")
        options = Web(shading=shading, resolution=int(resolution))  # type: ignore[arg-type]
        made = options.bake(source, lambda line: None)
        assert isinstance(made, RadianceModel)
        size = len(page(made, source)) / 1e6
        scores = task.measure(made, data, "test", quiet).scores
        near = likeness(made, model, list(source.cameras["test"])[::4])
        print(f"{each}: {size:.1f} MB, PSNR {scores['psnr']:.2f} dB, SSIM {scores['ssim']:.4f}, "
              f"{near:.2f} dB to the run", flush=True)  # fmt: skip


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(sys.argv[1], sys.argv[2:])
