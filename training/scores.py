"""How near a picture is to its target: PSNR and SSIM, as papers report them."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor


def psnr(pred: Float[Tensor, "*n"], target: Float[Tensor, "*n"], peak: float = 1.0) -> float:
    """Peak signal-to-noise ratio in dB, over all values at once: `10 log10(peak^2 / MSE)`.

    Args:
        pred: Any shape.
        target: The same shape.
        peak: The largest value the target could have.

    Returns:
        dB; infinite where the two are equal.
    """
    assert pred.shape == target.shape, (pred.shape, target.shape)
    error = torch.mean((pred.double() - target.double()) ** 2)
    return float(10.0 * torch.log10(peak**2 / error))


WINDOW = 11
"""Rows and columns of SSIM's window."""


def ssim(pred: Float[Tensor, "h w c"], target: Float[Tensor, "h w c"]) -> float:
    """Structural similarity (Wang et al. 2004): mean over whole windows and over channels.

    Gaussian windows of 11x11 pixels and sigma 1.5, data range 1, K1 0.01, K2 0.03; a pixel less
    than half a window from the border is no window's centre and not counted. The evaluators of the
    field do so (Wang's own, scikit-image with gaussian_weights, those of NeRF and mip-NeRF).

    Args:
        pred: In [0, 1].
        target: The same shape.

    Returns:
        At most 1, where the two are equal. NaN for a picture smaller than a window.
    """
    assert pred.shape == target.shape, (pred.shape, target.shape)
    # Slow to import, and only evaluation needs it.
    from torchmetrics.functional.image import structural_similarity_index_measure

    if min(pred.shape[:2]) < WINDOW:
        return float("nan")
    planes, wanted = (x.float().movedim(-1, 0)[None] for x in (pred, target))
    _, values = structural_similarity_index_measure(
        planes,
        wanted,
        gaussian_kernel=True,
        sigma=1.5,
        kernel_size=WINDOW,
        data_range=1.0,
        return_full_image=True,
    )
    half = WINDOW // 2
    return float(values[..., half:-half, half:-half].double().mean())
