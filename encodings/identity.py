"""The coordinates themselves."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from polyfield.encodings.base import Encoding
from polyfield.encodings.shader_pass import Passes, ShaderPass


@dataclass(frozen=True)
class Identity:
    """Features are the coordinates."""

    centered: bool = False
    """Give 2x - 1 in [-1,1] instead of x in [0,1]: what SIREN, WIRE and their kin expect."""

    def build(self, in_dim: int) -> IdentityEncoding:
        """The module for d = in_dim."""
        return IdentityEncoding(in_dim, self.centered)


class IdentityEncoding(Encoding):
    """x -> x, or 2x - 1."""

    ordered = True

    def __init__(self, in_dim: int, centered: bool = False) -> None:
        super().__init__()
        self.in_dim = self.out_dim = in_dim
        self.centered = centered

    def forward(self, x: Float[Tensor, "*n d"]) -> Float[Tensor, "*n c"]:
        """The input, or what lies in [-1,1] for it."""
        return x * 2 - 1 if self.centered else x

    def passes(self) -> Passes | None:
        """One."""
        if self.in_dim != 2:
            return None
        return (ShaderPass("coordinates", 2, {"centered": self.centered}),)
