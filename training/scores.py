"""How near an image is to its target: PSNR and SSIM, as papers report them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor


@dataclass(frozen=True)
class Metric:
    """A score as it is named and shown."""

    name: str
    """In files: psnr."""
    label: str
    """In words: PSNR."""
    unit: str = ""
    """dB, or nothing."""

    def text(self, value: float | None) -> str:
        """A value with its unit: 31.20 dB; a dash for none."""
        if value is None:
            return "-"
        return f"{value:.2f} {self.unit}" if self.unit else f"{value:.4f}"

    @property
    def axis(self) -> str:
        """Beside an axis of a plot: PSNR / dB."""
        return f"{self.label} / {self.unit}" if self.unit else self.label


def is_broken(value: float | None) -> bool:
    """Whether a score is that of a model whose answers are not finite.

    An exact fit may be endlessly good, and silence has no ratio to a noise.
    """
    return value is not None and math.isnan(value)


PSNR = Metric("psnr", "PSNR", "dB")
SNR = Metric("snr", "SNR", "dB")


def psnr_of(mse: float) -> float:
    """Decibels of a mean square error, for values in [0, 1]; NaN if it is not finite."""
    if not math.isfinite(mse):
        return math.nan
    return -10 * math.log10(max(mse, 1e-10))


def snr_of(mse: float, power: float) -> float:
    """Decibels of a mean square error beside the mean square of the signal."""
    return 10 * math.log10(max(power, 1e-30) / max(mse, 1e-20))


def snr(pred: Float[Tensor, "*n"], target: Float[Tensor, "*n"]) -> float:
    """Signal-to-noise ratio in dB, over all values at once: `10 log10(sum x^2 / sum e^2)`.

    Args:
        pred: Any shape.
        target: The same shape, x.

    Returns:
        dB; infinite where the two are equal, NaN where the error is not finite.
    """
    assert pred.shape == target.shape, (pred.shape, target.shape)
    error = (pred.double() - target.double()).square().sum()
    if not bool(error.isfinite()):
        return math.nan
    return float(10.0 * torch.log10(target.double().square().sum() / error))


FRAME, HOP = 2048, 512
"""Of spectra, in samples."""


def log_spectrum(samples: Float[Tensor, "n c"]) -> Float[Tensor, "f t"]:
    """Logarithm (base 10) of the power of all channels, Hann windows of FRAME every HOP samples.

    1e-8 is added to the power.
    """
    n = max(len(samples), FRAME)
    padded = torch.nn.functional.pad(samples.T.double(), (0, n - len(samples)))
    window = torch.hann_window(FRAME, dtype=torch.float64)
    found = torch.stft(padded, FRAME, HOP, window=window, return_complex=True, center=False)
    return (found.abs().square().mean(0) + 1e-8).log10()


def lsd(pred: Float[Tensor, "n c"], target: Float[Tensor, "n c"]) -> float:
    """Log-spectral distance: root mean square over frequency of the difference, mean over time.

    Of `log_spectrum`; Gray and Markel 1976. Decades of power; 0 where the two are equal.
    """
    difference = log_spectrum(pred) - log_spectrum(target)
    return float(difference.square().mean(0).sqrt().mean())


SSIM_ROWS = 128
"""Rows of windows that are looked at together: images of many megapixels fit then too."""


def psnr(pred: Float[Tensor, "*n"], target: Float[Tensor, "*n"], peak: float = 1.0) -> float:
    """Peak signal-to-noise ratio in dB, over all values at once: `10 log10(peak^2 / MSE)`.

    Args:
        pred: Any shape.
        target: The same shape.
        peak: The largest value the target could have.

    Returns:
        dB; infinite where the two are equal, NaN where the error is not finite.
    """
    error = mse(pred, target)
    if not math.isfinite(error):
        return math.nan
    return 10.0 * math.log10(peak**2 / error) if error > 0 else math.inf


def mse(pred: Float[Tensor, "*n"], target: Float[Tensor, "*n"]) -> float:
    """Mean square error, in double; 0 where the PSNR is infinite, which no JSON holds."""
    assert pred.shape == target.shape, (pred.shape, target.shape)
    return float(torch.mean((pred.double() - target.double()) ** 2))


WINDOW = 11
"""Rows and columns of SSIM's window."""


def ssim(
    pred: Float[Tensor, "h w c"],
    target: Float[Tensor, "h w c"],
    mask: Bool[Tensor, "h w"] | None = None,
) -> float:
    """Structural similarity (Wang et al. 2004): mean over whole windows and over channels.

    Gaussian windows of 11x11 pixels and sigma 1.5, data range 1, K1 0.01, K2 0.03; a pixel less
    than half a window from the border is no window's centre and not counted. The evaluators of the
    field do so (Wang's own, scikit-image with gaussian_weights, those of NeRF and mip-NeRF).

    Args:
        pred: In [0, 1].
        target: The same shape.
        mask: Pixels that count; None for all. A window counts if all its pixels do.

    Returns:
        At most 1, where the two are equal. NaN where no window counts.
    """
    assert pred.shape == target.shape, (pred.shape, target.shape)
    if min(pred.shape[:2]) < WINDOW:
        return float("nan")
    height, half = len(pred), WINDOW // 2
    total, count = 0.0, 0
    for first in range(0, height - 2 * half, SSIM_ROWS):
        rows = slice(first, min(first + SSIM_ROWS + 2 * half, height))
        values = _similarities(pred[rows], target[rows])
        if mask is not None:
            values = values[:, _whole_windows(mask[rows])]
        total += float(values.double().sum())
        count += values.numel()
    return total / count if count else float("nan")


def _whole_windows(mask: Bool[Tensor, "h w"]) -> Bool[Tensor, "h2 w2"]:
    """Whether all pixels of a window count, by the window's centre, borders left out."""
    ignored = (~mask)[None, None].float()
    return torch.nn.functional.max_pool2d(ignored, WINDOW, stride=1)[0, 0] == 0


def _similarities(
    pred: Float[Tensor, "h w c"], target: Float[Tensor, "h w c"]
) -> Float[Tensor, "c h2 w2"]:
    """SSIM of every whole window."""
    # Slow to import, and only evaluation needs it.
    from torchmetrics.functional.image import structural_similarity_index_measure

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
    found: Tensor = values[0, :, half:-half, half:-half]
    return found
