"""Where the model of another program lies in a domain: its axes, its unit, its box or contraction.

Symbols: x a world point of the domain's box, whose longest edge is l and whose middle is m; y the
program's own coordinates, y = turn (x - m) e / l + middle, so that the edge is e of its units long;
u in [0,1]^3 what its grids see: of its box [low, high], or of all space contracted by the maximum
norm (Barron et al. 2022, eq. 10), u = (contract(y) + 2) / 4.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from polyfield.encodings.domain import Domain
from polyfield.errors import InputError
from polyfield.ranges import Range

Coordinate = Annotated[float, Range(-1e6, 1e6)]
Three = tuple[Coordinate, Coordinate, Coordinate]


@dataclass(frozen=True)
class Placement:
    """Another program's coordinates."""

    turn: tuple[Three, Three, Three] = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
    """Rows of the orthogonal matrix that takes our axes to its."""
    middle: Three = (0.0, 0.0, 0.0)
    """The middle of the domain's box, its coordinates."""
    extent: Annotated[float, Range(1e-6, 1e6)] = 2.0
    """Longest edge of the domain's box, its units."""
    contracted: bool = True
    """Whether it sees all space, contracted; else its box alone."""
    low: Three = (-1.0, -1.0, -1.0)
    """Lower corner of its box."""
    high: Three = (1.0, 1.0, 1.0)
    """Upper corner."""

    def build(self, domain: Domain) -> Placed:
        """The map from a domain's world.

        Raises:
            InputError: its axes are not at right angles, or its box is none.
        """
        turn = torch.tensor(self.turn, dtype=torch.float64)
        if not torch.allclose(turn @ turn.T, torch.eye(3, dtype=torch.float64), atol=1e-4):
            raise InputError("axes at right angles for turn", f"{self.turn}"[:80], "import it anew")
        if not all(a < b for a, b in zip(self.low, self.high, strict=True)):
            raise InputError("low below high", f"{self.low}, {self.high}", "import it anew")
        return Placed(domain, self)


class Placed(nn.Module):
    """World points -> the program's unit cube."""

    def __init__(self, domain: Domain, config: Placement) -> None:
        super().__init__()
        self.domain, self.config = domain, config
        parts = torch.tensor([*config.turn, config.middle, config.low, config.high])
        self.register_buffer("_parts", parts, persistent=False)
        self._parts: Tensor

    @property
    def unit(self) -> float:
        """The program's units per length of the world."""
        return self.config.extent / self.domain.length

    def directions(self, directions: Float[Tensor, "*n 3"]) -> Float[Tensor, "*n 3"]:
        """Unit directions, in the program's axes."""
        return directions @ self._parts[:3].T

    def points(self, x: Float[Tensor, "*n 3"]) -> Float[Tensor, "*n 3"]:
        """World points, in the program's coordinates."""
        bounds = self.domain.bounds
        return (x - (bounds[0] + bounds[1]) / 2) * self.unit @ self._parts[:3].T + self._parts[3]

    def forward(self, x: Float[Tensor, "*n 3"]) -> tuple[Float[Tensor, "*n 3"], Bool[Tensor, "*n"]]:
        """Coordinates in the cube, and whether the point is inside; 0 where it is not."""
        y = self.points(x)
        if self.config.contracted:
            norm = y.abs().amax(-1, keepdim=True).clamp(min=1)
            u = (y * ((2 - 1 / norm) / norm) + 2) / 4
        else:
            low, high = self._parts[4], self._parts[5]
            u = (y - low) / (high - low)
        inside = ((u > 0) & (u < 1)).all(-1)
        return torch.where(inside[..., None], u, torch.zeros_like(u)), inside
