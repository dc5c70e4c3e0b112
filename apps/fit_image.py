"""`polyfield fit image` and `polyfield.fit_image`: a picture in, a field of it out."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import torch
import tyro

from polyfield.apps.evaluate import Measured, evaluate_image
from polyfield.apps.fitting import FitFlags, check_seed, configured, read_flags, way_of, with_budget
from polyfield.apps.image_presets import image_presets
from polyfield.apps.jobs import Asked, Job, do
from polyfield.apps.presets import ImageRun
from polyfield.devices import describe, resolve
from polyfield.machine import use_threads
from polyfield.renderers.model import SignalModel
from polyfield.scenes import open_picture
from polyfield.scenes.background import viewing_background
from polyfield.scenes.base import ReadOptions
from polyfield.scenes.color import from_float
from polyfield.scenes.holdout import kept_pixels
from polyfield.scenes.images import write_image
from polyfield.training.console import Reporter
from polyfield.training.loop import Fit
from polyfield.training.run import Run


class ImageJob(Job[SignalModel]):
    """Fit a field to a picture.

    Args:
        asked: Data, seed and so on.
        configs: The architecture and its numbers, with a budget.
        array: The picture itself, where it is no file.
    """

    def __init__(self, asked: Asked, configs: ImageRun, array: np.ndarray | None = None) -> None:
        self._asked, self._configs, self.device = asked, configs, asked.device
        self._source = asked.data if array is None else array
        self._background = viewing_background(asked.background)

    def tree(self) -> dict[str, Any]:
        """What config.yaml says."""
        return self._asked.tree("image", self._configs)

    def read(self, reporter: Reporter) -> str:
        """Read the picture."""
        self._picture = open_picture(self._source, self._asked.read)
        height, width, channels = self._picture.pixels.shape
        reporter.say(
            f"{self._picture.name}: {width}x{height}, {channels} channels of "
            f"{self._picture.dtype.name}, {describe(self.device)}, {self._asked.threads} threads, "
            f"seed {self._asked.seed}"
        )
        pixels = self._picture.pixels.contiguous().numpy().tobytes()
        return hashlib.sha256(pixels).hexdigest()[:16]

    def build(self) -> tuple[SignalModel, Fit]:
        """The model over the picture's pixels, and its loop."""
        torch.manual_seed(self._asked.seed)
        picture, configs = self._picture, self._configs
        height, width, channels = picture.pixels.shape
        model = SignalModel(configs.field, width, height, channels, picture.color_space)
        model.to(self.device)
        kept = self._kept = kept_pixels(width, height, self._asked.read.holdout)
        pixels = picture.to(self.device)
        objective = configs.objective.build(pixels, model.field, self._asked.seed, kept)
        return model, Fit(model.field, objective, configs.fit)

    def begin(self, run: Run) -> None:
        """Nothing more: a picture has no cameras."""

    def measure(self, model: SignalModel, reporter: Reporter) -> Measured:
        """Compare with all of the picture."""
        self._prediction = model.render(self._picture.width, self._picture.height)
        return evaluate_image(self._prediction, self._picture, self._background, self._kept)

    def finish(self, run: Run, measured: Measured) -> None:
        """Write the prediction in the picture's own type."""
        picture = self._picture
        write_image(
            run.file(f"prediction{self._ending()}"),
            from_float(self._prediction.numpy(), picture.dtype),
        )

    def _ending(self) -> str:
        """The picture's own ending where it can hold the values, else one that can."""
        picture = self._picture
        own = Path(self._asked.data).suffix.lower()
        if picture.dtype.kind == "f":
            return ".exr"
        is_jpeg = own in (".jpg", ".jpeg") and picture.channels in (1, 3)
        return own if is_jpeg else ".png"


def fit_image(
    picture: str | os.PathLike[str] | np.ndarray,
    *,
    out: str | os.PathLike[str] | None = None,
    preset: str = "hash",
    seconds: float | None = None,
    steps: int | None = None,
    seed: int = 0,
    device: str = "auto",
) -> SignalModel:
    """Train a field to be a picture.

    Args:
        picture: A file, "demo", or an array [h, w] or [h, w, 1-4] of uint8, uint16 or float32.
        out: A new folder for the run; None writes and measures nothing.
        preset: Architecture and numbers.
        seconds: Training time; 60 where neither this nor `steps` is given.
        steps: Training steps, instead of `seconds`.
        seed: Of everything random.
        device: auto for a GPU where there is one; cpu, cuda or cuda:N.

    Returns:
        The trained model, on that device: `.field`, `.bounds`, `.render(width, height)`.

    Raises:
        InputError: the picture, the folder, the device or a value can't be used.
    """
    check_seed(seed)
    configs = configured(image_presets(), preset)
    configs = replace(configs, fit=with_budget(configs.fit, seconds, steps))
    array = picture if isinstance(picture, np.ndarray) else None
    data = "array" if isinstance(picture, np.ndarray) else os.fspath(picture)
    threads, place = use_threads(None), resolve(device)
    asked = Asked(data, preset, seed=seed, threads=threads, device=place)
    run = None if out is None else Run(Path(out))
    return do(ImageJob(asked, configs, array), run, Reporter(quiet=True))


@dataclass(frozen=True)
class Flags:
    """Train a field to be a picture, then measure it."""

    data: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="FILE")]
    """PNG, JPEG or EXR, or demo: a built-in picture."""
    fit: FitFlags
    downscale: int = 1
    """Shrink the picture by this whole factor."""
    holdout: str = "0"
    """Share of the pixels kept from training, or lattice: 3 pixels of each 2x2."""
    background: str = "white"
    """What pictures with alpha are measured on: white, black or R,G,B."""


def main(arguments: Sequence[str]) -> None:
    """The command line."""
    flags, configs = read_flags(Flags, image_presets(), arguments, "fit image")
    fit = flags.fit
    check_seed(fit.seed)
    configs = replace(configs, fit=with_budget(configs.fit, fit.seconds, fit.steps))
    read = ReadOptions(flags.downscale, holdout=flags.holdout)
    threads, device = use_threads(fit.threads), resolve(fit.device)
    asked = Asked(flags.data, fit.preset, read, flags.background, fit.seed, threads, device)
    way = way_of(fit)
    with Reporter(fit.quiet) as reporter:
        do(ImageJob(asked, configs), Run(fit.out), reporter, way)
