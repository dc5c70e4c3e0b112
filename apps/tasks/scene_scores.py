"""How near a radiance model is to views, as papers report it."""

from __future__ import annotations

import math
import time
from statistics import median

import torch
from jaxtyping import Float
from torch import Tensor

from polyfield.errors import InputError
from polyfield.renderers.radiance_model import RadianceModel
from polyfield.scenes.base import Capture, Scene
from polyfield.scenes.cameras import Cameras
from polyfield.scenes.poses import random_cameras
from polyfield.scenes.rays import Rays
from polyfield.training.figures import Pair
from polyfield.training.scores import PSNR, mse, psnr, ssim
from polyfield.training.task import Fidelity, Measured
from polyfield.training.watchers.console import Reporter

PREVIEWS = 3
"""Views in preview.png, evenly spread over the split."""
FITTED_VIEWS = 8
"""Views measured where there is no test split and the training views have to do."""
ENOUGH_VIEWS, ENOUGH_PIXELS = 8, 1 << 23
"""Views, and pixels of views, that are enough at the end of a fit."""
UNSEEN = 4
"""New poses from which student and teacher are compared."""
AT_ONCE = 1 << 18
"""Rays of a view that are rendered together: a whole number of the renderer's own batches."""
PIXELS = 1 << 15
"""Fixed random pixels a curve is measured on."""


def measure_scene(
    model: RadianceModel,
    capture: Capture,
    split: str,
    reporter: Reporter,
    most: int | None = None,
) -> Measured:
    """Render every view of a split and compare.

    A capture without that split is measured on a few of its training views, and the metrics say so.
    Pixels that masks ignore are not measured, and views without any other are left out.

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
    indices = [index for index in indices if _counts(scene, index)]
    if not indices:
        raise InputError(
            f"pixels that count in the {split} images of {capture.path}",
            "masks that ignore all of them",
            "measure another split",
        )
    marked = {indices[i] for i in _spread(len(indices), PREVIEWS)}
    names: list[str] = []
    scores: list[dict[str, float]] = []
    pairs: list[Pair] = []
    for done, index in enumerate(indices):
        prediction, target = compared(model, scene, index)
        name, mask = scene.view_name(index), scene.mask(index)
        seen = (prediction, target) if mask is None else (prediction[mask], target[mask])
        score = {
            "psnr": psnr(*seen),
            "ssim": ssim(prediction, target, mask),
            "mse": mse(*seen),
        }
        names.append(name)
        scores.append(score)
        if index in marked:
            pairs.append(Pair(target, prediction, f"{name} {PSNR.text(score['psnr'])}", mask))
        reporter.count("measured", done + 1, len(indices))
    means = {key: _mean([score[key] for score in scores]) for key in ("psnr", "ssim")}
    windows = [score["ssim"] for score in scores if not math.isnan(score["ssim"])]
    if scene.ignored is not None and windows:
        # A window of SSIM may have no room beside a mask: the other views say how good they are.
        means["ssim"] = _mean(windows)
    facts = {
        "split": split,
        "views": len(scores),
        "frames_skipped": len(capture.frames_skipped),
        "color_space": model.color_space,
        "background": model.background.tolist(),
        **({} if scene.ignored is None else {"ignored": _ignored_share(scene, indices)}),
        "mse": _mean([score["mse"] for score in scores]),
        "per_view": [{"name": n, **s} for n, s in zip(names, scores, strict=True)],
    }
    views = f"{len(scores)} view{'s' if len(scores) != 1 else ''} of split {split}"
    if most is not None and most < len(scene):
        views = f"{len(scores)} of {len(scene)} views of split {split}; --all-views measures all"
    line = f"PSNR {PSNR.text(means['psnr'])}, SSIM {means['ssim']:.4f} ({views})"
    return Measured(means, facts, pairs, line, linear=model.color_space == "linear")


def enough_views(capture: Capture) -> int | None:
    """How many test views say how good a fit is, evenly spread; None for all."""
    if "test" not in capture.splits:
        return None
    cameras = capture.cameras("test")
    pixels = float(cameras.size.double().prod(1).mean())
    enough = max(ENOUGH_VIEWS, math.ceil(ENOUGH_PIXELS / pixels))
    return enough if enough < len(cameras) else None


def compared(
    model: RadianceModel, scene: Scene, index: int
) -> tuple[Float[Tensor, "h w 3"], Float[Tensor, "h w 3"]]:
    """Prediction and target of a view, in [0, 1], both on the model's background.

    A training image is drawn from where its camera is by now and as it was exposed. Of views that
    were held out neither is known: they are drawn as given, in the scene's own colours.
    """
    trained = scene.split == "train" and len(scene) == model.info.images
    image = index if trained else None
    rgba = scene.pixels(index).cpu()
    target = rgba[..., :3] * rgba[..., 3:] + model.background * (1 - rgba[..., 3:])
    height, width = target.shape[:2]
    # Some rows at a time: the rays of a view of many megapixels take more memory than its pixels.
    parts = []
    for first in range(0, height * width, AT_ONCE):
        at = torch.arange(first, min(first + AT_ONCE, height * width))
        pixel = torch.stack([at % width, at // width], dim=1) + 0.5
        rays = scene.cameras.rays(torch.full_like(at, index), pixel)
        if trained:
            rays = model.corrections.rays(rays.to(model.device))
        parts.append(model.render_rays(rays, image=image).color.clamp(0, 1))
    return torch.cat(parts).reshape(height, width, 3), target.clamp(0, 1)


def _counts(scene: Scene, index: int) -> bool:
    """Whether some pixel of a view counts."""
    return scene.ignored is None or bool(
        scene.ignored[index] < scene.cameras.size[index].prod().cpu()
    )


def _ignored_share(scene: Scene, indices: list[int]) -> float:
    """What part of the pixels of views is ignored."""
    assert scene.ignored is not None
    return float(scene.ignored[indices].sum() / scene.cameras.size.cpu()[indices].prod(1).sum())


def scene_fidelity(student: RadianceModel, teacher: RadianceModel, cameras: Cameras) -> Fidelity:
    """Student against teacher from new poses."""
    unseen = random_cameras(cameras, UNSEEN, torch.Generator().manual_seed(2))
    scores, similar, pairs = [], [], []
    times: dict[str, list[float]] = {"student": [], "teacher": []}
    for index in range(UNSEEN):
        rays, frames = unseen.view(index), {}
        for name, model in (("teacher", teacher), ("student", student)):
            began = time.perf_counter()
            frames[name] = model.render_rays(rays).color.clamp(0, 1)
            times[name].append(time.perf_counter() - began)
        scores.append(psnr(frames["student"], frames["teacher"]))
        similar.append(ssim(frames["student"], frames["teacher"]))
        caption = f"new pose {PSNR.text(scores[-1])}"
        pairs.append(Pair(frames["teacher"], frames["student"], caption))
    return Fidelity(
        {"psnr": sum(scores) / UNSEEN, "ssim": sum(similar) / UNSEEN},
        pairs,
        median(times["student"]),
        median(times["teacher"]),
    )


def held_out(capture: Capture) -> Scene:
    """The test split of a capture, or its first one.

    Raises:
        InputError: its images can't be read.
    """
    return capture.scene("test" if "test" in capture.splits else capture.splits[0])


def captured_pixels(
    scene: Scene, background: Float[Tensor, "3"]
) -> tuple[Rays, Float[Tensor, "n 3"]]:
    """Fixed pixels of the images of a capture, and what they should be over a background."""
    rays, rgba = scene.sample(PIXELS, torch.Generator().manual_seed(0))
    color = rgba[:, :3] * rgba[:, 3:] + background * (1 - rgba[:, 3:])
    return rays, color.clamp(0, 1)


def teacher_pixels(model: RadianceModel, cameras: Cameras) -> tuple[Rays, Float[Tensor, "n 3"]]:
    """Fixed pixels of what a model sees through cameras."""
    generator = torch.Generator().manual_seed(0)
    camera = torch.randint(len(cameras), (PIXELS,), generator=generator)
    u = torch.rand(PIXELS, 2, generator=generator)
    rays = cameras.rays(camera, (u * cameras.size[camera]).floor() + 0.5)
    return rays, model.render_rays(rays).color.clamp(0, 1)


def _mean(values: list[float]) -> float:
    return math.fsum(values) / len(values)


def _spread(count: int, wanted: int) -> list[int]:
    """At most `wanted` of the numbers below `count`, evenly spread."""
    step = max(count / wanted, 1.0)
    return [int(i * step) for i in range(min(count, wanted))]
