"""`polyfield evaluate`: how near a run comes to pictures it was not trained on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import torch
import tyro
from jaxtyping import Float
from torch import Tensor

from polyfield.apps import config_cli
from polyfield.config import from_tree
from polyfield.devices import resolve
from polyfield.errors import InputError
from polyfield.machine import use_threads
from polyfield.renderers.model import RadianceModel, SignalModel
from polyfield.scenes import open_capture, open_picture
from polyfield.scenes.background import viewing_background
from polyfield.scenes.base import Capture, ReadOptions, Scene
from polyfield.scenes.color import srgb_from_linear
from polyfield.scenes.holdout import kept_pixels
from polyfield.scenes.signals.image import Picture
from polyfield.training.console import Reporter
from polyfield.training.figures import Pair
from polyfield.training.run import Run, facts, load, update_metrics
from polyfield.training.scores import psnr, ssim

PREVIEWS = 3
"""Views in preview.png, evenly spread over the split."""
FITTED_VIEWS = 8
"""Views measured where there is no test split and the training views have to do."""


@dataclass(frozen=True)
class Measured:
    """What an evaluation found."""

    metrics: dict[str, Any]
    """The keys of metrics.json."""
    pairs: list[Pair]
    """A few views for the preview."""
    linear: bool
    """Whether the pairs are linear light."""

    def line(self) -> str:
        """The result in one line."""
        m = self.metrics
        views = f"{m['views']} view{'s' if m['views'] != 1 else ''} of split {m['split']}"
        linear = f", linear {m['psnr_linear']:.2f} dB" if "psnr_linear" in m else ""
        if "psnr_heldout" in m:
            linear += f", held out {m['psnr_heldout']:.2f} dB, fitted {m['psnr_fitted']:.2f} dB"
        return f"PSNR {m['psnr']:.2f} dB{linear}, SSIM {m['ssim']:.4f} ({views})"


def evaluate_scene(
    model: RadianceModel,
    capture: Capture,
    split: str,
    reporter: Reporter,
    most: int | None = None,
) -> Measured:
    """Render every view of a split and compare.

    A capture without that split is measured on a few of its training views, and the metrics say so.

    Args:
        model: Trained.
        capture: Where the views come from.
        split: Usually "test".
        reporter: Told how many views are done.
        most: At most so many views, evenly spread; None for all.

    Raises:
        InputError: the capture has splits, but not this one.
    """
    if split == "test" and "test" not in capture.splits:
        split = "train"
        scene = capture.scene(split)
        indices = _spread(len(scene), FITTED_VIEWS)
    else:
        scene = capture.scene(split)
        indices = _spread(len(scene), most or len(scene))
    shown = {indices[i] for i in _spread(len(indices), PREVIEWS)}
    names: list[str] = []
    scores: list[dict[str, float]] = []
    pairs: list[Pair] = []
    for done, index in enumerate(indices):
        prediction, target = compared(model, scene, index)
        name, score = scene.view_name(index), _scores(prediction, target)
        names.append(name)
        scores.append(score)
        if index in shown:
            pairs.append(Pair(target, prediction, f"{name} {score['psnr']:.2f} dB"))
        reporter.count("measured", done + 1, len(indices))
    metrics = {
        **{key: _mean([score[key] for score in scores]) for key in ("psnr", "ssim")},
        "split": split,
        "views": len(scores),
        "frames_skipped": len(capture.frames_skipped),
        "color_space": model.color_space,
        "background": model.background.tolist(),
        "per_view": [{"name": n, **s} for n, s in zip(names, scores, strict=True)],
    }
    return Measured(metrics, pairs, model.color_space == "linear")


def compared(
    model: RadianceModel, scene: Scene, index: int
) -> tuple[Float[Tensor, "h w 3"], Float[Tensor, "h w 3"]]:
    """Prediction and target of a view, in [0, 1], both on the model's background."""
    rays, rgba = scene.view(index)
    target = rgba[..., :3] * rgba[..., 3:] + model.background * (1 - rgba[..., 3:])
    return model.render_rays(rays).color.clamp(0, 1), target.clamp(0, 1)


def evaluate_image(
    prediction: Float[Tensor, "h w c"],
    picture: Picture,
    background: tuple[float, float, float],
    kept: Tensor | None = None,
) -> Measured:
    """Compare a whole picture.

    Integer pictures are compared as they are stored. Float pictures are compared twice: in linear
    light against the brightest target value, and between 0 and 1 after the sRGB curve. Pictures
    with alpha are compared in front of the background.

    Args:
        prediction: What the model says of every pixel.
        picture: What it was trained on.
        background: In the picture's colour space.
        kept: Numbers of the pixels it was trained on, where some were held out: these and the
            others are measured apart too, as psnr_fitted and psnr_heldout.
    """
    linear = picture.color_space == "linear"
    found, target = (_over(p, background, linear) for p in (prediction, picture.pixels))
    metrics: dict[str, Any] = {}
    if linear:
        metrics["psnr_linear"] = psnr(found, target, peak=float(target.max()))
        found, target = srgb_from_linear(found), srgb_from_linear(target)
    found, target = found.clamp(0, 1), target.clamp(0, 1)
    score = _scores(found, target)
    if kept is not None:
        seen = torch.zeros(picture.height * picture.width, dtype=torch.bool)
        seen[kept] = True
        for name, mask in (("psnr_fitted", seen), ("psnr_heldout", ~seen)):
            metrics[name] = psnr(found.flatten(0, 1)[mask], target.flatten(0, 1)[mask])
    metrics |= {**score, "split": "all", "views": 1, "frames_skipped": 0}
    metrics |= {"color_space": picture.color_space, "background": list(background)}
    metrics["per_view"] = [{"name": picture.name, **score}]
    return Measured(metrics, [Pair(target, found, f"{score['psnr']:.2f} dB")], False)


def main(arguments: Sequence[str]) -> None:
    """The command line."""
    given = config_cli.parse(Flags, arguments, "evaluate")
    use_threads(given.threads)
    device = resolve(given.device)
    reporter = Reporter(given.quiet)
    run = Run(given.run)
    config = run.config()
    model = load(run.path).to(device)
    data = given.data or config["data"]
    read = from_tree(ReadOptions, config["read"], "read")
    if isinstance(model, SignalModel):
        if given.split not in ("test", "all"):
            raise InputError("no --split for a picture", given.split, "leave it out")
        picture = open_picture(data, read)
        prediction = model.render(picture.width, picture.height)
        background = viewing_background(config["background"])
        kept = kept_pixels(picture.width, picture.height, read.holdout)
        measured = evaluate_image(prediction, picture, background, kept)
    else:
        capture = open_capture(data, read)
        for warning in capture.warnings:
            reporter.warn(warning)
        measured = evaluate_scene(model, capture, given.split, reporter)
    reporter.say(measured.line())
    metrics = {**facts(run, model), "data": data, **measured.metrics}
    if given.overwrite:
        run.file("metrics.json").unlink(missing_ok=True)
    update_metrics(run, metrics)
    reporter.say(f"written to {run.file('metrics.json')}")


@dataclass(frozen=True)
class Flags:
    """Measure a run on pictures it was not trained on, and write RUN/metrics.json."""

    run: Annotated[Path, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """Folder of the run."""
    data: str | None = None
    """The pictures; default those of the fit."""
    split: str = "test"
    """Which part of the data: test, train, val."""
    threads: int | None = None
    """CPU threads."""
    device: Annotated[str, tyro.conf.arg(metavar="auto|cpu|cuda[:N]")] = "auto"
    """Where to compute; auto is an NVIDIA GPU where there is one."""
    overwrite: bool = False
    """Write metrics.json anew, without what earlier evaluations left in it."""
    quiet: bool = False
    """Print nothing but warnings and errors."""


def _over(
    pixels: Float[Tensor, "h w c"], background: tuple[float, float, float], associated: bool
) -> Float[Tensor, "h w c2"]:
    """Grey or colour in front of a background; without alpha, as it is.

    Args:
        pixels: 1 grey, 2 grey and alpha, 3 RGB, 4 RGBA.
        background: What shows through.
        associated: Colours are already multiplied by alpha (OpenEXR's convention).
    """
    if pixels.shape[-1] in (1, 3):
        return pixels
    color, alpha = pixels[..., :-1], pixels[..., -1:]
    color = color if associated else color * alpha
    return color + (1 - alpha) * torch.tensor(background)


def _scores(prediction: Float[Tensor, "h w c"], target: Float[Tensor, "h w c"]) -> dict[str, float]:
    return {"psnr": psnr(prediction, target), "ssim": ssim(prediction, target)}


def _mean(values: list[float]) -> float:
    return math.fsum(values) / len(values)


def _spread(count: int, wanted: int) -> list[int]:
    """At most `wanted` of the numbers below `count`, evenly spread."""
    step = max(count / wanted, 1.0)
    return [int(i * step) for i in range(min(count, wanted))]
