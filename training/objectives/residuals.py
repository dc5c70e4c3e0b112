"""Losses of residuals."""

from __future__ import annotations

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
