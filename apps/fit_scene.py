"""`polyfield fit scene` and `polyfield.fit_scene`: posed pictures in, a radiance model out."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import torch
import tyro

from polyfield.apps.evaluate import Measured, evaluate_scene
from polyfield.apps.fitting import FitFlags, check_seed, configured, read_flags, way_of, with_budget
from polyfield.apps.jobs import Asked, Job, do
from polyfield.apps.presets import SceneRun
from polyfield.apps.scene_presets import scene_presets
from polyfield.devices import describe, resolve
from polyfield.machine import use_threads
from polyfield.renderers.model import RadianceModel, World
from polyfield.scenes import open_capture
from polyfield.scenes.background import estimate_background, training_background, viewing_background
from polyfield.scenes.base import ReadOptions
from polyfield.scenes.camera_files import fingerprint, write_cameras
from polyfield.training.console import Reporter
from polyfield.training.loop import Fit
from polyfield.training.run import Run


class SceneJob(Job[RadianceModel]):
    """Fit a radiance field to a capture.

    Args:
        asked: Data, seed and so on.
        configs: The architecture and its numbers, with a budget.
    """

    def __init__(self, asked: Asked, configs: SceneRun) -> None:
        self._asked, self._configs, self.device = asked, configs, asked.device
        self._viewing = viewing_background(asked.background)
        self._training = training_background(asked.background)
        self._carve = False

    def tree(self) -> dict[str, Any]:
        """What config.yaml says."""
        return self._asked.tree("scene", self._configs)

    def read(self, reporter: Reporter) -> str:
        """Parse the capture and read its training pictures."""
        asked = self._asked
        self._capture = open_capture(asked.data, asked.read)
        for warning in self._capture.warnings:
            reporter.warn(warning)
        self._scene = self._capture.scene("train")
        reporter.say(
            f"{self._capture.name}: {len(self._scene)} training views, "
            f"{describe(self.device)}, {asked.threads} threads, seed {asked.seed}"
        )
        opaque = not self._scene.has_alpha and not self._capture.unbounded
        guessed = opaque and asked.background == "random"
        found = estimate_background(self._scene) if guessed else None
        if found is not None:
            self._viewing, self._training, self._carve = found, torch.tensor(found), True
            color = ",".join(f"{value:.3g}" for value in found)
            reporter.say(f"pictures without alpha: background {color}, the colour of their borders")
        return fingerprint(self._capture, self._scene)

    def build(self) -> tuple[RadianceModel, Fit]:
        """The model in the capture's frame, and its loop."""
        torch.manual_seed(self._asked.seed)
        capture, configs = self._capture, self._configs
        world = World(capture.bounds, capture.unbounded, capture.color_space, self._viewing)
        model = RadianceModel(configs.field, configs.sampler, world).to(self.device)
        objective = configs.objective.build(
            self._scene.to(self.device),
            model.field,
            model.renderer,
            self._training,
            self._asked.seed,
            self._carve,
        )
        return model, Fit(model.field, objective, configs.fit)

    def begin(self, run: Run) -> None:
        """Write cameras.json."""
        write_cameras(run.file("cameras.json"), self._capture)

    def measure(self, model: RadianceModel, reporter: Reporter) -> Measured:
        """Compare with the test views."""
        return evaluate_scene(model, self._capture, "test", reporter)

    def finish(self, run: Run, measured: Measured) -> None:
        """Nothing more: the preview shows the views."""


def fit_scene(
    data: str | os.PathLike[str],
    *,
    out: str | os.PathLike[str] | None = None,
    preset: str = "hash",
    seconds: float | None = None,
    steps: int | None = None,
    seed: int = 0,
    device: str = "auto",
) -> RadianceModel:
    """Train a radiance field from posed pictures.

    Args:
        data: A folder in NeRF-synthetic or transforms.json form, or "demo".
        out: A new folder for the run; None writes and measures nothing.
        preset: Architecture and numbers.
        seconds: Training time; 60 where neither this nor `steps` is given.
        steps: Training steps, instead of `seconds`.
        seed: Of everything random.
        device: auto for a GPU where there is one; cpu, cuda or cuda:N.

    Returns:
        The trained model, on that device: `.field`, `.bounds`, `.render(camera)`.

    Raises:
        InputError: the data, the folder, the device or a value can't be used.
    """
    check_seed(seed)
    configs = configured(scene_presets(), preset)
    configs = replace(configs, fit=with_budget(configs.fit, seconds, steps))
    threads, place = use_threads(None), resolve(device)
    asked = Asked(os.fspath(data), preset, seed=seed, threads=threads, device=place)
    run = None if out is None else Run(Path(out))
    return do(SceneJob(asked, configs), run, Reporter(quiet=True))


@dataclass(frozen=True)
class Flags:
    """Train a radiance field from posed pictures, then measure it on views it never saw."""

    data: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="DATA")]
    """Folder in NeRF-synthetic or transforms.json form, or demo: a built-in scene."""
    fit: FitFlags
    downscale: int = 1
    """Shrink pictures by this whole factor."""
    strict: bool = False
    """Make a missing picture an error instead of a warning."""
    test_every: int = 8
    """Every n-th frame is kept for the test where the data has no split; 0 keeps none."""
    bounds: tuple[float, float, float, float, float, float] | None = None
    """Box of the scene, xmin ymin zmin xmax ymax zmax in the data's frame; default automatic."""
    background: str = "random"
    """white, black, R,G,B, or random: a new one for each training ray, measured on white."""


def main(arguments: Sequence[str]) -> None:
    """The command line."""
    flags, configs = read_flags(Flags, scene_presets(), arguments, "fit scene")
    fit = flags.fit
    check_seed(fit.seed)
    configs = replace(configs, fit=with_budget(configs.fit, fit.seconds, fit.steps))
    read = ReadOptions(flags.downscale, flags.strict, flags.test_every, flags.bounds)
    threads, device = use_threads(fit.threads), resolve(fit.device)
    asked = Asked(flags.data, fit.preset, read, flags.background, fit.seed, threads, device)
    way = way_of(fit)
    with Reporter(fit.quiet) as reporter:
        do(SceneJob(asked, configs), Run(fit.out), reporter, way)
