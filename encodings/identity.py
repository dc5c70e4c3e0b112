"""The coordinates themselves."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from polyfield.encodings.base import Encoding


@dataclass(frozen=True)
class Identity:
    """Features are the coordinates, unchanged."""

    def build(self, in_dim: int) -> IdentityEncoding:
        """The module for d = in_dim."""
        return IdentityEncoding(in_dim)


class IdentityEncoding(Encoding):
    """x -> x."""

    def __init__(self, in_dim: int) -> None:
        super().__init__()
        self.in_dim = self.out_dim = in_dim

    def forward(self, x: Float[Tensor, "*n d"]) -> Float[Tensor, "*n c"]:
        """The input."""
        return x
