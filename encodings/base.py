"""The interface of an encoding: coordinates in [0,1]^d -> features."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Literal

from jaxtyping import Float
from torch import Tensor, nn

from polyfield.encodings.grid_table import GridTable
from polyfield.encodings.shader_pass import Passes


class Encoding(nn.Module, ABC):
    """Features of coordinates.

    Subclasses are final, one a file, built by their config's `build(in_dim)`.
    """

    in_dim: int
    out_dim: int
    takes_errors = False
    """Whether `update_error` does anything: errors are worked out only then."""
    exact_gradient: Literal["both", "parameters"] = "both"
    """What the gradient is exact in; "parameters" where masks or normalisers carry none to x."""
    ordered = False
    """Whether channels go from low to high frequencies, or from coarse to fine."""
    takes_points = False
    """Whether `init_from_points` does anything."""

    @abstractmethod
    def forward(self, x: Float[Tensor, "*n d"]) -> Float[Tensor, "*n c"]:
        """Features of x in [0,1]^d; c = out_dim."""

    def intermediate_features(self, x: Float[Tensor, "n d"]) -> tuple[Tensor, ...]:
        """Features [n, k] that it has on its way, shallow ones first; the last are `forward`'s."""
        return (self(x),)

    def passes(self) -> Passes | None:
        """The same in a fragment shader, for two coordinates; None where no shader is written."""
        return None

    def grid_table(self) -> GridTable | None:
        """What it reads, where it is one grid and nothing else, for kernels that encode too."""
        return None

    def harmonics(self) -> int | None:
        """Bands of the spherical harmonics that it is of a direction; None where it isn't."""
        return None

    def tables(self) -> list[nn.Parameter]:
        """Parameters that a batch touches sparsely (grid entries); the rest are network weights."""
        return []

    def set_progress(self, t: float) -> None:  # noqa: B027
        """Told the progress of training, t in [0,1], before each step."""

    def update_error(self, x: Float[Tensor, "n d"], error: Float[Tensor, "n"]) -> None:  # noqa: B027
        """Told the error of each sample after a step."""

    def init_from_points(self, x: Float[Tensor, "n d"], weight: Float[Tensor, "n"]) -> None:  # noqa: B027
        """Told once where the detail is: points of [0,1]^d and how much each matters, >= 0.

        For encodings whose kernels lie where the data needs them.
        """
