"""How samplers ask a field for its density: by points, or along rays where a kernel can."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor

from polyfield.encodings.domain import Domain
from polyfield.encodings.grid_table import GridTable
from polyfield.fields.kernels.mlp import mlp


@dataclass(frozen=True)
class GridDensity:
    """Density that is a grid and a perceptron behind it.

    exp(v_0) per `domain.length`, v = mlp(grid(domain(x))).
    """

    domain: Domain
    grid: GridTable
    weights: Float[Tensor, "p"]
    """Of the perceptron, as kernels/mlp.py lays them out."""
    widths: list[int] = field(default_factory=list)
    """Of its layers; the first output is the log-density."""
    bias: bool = False

    def __call__(self, x: Float[Tensor, "n 3"]) -> Float[Tensor, "n"]:
        """Density per world unit at world points."""
        v = mlp(self.grid(self.domain(x)), self.weights, self.widths, self.bias)
        return torch.exp(v[:, 0]) / self.domain.length


@dataclass(frozen=True)
class Probe:
    """A field's density, and its grid where it is a grid."""

    density: Callable[[Float[Tensor, "n 3"]], Float[Tensor, "n"]]
    """Per world unit at world points."""
    grid: GridDensity | None = None

    def __call__(self, x: Float[Tensor, "n 3"]) -> Float[Tensor, "n"]:
        """Density per world unit at world points."""
        return self.density(x)
