"""`polyfield compare`: the same data and budget for several presets, in one table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, TypeVar

import torch
import tyro

from polyfield.apps import config_cli
from polyfield.apps.compare_pictures import Crop, write_plots, write_sheet
from polyfield.apps.compare_table import Row, write_table
from polyfield.apps.evaluate import FITTED_VIEWS, evaluate_scene
from polyfield.apps.fit_image import ImageJob
from polyfield.apps.fit_scene import SceneJob
from polyfield.apps.fitting import DEFAULT_SECONDS, check_seed, configured, preset_of, with_budget
from polyfield.apps.image_presets import image_presets
from polyfield.apps.jobs import Asked, Way, do
from polyfield.apps.presets import ImageRun, SceneRun
from polyfield.apps.scene_presets import scene_presets
from polyfield.devices import resolve
from polyfield.errors import InputError
from polyfield.machine import use_threads
from polyfield.renderers.model import RadianceModel, SignalModel, World
from polyfield.scenes import open_capture, open_picture
from polyfield.scenes.base import ReadOptions
from polyfield.training.console import Reporter
from polyfield.training.loop import FitConfig
from polyfield.training.run import Run
from polyfield.training.throughput import query_speed

Configs = TypeVar("Configs", SceneRun, ImageRun)


@dataclass(frozen=True)
class CompareFlags:
    """The flags of both kinds."""

    out: Annotated[Path, tyro.conf.arg(metavar="DIR")]
    """Folder of the table, the pictures and the runs."""
    presets: str = "hash"
    """What to compare: names and YAML files, with commas between."""
    seconds: float | None = None
    """Training time of each. Default 60."""
    steps: int | None = None
    """Number of training steps of each, instead of --seconds."""
    seeds: int = 1
    """Seeds of each: 0, 1, ... up to this many."""
    batch: str | None = None
    """Pixels of a picture, or samples of a scene, a step; `all` for every pixel."""
    downscale: int = 1
    """Shrink pictures by this whole factor."""
    threads: int | None = None
    """CPU threads; default as PyTorch chooses, one per core."""
    device: Annotated[str, tyro.conf.arg(metavar="auto|cpu|cuda[:N]")] = "auto"
    """Where to compute; auto is an NVIDIA GPU where there is one. A run may go on elsewhere."""
    resume: bool = False
    """Go on with DIR: runs that are finished are taken as they are."""
    overwrite: bool = False
    """Begin anew, whatever comparison is in DIR."""
    quiet: bool = False
    """Print nothing but warnings and errors."""


@dataclass(frozen=True)
class ImageFlags:
    """Fit one picture with several presets, the same budget for each."""

    data: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="FILE")]
    """PNG, JPEG or EXR, or demo: a built-in picture."""
    compare: CompareFlags
    holdout: str = "0"
    """Share of the pixels kept from training, or lattice: 3 pixels of each 2x2."""
    background: str = "white"
    """What pictures with alpha are measured on: white, black or R,G,B."""


@dataclass(frozen=True)
class SceneFlags:
    """Fit one scene with several presets, the same budget for each."""

    data: Annotated[str, tyro.conf.Positional, tyro.conf.arg(metavar="DATA")]
    """Folder of a capture, or demo: a built-in scene."""
    compare: CompareFlags
    background: str = "random"
    """What stands behind pictures with alpha: white, black, random or R,G,B."""


def main_image(arguments: Sequence[str]) -> None:
    """The command line of `compare image`."""
    given = config_cli.parse(ImageFlags, arguments, "compare image")
    read = ReadOptions(given.compare.downscale, holdout=given.holdout)

    def configs(item: str) -> ImageRun:
        base = _configured(image_presets(), item)
        fit = _budget(base.fit, given.compare)
        batch = _batch(given.compare.batch, base.objective.batch, 0)
        return replace(base, fit=fit, objective=replace(base.objective, batch=batch))

    def job(asked: Asked, item: str) -> ImageJob:
        return ImageJob(asked, configs(item))

    def measure(row: Row, model: Any, show: bool) -> list[Crop]:
        assert isinstance(model, SignalModel)
        row.query_points_per_second = query_speed(model)
        if not show:
            return []
        picture = open_picture(given.data, read)
        return [Crop(row.preset, picture.pixels, model.render(picture.width, picture.height))]

    def check(item: str) -> None:
        SignalModel(configs(item).field, 8, 8, 3, "srgb")

    _compare(given.compare, _asked(given.data, read, given.background), job, measure, check)


def main_scene(arguments: Sequence[str]) -> None:
    """The command line of `compare scene`."""
    given = config_cli.parse(SceneFlags, arguments, "compare scene")
    read = ReadOptions(given.compare.downscale)

    def configs(item: str) -> SceneRun:
        base = _configured(scene_presets(), item)
        fit = _budget(base.fit, given.compare)
        samples = _batch(given.compare.batch, base.objective.samples, None)
        return replace(base, fit=fit, objective=replace(base.objective, samples=samples))

    def job(asked: Asked, item: str) -> SceneJob:
        return SceneJob(asked, configs(item))

    def measure(row: Row, model: Any, show: bool) -> list[Crop]:
        assert isinstance(model, RadianceModel)
        row.query_points_per_second = query_speed(model)
        capture = open_capture(given.data, read)
        found = evaluate_scene(model, capture, "train", Reporter(quiet=True), FITTED_VIEWS)
        row.psnr_fitted = found.metrics["psnr"]
        if not show:
            return []
        seen = evaluate_scene(model, capture, capture.splits[-1], Reporter(quiet=True), 1)
        return [Crop(row.preset, seen.pairs[0].target, seen.pairs[0].prediction)]

    def check(item: str) -> None:
        base = configs(item)
        RadianceModel(base.field, base.sampler, World(UNIT, False, "srgb", (1.0, 1.0, 1.0)))

    _compare(given.compare, _asked(given.data, read, given.background), job, measure, check)


UNIT = torch.tensor([[0.0, 0.0, 0.0], [1.0, 1.0, 1.0]])
"""Any box will do to see whether a field can be built."""

AskedBy = Callable[[str, int, int, torch.device], Asked]


def _asked(data: str, read: ReadOptions, background: str) -> AskedBy:
    def asked(preset: str, seed: int, threads: int, device: torch.device) -> Asked:
        return Asked(data, preset, read, background, seed, threads, device)

    return asked


def _compare(
    given: CompareFlags,
    asked: AskedBy,
    job: Callable[[Asked, str], Any],
    measure: Callable[[Row, Any, bool], list[Crop]],
    check: Callable[[str], object],
) -> None:
    """Run every preset with every seed, and write the table after each of them.

    Args:
        given: The flags.
        asked: (preset, seed, threads, device) -> what a fit is asked.
        job: (what is asked, item of --presets) -> the fit.
        measure: (row to fill, model, whether to show it) -> what is shown.
        check: Told every item before anything is trained; raises where one can't be built.
    """
    items = [item.strip() for item in given.presets.split(",") if item.strip()]
    names = [Path(item).stem if _is_file(item) else item for item in items]
    if not items or len(set(names)) < len(names):
        raise InputError(
            "--presets with different names", repr(given.presets), "give for instance hash,dense"
        )
    if given.seeds < 1:
        raise InputError("seeds of at least 1", str(given.seeds), "change --seeds")
    check_seed(given.seeds - 1)
    for item in items:
        check(item)
    threads, device = use_threads(given.threads), resolve(given.device)
    if given.out.exists() and not (given.resume or given.overwrite):
        raise InputError(
            "a new folder for --out",
            f"{given.out}, which is there",
            "add --resume or --overwrite, or choose another --out",
        )
    rows: list[Row] = []
    crops: list[Crop] = []
    curves: dict[str, list[list[float]]] = {}
    with Reporter(given.quiet) as reporter:
        for item, name in zip(items, names, strict=True):
            for seed in range(given.seeds):
                run = Run(given.out / f"{name}-{seed}")
                reporter.say(f"{name}, seed {seed}")
                way = Way(given.resume, given.overwrite)
                # Whatever the order of the presets, each begins from the same state.
                torch.manual_seed(seed)
                model = do(job(asked(name, seed, threads, device), item), run, reporter, way)
                row = Row.of(name, seed, run.metrics(), model.size())
                crops += measure(row, model, seed == 0)
                rows.append(row)
                if seed == 0:
                    curves[name] = run.state_meta()["history"]
                text = write_table(given.out, rows)
        write_plots(given.out, rows, curves)
        write_sheet(given.out / "crops.png", crops)
        reporter.say(text)
        reporter.say(f"written to {given.out}")


def _is_file(item: str) -> bool:
    return item.endswith((".yaml", ".yml"))


def _configured(presets: dict[str, Configs], item: str) -> Configs:
    """A preset by name, or as a YAML file changes it; `preset` in the file names its base."""
    if not _is_file(item):
        return configured(presets, item)
    return configured(presets, preset_of(Path(item)), Path(item))


def _budget(fit: FitConfig, given: CompareFlags) -> FitConfig:
    """The same for all, whatever a file says of itself."""
    seconds = given.seconds
    if seconds is None and given.steps is None:
        seconds = DEFAULT_SECONDS
    return with_budget(fit, seconds, given.steps)


def _batch(given: str | None, own: int, every: int | None) -> int:
    """The batch asked for, else the preset's own; `every` stands for "all"."""
    if given is None:
        return own
    if given == "all" and every is not None:
        return every
    if not given.isdecimal() or int(given) < 1:
        words = "a whole number of at least 1" + ("" if every is None else ", or all,")
        raise InputError(f"{words} for --batch", repr(given), "give for instance 16384")
    return int(given)
