"""Tensor decompositions that make values of one factor per axis (F-INR; Kolda and Bader 2009).

Symbols: d axes of coordinates, C channels, rank R, u_i the factor of axis i, what its network puts
out at a coordinate of that axis; the other factors are parameters.

    CP      y_c = sum_r prod_i u_i[r, c]                       u_i [R, C]
    train   y = u_1 u_2 ... u_d K                              u_1 [R], u_i [R, R], K [R, C]
    Tucker  y_c = sum core[a, b, ..., k] u_1[a] u_2[b] ... K[k, c]     u_i [R], K [min(R, C), C]

The colour is the last axis of the train and of Tucker, one factor K that needs no network: its
coordinates are whole numbers. A train with two axes and one more is a chain where order matters;
without the colour axis, in two dimensions, all three would be the same product of matrices.

Sizes of a result: n points, or m_i coordinates on axis i.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

Factors = Sequence[Tensor]


class Contraction(nn.Module, ABC):
    """Factors -> values."""

    sizes: list[int]
    """How many values the factor of each axis has."""
    spreads: list[float]
    """Root mean square of each axis's factors that gives values of about 1."""

    @abstractmethod
    def at(self, factors: Factors) -> Float[Tensor, "n c"]:
        """Values at n points, from factors [n, size] there."""

    @abstractmethod
    def on_grid(self, factors: Factors) -> Float[Tensor, "*m c"]:
        """Values on the product of the axes, from factors [m_i, size] of each."""


class CanonicalPolyadic(Contraction):
    """CP: each channel has factors of its own."""

    def __init__(self, dim: int, rank: int, channels: int) -> None:
        super().__init__()
        self.rank, self.channels = rank, channels
        self.sizes = [rank * channels] * dim
        self.spreads = [rank ** (-0.5 / dim)] * dim

    def at(self, factors: Factors) -> Float[Tensor, "n c"]:
        """Sum over ranks of the product over axes."""
        product = factors[0]
        for factor in factors[1:]:
            product = product * factor
        return product.unflatten(-1, (self.rank, self.channels)).sum(-2)

    def on_grid(self, factors: Factors) -> Float[Tensor, "*m c"]:
        """One product of matrices a channel: the first axis times all others."""
        first, *others = [f.unflatten(-1, (self.rank, self.channels)) for f in factors]
        rest = others[0]
        for factor in others[1:]:
            rest = (rest[:, None] * factor).flatten(0, 1)
        values = torch.einsum("mrc,nrc->mnc", first, rest)
        return values.view(*(len(f) for f in factors), self.channels)


class Train(Contraction):
    """Tensor train: a product of matrices, one for each axis, in order."""

    def __init__(self, dim: int, rank: int, channels: int) -> None:
        super().__init__()
        self.rank, self.channels = rank, channels
        self.sizes = [rank, *[rank * rank] * (dim - 1)]
        self.spreads = [1.0, *[rank**-0.5] * (dim - 1)]
        self.color = nn.Parameter(torch.randn(rank, channels) * rank**-0.5)

    def at(self, factors: Factors) -> Float[Tensor, "n c"]:
        """A row times matrices, point by point."""
        row = factors[0]
        for factor in factors[1:]:
            row = torch.einsum("na,nab->nb", row, factor.unflatten(-1, (self.rank, self.rank)))
        return row @ self.color

    def on_grid(self, factors: Factors) -> Float[Tensor, "*m c"]:
        """From the last axis to the first: never more than R times the result."""
        rest: Tensor = self.color
        for factor in reversed(factors[1:]):
            matrices = factor.unflatten(-1, (self.rank, self.rank))
            rest = torch.einsum("mab,bn->amn", matrices, rest).flatten(1)
        return (factors[0] @ rest).view(*(len(f) for f in factors), self.channels)


class Tucker(Contraction):
    """Tucker: a trainable core ties every combination of ranks."""

    def __init__(self, dim: int, rank: int, channels: int) -> None:
        super().__init__()
        self.rank, self.channels = rank, channels
        self.sizes, self.spreads = [rank] * dim, [1.0] * dim
        colors = min(rank, channels)
        spread = 1 / math.sqrt(rank**dim * colors)
        self.core = nn.Parameter(torch.randn(*[rank] * dim, colors) * spread)
        self.color = nn.Parameter(torch.randn(colors, channels))

    def at(self, factors: Factors) -> Float[Tensor, "n c"]:
        """The core times each factor, point by point."""
        first, *others = factors
        rest = first @ (self.core @ self.color).flatten(1)
        for factor in others:
            rest = torch.einsum("na,nab->nb", factor, rest.unflatten(-1, (self.rank, -1)))
        return rest

    def on_grid(self, factors: Factors) -> Float[Tensor, "*m c"]:
        """The core times the last axis, then the one before."""
        rest = (self.core @ self.color).flatten()
        for axis in reversed(range(len(factors))):
            rest = rest.reshape(self.rank**axis, self.rank, -1)
            rest = torch.einsum("ma,qan->qmn", factors[axis], rest)
        return rest.reshape(*(len(f) for f in factors), self.channels)
