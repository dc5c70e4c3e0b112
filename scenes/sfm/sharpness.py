"""How sharp an image is: the one number that frames of a video, and blurred photographs, go by."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Shaped

from polyfield.scenes.color import to_float

SIDE = 512
"""Longest side of what is measured, pixels: sensor noise below it would count as detail."""
_LUMA = np.array([0.2126, 0.7152, 0.0722], np.float32)


def grey(array: Shaped[np.ndarray, "h w c"]) -> Float[np.ndarray, "h w"]:
    """Brightness of an image as stored, 0 to 1 for whole numbers.

    Args:
        array: 1 to 4 channels; alpha is left out.
    """
    values = to_float(array) if array.dtype.kind == "u" else array.astype(np.float32)
    if values.shape[2] < 3:
        return np.ascontiguousarray(values[..., 0], dtype=np.float32)
    return np.ascontiguousarray(values[..., :3] @ _LUMA, dtype=np.float32)


def shrunk(image: Float[np.ndarray, "h w"], side: int) -> Float[np.ndarray, "a b"]:
    """An image whose longer side is at most `side` times two: means over whole blocks of pixels."""
    factor = max(max(image.shape) // side, 1)
    if factor == 1:
        return image
    height, width = (n // factor * factor for n in image.shape)
    if not height or not width:
        return image
    blocks = image[:height, :width].reshape(height // factor, factor, width // factor, factor)
    return np.ascontiguousarray(blocks.mean((1, 3)), dtype=np.float32)


def sharpness(image: Float[np.ndarray, "h w"]) -> float:
    """Variance of the Laplacian over the variance of the image, at a size of some `SIDE` pixels.

    The plain variance of the Laplacian grows with contrast: a dim frame would count as blurred.
    0 for an image of one colour.

    Source: Pech-Pacheco et al. 2000, "Diatom autofocusing in brightfield microscopy", LAPV.
    """
    small = shrunk(image, SIDE)
    if min(small.shape) < 3:
        return 0.0
    middle = small[1:-1, 1:-1]
    around = small[:-2, 1:-1] + small[2:, 1:-1] + small[1:-1, :-2] + small[1:-1, 2:]
    spread = float(middle.var())
    return float((around - 4 * middle).var()) / spread if spread > 1e-8 else 0.0
