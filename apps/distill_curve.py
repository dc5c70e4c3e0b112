"""The curve of a distillation: PSNR on a fixed set of pixels while training, off the clock."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from polyfield.files import read_json, write_json
from polyfield.renderers.model import RadianceModel, SignalModel
from polyfield.scenes.base import Scene
from polyfield.scenes.cameras import Cameras
from polyfield.scenes.color import srgb_from_linear
from polyfield.scenes.rays import Rays
from polyfield.training.loop import Progress
from polyfield.training.run import Run
from polyfield.training.scores import psnr

PIXELS = 1 << 15
"""Fixed random pixels a curve is measured on."""
LOOKS = 40
"""How often, at equal distances in progress."""


@dataclass(frozen=True)
class Pixels:
    """Rays and the colours they should see."""

    rays: Rays
    """[n]."""
    color: Float[Tensor, "n 3"]
    """In [0, 1], over the model's background."""


def photographed(scene: Scene, background: Float[Tensor, "3"]) -> Pixels:
    """Pixels of photographs."""
    rays, rgba = scene.sample(PIXELS, torch.Generator().manual_seed(0))
    color = rgba[:, :3] * rgba[:, 3:] + background * (1 - rgba[:, 3:])
    return Pixels(rays, color.clamp(0, 1))


def imagined(model: RadianceModel, cameras: Cameras) -> Pixels:
    """Pixels of what a model sees through cameras."""
    generator = torch.Generator().manual_seed(0)
    camera = torch.randint(len(cameras), (PIXELS,), generator=generator)
    u = torch.rand(PIXELS, 2, generator=generator)
    rays = cameras.rays(camera, (u * cameras.size[camera]).floor() + 0.5)
    return Pixels(rays, model.render_rays(rays).color.clamp(0, 1))


Look = Callable[[], float]
"""The PSNR of a model as it is now."""


def look_at_rays(model: RadianceModel, pixels: Pixels) -> Look:
    """Of what a scene's model renders, in dB."""
    return lambda: psnr(model.render_rays(pixels.rays).color.clamp(0, 1), pixels.color)


def look_at_picture(model: SignalModel, picture: Float[Tensor, "h w c"]) -> Look:
    """Of a picture's model on fixed pixels of a picture of its size, in dB after the sRGB curve."""
    generator = torch.Generator().manual_seed(0)
    pick = torch.randperm(model.width * model.height, generator=generator)[:PIXELS].sort()[0]
    x = (torch.stack([pick % model.width, pick // model.width], -1) + 0.5).to(model.device)

    def shown(values: Tensor) -> Tensor:
        return (srgb_from_linear(values) if model.color_space == "linear" else values).clamp(0, 1)

    target = shown(picture.flatten(0, 1)[pick])

    @torch.no_grad()
    def look() -> float:
        return psnr(shown(model.field(x).cpu()), target)

    return look


class Curve:
    """Rows of seconds and PSNR, kept in the run's curve.json so that resuming goes on with them."""

    def __init__(self, run: Run, look: Look, looks: int = LOOKS) -> None:
        self._run, self._look = run, look
        self._every, self._next = 1 / looks, 0.0
        # Read with the first step: only then is it known whether the run is a new one.
        self._rows: list[dict[str, float]] | None = None

    def watch(self, progress: Progress) -> None:
        """Measure when it is time."""
        if self._rows is None:
            self._rows = [r for r in curve_of(self._run) if r["progress"] <= progress.fraction]
            self._next = self._rows[-1]["progress"] + self._every if self._rows else 0.0
        if progress.fraction < self._next and progress.fraction < 1:
            return
        self._next = progress.fraction + self._every
        self._rows.append(
            {
                "seconds": round(progress.seconds, 3),
                "progress": round(progress.fraction, 5),
                "psnr": round(self._look(), 3),
            }
        )
        write_json(self._run.file("curve.json"), {"rows": self._rows})


def curve_of(run: Run) -> list[dict[str, float]]:
    """The curve a run has so far."""
    path = run.file("curve.json")
    return list(read_json(path)["rows"]) if path.is_file() else []


def seconds_to(rows: list[dict[str, float]], wanted: float) -> float | None:
    """When a curve first reaches a PSNR; None if it never does."""
    for before, row in zip([None, *rows], rows, strict=False):
        if row["psnr"] >= wanted:
            if before is None or row["psnr"] == before["psnr"]:
                return row["seconds"]
            share = (wanted - before["psnr"]) / (row["psnr"] - before["psnr"])
            return before["seconds"] + share * (row["seconds"] - before["seconds"])
    return None
