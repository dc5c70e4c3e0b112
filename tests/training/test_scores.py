import math

import numpy as np
import pytest
import torch

from polyfield.training import scores
from polyfield.training.scores import is_broken, log_spectrum, lsd, mse, psnr, psnr_of, snr, ssim


def test_psnr_of_a_known_error() -> None:
    target = torch.zeros(4, 5, 3)
    assert psnr(target + 0.1, target) == pytest.approx(20.0, abs=1e-5)
    assert psnr(target + 0.1, target, peak=10.0) == pytest.approx(40.0, abs=1e-5)
    assert psnr(target, target) == math.inf and mse(target, target) == 0


def _ssim_by_hand(a: np.ndarray, b: np.ndarray) -> float:
    """One whole window at a time, after Wang et al. 2004; none reaches over the border."""
    offsets = np.arange(-5, 6)
    window = np.exp(-(offsets[:, None] ** 2 + offsets[None] ** 2) / (2 * 1.5**2))
    window /= window.sum()
    c1, c2 = 0.01**2, 0.03**2
    found = []
    for channel in range(a.shape[2]):
        x, y = a[..., channel].astype(np.float64), b[..., channel].astype(np.float64)
        for i in range(a.shape[0] - 10):
            for j in range(a.shape[1] - 10):
                u, v = x[i : i + 11, j : j + 11], y[i : i + 11, j : j + 11]
                mu, mv = (window * u).sum(), (window * v).sum()
                uu = (window * (u - mu) ** 2).sum()
                vv = (window * (v - mv) ** 2).sum()
                uv = (window * (u - mu) * (v - mv)).sum()
                top = (2 * mu * mv + c1) * (2 * uv + c2)
                found.append(top / ((mu**2 + mv**2 + c1) * (uu + vv + c2)))
    return float(np.mean(found))


def test_ssim_is_the_published_one() -> None:
    generator = torch.Generator().manual_seed(0)
    target = torch.rand(14, 17, 3, generator=generator)
    pred = (target + 0.2 * torch.randn(14, 17, 3, generator=generator)).clamp(0, 1)
    assert ssim(pred, target) == pytest.approx(
        _ssim_by_hand(pred.numpy(), target.numpy()), abs=1e-5
    )
    assert ssim(target, target) == pytest.approx(1.0)


def test_ssim_leaves_the_border_out() -> None:
    generator = torch.Generator().manual_seed(1)
    target = torch.rand(30, 24, 3, generator=generator)
    pred = target.clone()
    pred[0] = 1 - pred[0]  # only the windows of the first row of centres see it
    inside = pred[1:]
    assert ssim(inside, target[1:]) == pytest.approx(1.0)
    assert ssim(pred, target) == pytest.approx(
        _ssim_by_hand(pred.numpy(), target.numpy()), abs=1e-5
    )


@pytest.mark.parametrize("size", [(11, 11), (11, 40)])
def test_ssim_of_one_window(size: tuple[int, int]) -> None:
    generator = torch.Generator().manual_seed(2)
    target, pred = (torch.rand(*size, 1, generator=generator) for _ in range(2))
    right = _ssim_by_hand(pred.numpy(), target.numpy())
    assert ssim(pred, target) == pytest.approx(right, abs=1e-5)


def test_ssim_of_a_picture_smaller_than_a_window_is_no_number() -> None:
    assert math.isnan(ssim(torch.ones(3, 20, 1), torch.ones(3, 20, 1)))
    assert math.isnan(ssim(torch.ones(20, 10, 1), torch.ones(20, 10, 1)))


def test_a_spectrum_has_the_tone_that_is_there() -> None:
    """A sine of 1000 Hz at 16 kHz lies in bin 128 of 1025; windows of 2048 every 512 samples."""
    samples = torch.sin(2 * torch.pi * 1000 / 16000 * torch.arange(8192))[:, None]
    spectrum = log_spectrum(samples)
    assert spectrum.shape == (1025, 13)
    assert (spectrum.argmax(0) == 128).all()
    # Of noise, whose power is far above the floor everywhere, a gain is that many decades.
    noise = torch.randn(8192, 2, generator=torch.Generator().manual_seed(0))
    assert lsd(noise * 0.1, noise) == pytest.approx(2.0, abs=1e-4)
    assert lsd(noise, noise) == 0


def test_scores_of_answers_that_are_not_finite_are_no_numbers() -> None:
    good, bad = torch.ones(4), torch.tensor([1.0, math.inf, 1.0, 1.0])
    assert is_broken(psnr(bad, good)) and is_broken(snr(bad, good))
    assert is_broken(psnr_of(math.inf)) and is_broken(math.nan)
    assert not is_broken(snr(good, good)) and not is_broken(None)
    assert not is_broken(snr(good, torch.zeros(4)))


def test_ssim_of_windows_that_a_mask_leaves_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = torch.Generator().manual_seed(2)
    target = torch.rand(26, 24, 3, generator=generator)
    pred = (target + 0.1 * torch.randn(26, 24, 3, generator=generator)).clamp(0, 1)
    mask = torch.ones(26, 24, dtype=torch.bool)
    mask[:, :5] = mask[20:] = False
    alone = ssim(pred[:20, 5:], target[:20, 5:])
    assert ssim(pred, target, mask) == pytest.approx(alone, abs=1e-6)
    pred[~mask] = 0.5
    assert ssim(pred, target, mask) == pytest.approx(alone, abs=1e-6)
    whole = ssim(pred, target)
    monkeypatch.setattr(scores, "SSIM_ROWS", 3)  # some rows at a time
    assert ssim(pred, target) == pytest.approx(whole, abs=1e-6)
    assert ssim(pred, target, mask) == pytest.approx(alone, abs=1e-6)
    mask[10, 12] = mask[10, 20] = False
    assert math.isnan(ssim(pred, target, mask))
