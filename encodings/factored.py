"""Grids that are sums or products of planes and lines: tri-planes, VM and CP factors.

Sources: Chan et al. 2022 (EG3D) and Cardace et al. 2024 for tri-planes; Chen et al. 2022 (TensoRF)
for VM (vector times matrix) and CP. The op and its symbols are in kernels/factored.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from polyfield.encodings.base import Encoding
from polyfield.encodings.kernels.factored import Factors, factored
from polyfield.errors import InputError
from polyfield.ranges import Range, check

MOST = 1 << 27
"""Most values of a table: half a gigabyte, and three times that for the optimiser."""
PLANES = ((0, 1), (0, 2), (1, 2))
LINES = ((2,), (1,), (0,))
"""For each plane the axis that it leaves out."""


@dataclass(frozen=True)
class TriPlane:
    """Features on the planes XY, XZ and YZ, put together.

    Released numbers: 16 features of 32^2, sum (Cardace et al.); 32 of 256^2, mean (EG3D). Planes
    start as N(0, 0.001^2) as in the former; where they are multiplied that would leave no gradient,
    and they start as U(0.1, 0.5), as in K-Planes.
    """

    features: Annotated[int, Range(1, 256)] = 16
    """C, values a vertex."""
    resolution: Annotated[int, Range(2, 1 << 14)] = 32
    """R, vertices an axis."""
    aggregate: Literal["sum", "mean", "product", "concat"] = "sum"
    """How the three planes become one feature."""
    layout: Literal["xy-xz-yz", "xy-xz-zx"] = "xy-xz-yz"
    """The planes; the latter is what EG3D's released code has, and its published results."""

    def build(self, in_dim: int) -> FactoredEncoding:
        """The module for d = in_dim 3, or 2: a single plane."""
        check(self)
        if in_dim not in (2, 3):
            raise InputError("2 or 3 coordinates for TriPlane", str(in_dim), "use another encoding")
        planes: tuple[tuple[int, ...], ...] = PLANES if in_dim == 3 else PLANES[:1]
        if self.layout == "xy-xz-zx" and in_dim == 3:
            planes = ((0, 1), (0, 2), (2, 0))
        product = self.aggregate == "product"
        modes: tuple[tuple[tuple[int, ...], ...], ...] = (
            (planes,) if product else tuple((plane,) for plane in planes)
        )
        concat = self.aggregate == "concat"
        factors = _checked(Factors(modes, self.resolution, self.features, False, concat))
        table = torch.empty(sum(factors.sizes))
        table = table.uniform_(0.1, 0.5) if product else table.normal_(0, 1e-3)
        share = 1 / len(planes) if self.aggregate == "mean" else 1.0
        return FactoredEncoding(in_dim, factors, table, share)


@dataclass(frozen=True)
class VectorMatrix:
    """TensoRF's VM factors: for each plane, its values times those of a line across it."""

    components: Annotated[int, Range(1, 1024)] = 16
    """C, products a plane; TensoRF has 16 for density and 48 for colour."""
    resolution: Annotated[int, Range(2, 1 << 14)] = 64
    """R, vertices an axis; TensoRF goes from 128 to 300 while training."""
    combine: Literal["sum", "concat"] = "sum"
    """Whether the three products are added or put side by side (TensoRF's colour)."""

    def build(self, in_dim: int) -> FactoredEncoding:
        """The module; in_dim must be 3."""
        check(self)
        if in_dim != 3:
            raise InputError("3 coordinates for VectorMatrix", str(in_dim), "use TriPlane or CP")
        modes = tuple(zip(PLANES, LINES, strict=True))
        concat = self.combine == "concat"
        factors = _checked(Factors(modes, self.resolution, self.components, True, concat))
        return FactoredEncoding(in_dim, factors, 0.1 * torch.randn(sum(factors.sizes)))


@dataclass(frozen=True)
class CP:
    """TensoRF's CP factors: products of one line for each axis."""

    components: Annotated[int, Range(1, 4096)] = 96
    """C, products; TensoRF has 96 for density and 288 for colour."""
    resolution: Annotated[int, Range(2, 1 << 20)] = 300
    """R, vertices an axis; TensoRF goes up to 500."""

    def build(self, in_dim: int) -> FactoredEncoding:
        """The module for d = in_dim in 2, 3."""
        check(self)
        if in_dim not in (2, 3):
            raise InputError("2 or 3 coordinates for CP", str(in_dim), "use another encoding")
        lines = tuple((axis,) for axis in range(in_dim))
        factors = _checked(Factors((lines,), self.resolution, self.components, True, False))
        return FactoredEncoding(in_dim, factors, 0.2 * torch.randn(sum(factors.sizes)))


FactorConfig = VectorMatrix | CP
"""The factors that a TensoRF can have."""


def _checked(factors: Factors) -> Factors:
    """The same factors, if they can be built."""
    if sum(factors.sizes) > MOST:
        raise InputError(
            f"at most {MOST} values in all", str(sum(factors.sizes)), "lower the resolution"
        )
    return factors


class FactoredEncoding(Encoding):
    """x in [0,1]^d -> C features, or C a mode where modes are put side by side."""

    def __init__(
        self, in_dim: int, factors: Factors, table: Float[Tensor, "p"], share: float = 1.0
    ) -> None:
        """The grids of `table`; results are multiplied by `share`."""
        super().__init__()
        self.in_dim, self.out_dim = in_dim, factors.width
        self.factors, self.share = factors, share
        self.table = nn.Parameter(table)

    def tables(self) -> list[nn.Parameter]:
        """The vertices' values."""
        return [self.table]

    def grids(self) -> list[list[Tensor]]:
        """Views: for each mode its factors as [R, ..., R, C], the slowest axis first."""
        return self.factors.views(self.table)

    def forward(self, x: Float[Tensor, "*n d"]) -> Float[Tensor, "*n c"]:
        """Features of x in [0,1]^d (clamped)."""
        values = factored(x.reshape(-1, self.in_dim), self.table, self.factors)
        if self.share != 1:
            values = values * self.share
        return values.view(*x.shape[:-1], self.out_dim)
