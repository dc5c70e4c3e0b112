"""Random Fourier features (Tancik et al. 2020), and the sorted ones of SAPE (Hertz et al. 2021).

Symbols: F frequencies b_j, the columns of B [d, F]; angles 2 pi x . b_j. Law "gaussian": x in
[0,1]^d, B ~ N(0, sigma^2), channels [sin of all, cos of all]. Law "sorted": x is mapped to
p = 2x - 1, |b_j| is |N(0, sigma)| in every d (Tancik's has fewer low frequencies where d > 1),
directions are uniform, frequencies ascend and channels alternate: sin_0, cos_0, sin_1, ...
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from polyfield.encodings.base import Encoding
from polyfield.ranges import Range, check


@dataclass(frozen=True)
class RandomFourier:
    """Sines and cosines of the coordinates along random directions, at random frequencies."""

    count: Annotated[int, Range(1, 1 << 16)] = 256
    """F, number of frequencies; features are twice as many."""
    sigma: Annotated[float, Range(0, 1e6, above=True)] = 10.0
    """Spread of the frequencies: periods per unit of [0,1] (gaussian) or of [-1,1] (sorted)."""
    law: Literal["gaussian", "sorted"] = "gaussian"
    """How frequencies are drawn; "sorted" also puts the features in order of frequency."""

    def build(self, in_dim: int) -> RandomFourierEncoding:
        """The module for d = in_dim, with frequencies drawn from torch's generator."""
        check(self)
        ordered = self.law == "sorted"
        if not ordered:
            return RandomFourierEncoding(torch.randn(in_dim, self.count) * self.sigma, ordered)
        length = (torch.randn(self.count) * self.sigma).abs().sort().values
        direction = functional.normalize(torch.randn(in_dim, self.count), dim=0)
        return RandomFourierEncoding(direction * length, ordered)


class RandomFourierEncoding(Encoding):
    """The frequencies are not trained, but saved: another draw is another model."""

    frequencies: Float[Tensor, "d F"]

    def __init__(self, frequencies: Float[Tensor, "d F"], ordered: bool) -> None:
        super().__init__()
        self.in_dim, self.out_dim = frequencies.shape[0], 2 * frequencies.shape[1]
        self.ordered = ordered
        self.register_buffer("frequencies", frequencies)

    def forward(self, x: Float[Tensor, "*n d"]) -> Float[Tensor, "*n c"]:
        """Features of x in [0,1]^d."""
        p = (x * 2 - 1 if self.ordered else x) * (2 * math.pi)
        # Angles are large: rounding shows, and that of a matrix product depends on the batch.
        angles = p[..., :1] * self.frequencies[0]
        for axis in range(1, self.in_dim):
            angles = angles + p[..., axis : axis + 1] * self.frequencies[axis]
        if self.ordered:
            return torch.stack([angles.sin(), angles.cos()], -1).flatten(-2)
        return torch.cat([angles.sin(), angles.cos()], -1)
