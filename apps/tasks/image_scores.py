"""How near a field is to an image, as papers report it."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from polyfield.scenes.color import srgb_from_linear
from polyfield.scenes.signals.image import ImageSignal
from polyfield.training.figures import Pair
from polyfield.training.scores import PSNR, mse, psnr, ssim
from polyfield.training.task import Measured


def measure_image(
    prediction: Float[Tensor, "h w c"],
    image: ImageSignal,
    background: tuple[float, float, float],
    kept: Tensor | None = None,
) -> Measured:
    """Compare a whole image.

    Integer images are compared as they are stored. Float images are compared twice: in linear
    light against the brightest target value, and between 0 and 1 after the sRGB curve. Images with
    alpha are compared in front of the background.

    Args:
        prediction: What the model says of every pixel.
        image: What it was trained on.
        background: In the image's colour space.
        kept: Numbers of the pixels it was trained on, where some were held out: these and the
            others are measured apart too, as psnr_fitted and psnr_heldout.
    """
    linear = image.color_space == "linear"
    found, target = (_over(p, background, linear) for p in (prediction, image.pixels))
    scores: dict[str, float] = {}
    words = ""
    if linear:
        scores["psnr_linear"] = psnr(found, target, peak=float(target.max()))
        words += f", linear {scores['psnr_linear']:.2f} dB"
        found, target = srgb_from_linear(found), srgb_from_linear(target)
    found, target = found.clamp(0, 1), target.clamp(0, 1)
    view = {"psnr": psnr(found, target), "ssim": ssim(found, target)}
    if kept is not None:
        seen = torch.zeros(image.height * image.width, dtype=torch.bool)
        seen[kept] = True
        for name, mask in (("psnr_fitted", seen), ("psnr_heldout", ~seen)):
            scores[name] = psnr(found.flatten(0, 1)[mask], target.flatten(0, 1)[mask])
        words += (
            f", held out {scores['psnr_heldout']:.2f} dB, fitted {scores['psnr_fitted']:.2f} dB"
        )
    facts: dict[str, Any] = {"split": "all", "views": 1, "frames_skipped": 0}
    facts |= {"color_space": image.color_space, "background": list(background)}
    error = mse(found, target)
    facts |= {"mse": error, "per_view": [{"name": image.name, **view, "mse": error}]}
    line = f"PSNR {PSNR.text(view['psnr'])}{words}, SSIM {view['ssim']:.4f} (1 view of split all)"
    pair = Pair(target, found, PSNR.text(view["psnr"]))
    return Measured({**scores, **view}, facts, [pair], line, prediction=prediction)


def shown(values: Float[Tensor, "*n c"], color_space: str) -> Float[Tensor, "*n c"]:
    """Values as an sRGB image has them, in [0, 1]."""
    return (srgb_from_linear(values) if color_space == "linear" else values).clamp(0, 1)


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
