"""Several encodings side by side, each of its own coordinates (tiny-cuda-nn's "composite")."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated

import torch
from jaxtyping import Float
from torch import Tensor, nn

from polyfield.encodings.base import Encoding
from polyfield.encodings.frequency import Frequency
from polyfield.encodings.hash_grid import HashGrid
from polyfield.encodings.plain import PlainEncodingConfig
from polyfield.errors import InputError
from polyfield.ranges import Count, Range, check


@dataclass(frozen=True)
class Part:
    """An encoding and the coordinates it sees."""

    encoding: PlainEncodingConfig = field(default_factory=HashGrid)
    """What is made of them."""
    first: Annotated[int, Range(0, 16)] = 0
    """Its first coordinate, counted from 0."""
    count: Annotated[int, Range(1, 16)] | None = None
    """How many it sees; all the others from `first` on if none is given."""


def _default() -> tuple[Part, ...]:
    return Part(Frequency()), Part(HashGrid())


@dataclass(frozen=True)
class Composite:
    """The features of several encodings, one after the other."""

    parts: Annotated[tuple[Part, ...], Count(1, 16)] = field(default_factory=_default)
    """The encodings, each with the coordinates it sees."""

    def build(self, in_dim: int) -> CompositeEncoding:
        """The module for d = in_dim."""
        check(self)
        encodings: list[Encoding] = []
        columns: list[slice] = []
        for part in self.parts:
            count = in_dim - part.first if part.count is None else part.count
            if count < 1 or part.first + count > in_dim:
                raise InputError(
                    f"coordinates among 0 to {in_dim - 1} in each part of Composite",
                    f"first {part.first}, count {part.count}",
                    "change first or count",
                )
            encodings.append(part.encoding.build(count))
            columns.append(slice(part.first, part.first + count))
        return CompositeEncoding(in_dim, encodings, columns)


class CompositeEncoding(Encoding):
    """x -> [encoding_0(x[columns_0]), encoding_1(x[columns_1]), ...]."""

    def __init__(
        self, in_dim: int, encodings: Sequence[Encoding], columns: Sequence[slice]
    ) -> None:
        super().__init__()
        self.in_dim, self.out_dim = in_dim, sum(e.out_dim for e in encodings)
        self.encodings = nn.ModuleList(encodings)
        self._parts = list(zip(encodings, columns, strict=True))
        self.takes_errors = any(e.takes_errors for e in encodings)
        self.takes_points = any(e.takes_points for e in encodings)
        exact = all(e.exact_gradient == "both" for e in encodings)
        self.exact_gradient = "both" if exact else "parameters"

    def tables(self) -> list[nn.Parameter]:
        """Those of all parts."""
        return [table for encoding, _ in self._parts for table in encoding.tables()]

    def forward(self, x: Float[Tensor, "*n d"]) -> Float[Tensor, "*n c"]:
        """Features of x in [0,1]^d, part by part."""
        return torch.cat([encoding(x[..., columns]) for encoding, columns in self._parts], -1)

    def set_progress(self, t: float) -> None:
        """Tell every part how far training is."""
        for encoding, _ in self._parts:
            encoding.set_progress(t)

    def update_error(self, x: Float[Tensor, "n d"], error: Float[Tensor, "n"]) -> None:
        """Hand on, each part with its coordinates."""
        for encoding, columns in self._parts:
            encoding.update_error(x[:, columns], error)

    def init_from_points(self, x: Float[Tensor, "n d"], weight: Float[Tensor, "n"]) -> None:
        """Hand on, each part with its coordinates."""
        for encoding, columns in self._parts:
            encoding.init_from_points(x[:, columns], weight)
