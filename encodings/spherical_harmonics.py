"""Real spherical harmonics of directions, as in instant-ngp and Plenoxels.

Symbols: a direction d of unit length comes in as v = (d + 1) / 2 in [0,1]^3, the range of all
    encodings.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from jaxtyping import Float
from torch import Tensor

from polyfield.encodings.base import Encoding
from polyfield.encodings.kernels.spherical_harmonics import MAX_DEGREE, spherical_harmonics
from polyfield.errors import InputError
from polyfield.ranges import Range, check


@dataclass(frozen=True)
class SphericalHarmonics:
    """The first degree^2 real spherical harmonics of a direction."""

    degree: Annotated[int, Range(1, MAX_DEGREE)] = 4
    """Number of bands, 1 to 4."""

    def build(self, in_dim: int) -> SphericalHarmonicsEncoding:
        """The module; in_dim must be 3."""
        check(self)
        if in_dim != 3:
            raise InputError(
                "3 coordinates for SphericalHarmonics", str(in_dim), "use it for directions only"
            )
        return SphericalHarmonicsEncoding(self.degree)


class SphericalHarmonicsEncoding(Encoding):
    """v in [0,1]^3 -> degree^2 values."""

    ordered = True

    def __init__(self, degree: int) -> None:
        super().__init__()
        self.in_dim, self.out_dim, self.degree = 3, degree**2, degree

    def forward(self, x: Float[Tensor, "*n d"]) -> Float[Tensor, "*n c"]:
        """Harmonics of the direction 2x - 1, which must have unit length."""
        values = spherical_harmonics((x * 2 - 1).reshape(-1, 3), self.degree)
        return values.view(*x.shape[:-1], self.out_dim)

    def harmonics(self) -> int:
        """All of them."""
        return self.degree
