"""Losses of residuals, and what they are in decibels."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

LossName = Literal["huber", "mse"]


def loss_of(name: LossName, residual: Tensor) -> tuple[Tensor, float]:
    """The mean loss, and the mean square error.

    The loss is the square, or instant-ngp's Huber: d^2 up to 0.1, then (|d| - 0.05) / 5.
    """
    square = functional.mse_loss(residual, torch.zeros_like(residual))
    if name == "mse":
        return square, square.item()
    huber = functional.huber_loss(residual, torch.zeros_like(residual), delta=0.1) * 2
    return huber, square.item()


def psnr_of(mse: float) -> float:
    """Decibels of a mean square error, for values in [0, 1]."""
    return -10 * math.log10(max(mse, 1e-10))
