"""How fast a trained field answers."""

from __future__ import annotations

import time
from statistics import median

import torch

from polyfield.devices import wait
from polyfield.renderers.model import Model

POINTS = 1 << 16
"""Points asked at once."""
TURNS = 3
"""Timed questions, after one that warms up."""


@torch.no_grad()
def throughput(model: Model) -> float:
    """Points a second, all values of each, for points drawn uniformly from the bounds."""
    generator = torch.Generator().manual_seed(0)
    low, high = model.bounds.float()
    x = low + torch.rand(POINTS, len(low), generator=generator) * (high - low)
    directions = torch.nn.functional.normalize(torch.randn(POINTS, 3, generator=generator), dim=-1)
    x, directions = x.to(model.device), directions.to(model.device)
    times = []
    for turn in range(TURNS + 1):
        wait(model.device)
        began = time.perf_counter()
        model.ask(x, directions)
        wait(model.device)
        if turn:
            times.append(time.perf_counter() - began)
    return POINTS / median(times)
