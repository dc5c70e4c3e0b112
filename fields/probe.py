"""How samplers ask a field for its density: by points, or along rays where a kernel can."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from polyfield.encodings.domain import Domain
from polyfield.encodings.grid_table import GridTable


@dataclass(frozen=True)
class GridDensity:
    """Density that is a grid and a perceptron behind it.

    exp(v_0) per `domain.length`, v = mlp(grid(domain(x)), weights, widths, bias).
    """

    domain: Domain
    grid: GridTable
    weights: Float[Tensor, "p"]
    """Of the perceptron, as kernels/mlp.py lays them out."""
    widths: list[int]
    """Of its layers; the first output is the log-density."""
    bias: bool
    """Whether its layers have biases."""


@dataclass(frozen=True)
class Probe:
    """A field's density, and its grid where it is a grid."""

    density: Callable[[Float[Tensor, "n 3"]], Float[Tensor, "n"]]
    """Per world unit at world points."""
    grid: GridDensity | None = None

    def __call__(self, x: Float[Tensor, "n 3"]) -> Float[Tensor, "n"]:
        """Density per world unit at world points."""
        return self.density(x)
