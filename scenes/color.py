"""Colour: the sRGB curve and its inverse, and pixel values as numbers."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor


def srgb_from_linear(linear: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """The sRGB curve (IEC 61966-2-1): proportional to light -> as images store it.

    Negative values follow the straight part; values above 1 follow the curve on.
    """
    # The clamp keeps the gradient of the branch not taken finite.
    curve = 1.055 * linear.clamp(min=0.0031308).pow(1 / 2.4) - 0.055
    return torch.where(linear <= 0.0031308, linear * 12.92, curve)


def linear_from_srgb(srgb: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """The inverse of `srgb_from_linear`."""
    curve = ((srgb.clamp(min=0.04045) + 0.055) / 1.055).pow(2.4)
    return torch.where(srgb <= 0.04045, srgb / 12.92, curve)


def screen_colors(
    values: Float[Tensor, "*n c"], linear: bool, paper: float = 1.0
) -> Float[Tensor, "*n 3"]:
    """What a screen shows of an image's values: RGB behind the sRGB curve, below 0 cut off.

    Args:
        values: grey; grey and alpha; RGB; or RGB and alpha.
        linear: whether colours are linear light.
        paper: grey that shows through where alpha, cut to [0, 1], is below 1.
    """
    channels = values.shape[-1]
    color = values[..., : 1 if channels < 3 else 3].expand(*values.shape[:-1], 3)
    color = srgb_from_linear(color.clamp(min=0)) if linear else color.clamp(0, 1)
    if channels not in (2, 4):
        return color
    alpha = values[..., -1:].clamp(0, 1)
    return color * alpha + paper * (1 - alpha)


def to_float(array: np.ndarray) -> np.ndarray:
    """Pixel values as float32: integers become fractions of their largest value, floats stay."""
    if array.dtype in (np.uint8, np.uint16):
        return array.astype(np.float32) / np.float32(np.iinfo(array.dtype).max)
    assert array.dtype.kind == "f", array.dtype
    return array.astype(np.float32)


def from_float(array: np.ndarray, dtype: np.dtype | type) -> np.ndarray:
    """The inverse of `to_float`, rounding and clipping to what the type holds.

    Args:
        array: finite values; [0, 1] for integer types.
        dtype: uint8, uint16, float16 or float32.
    """
    dtype = np.dtype(dtype)
    if dtype.kind == "f":
        return array.astype(dtype)
    top = np.iinfo(dtype).max
    # float64, because 65535 levels need more than float32's rounding leaves after the product.
    return np.rint(np.clip(array.astype(np.float64), 0, 1) * top).astype(dtype)


def block_mean(array: np.ndarray, factor: int, associated: bool = False) -> np.ndarray:
    """The mean over `factor` x `factor` blocks, in the same type; the remainder is cropped.

    Colours with alpha are weighed by it, so that hidden colours don't leak into edges; colour is 0
    where alpha is 0.

    Args:
        array: [h, w, c]; 2 and 4 channels end with alpha.
        factor: block size in pixels, at most h and w.
        associated: colours are already multiplied by alpha (OpenEXR's convention).
    """
    if factor == 1:
        return array
    height, width, channels = array.shape[0] // factor, array.shape[1] // factor, array.shape[2]
    array = array[: height * factor, : width * factor]
    blocks = (height, factor, width, factor, channels)
    if channels in (1, 3) or associated:
        mean = array.reshape(blocks).mean(axis=(1, 3), dtype=np.float64)
        return (mean if array.dtype.kind == "f" else np.rint(mean)).astype(array.dtype)
    values = to_float(array)
    values[..., :-1] *= values[..., -1:]
    mean = values.reshape(blocks).mean(axis=(1, 3), dtype=np.float64)
    return from_float(_unpremultiplied(mean), array.dtype)


def straight(array: np.ndarray) -> np.ndarray:
    """Float colours multiplied by alpha (OpenEXR's way) -> straight, 0 where alpha is 0."""
    return _unpremultiplied(array.astype(np.float32))


def _unpremultiplied(values: np.ndarray) -> np.ndarray:
    alpha = values[..., -1:]
    color = np.divide(values[..., :-1], alpha, out=np.zeros_like(values[..., :-1]), where=alpha > 0)
    return np.concatenate([color, alpha], axis=-1)
