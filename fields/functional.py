"""F-INR (Vemuri et al. 2025): one network for each axis, joined by a tensor decomposition.

On a grid the networks run on the axes alone, m_1 + ... + m_d points, and one contraction gives all
m_1 ... m_d values. Scattered points cost d evaluations each: there the method wins nothing.

Source: f-inr.github.io and its demonstration (CP of images); the layouts of train and Tucker are
not released, ours and all symbols are in contractions.py. On initial values see `_balance`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from polyfield.config import TAGGED
from polyfield.encodings import EncodingConfig
from polyfield.encodings.base import Encoding
from polyfield.encodings.domain import Domain
from polyfield.encodings.frequency import Frequency
from polyfield.errors import InputError
from polyfield.fields.base import Network, SignalField
from polyfield.fields.contractions import CanonicalPolyadic, Contraction, Train, Tucker
from polyfield.fields.networks import NetworkConfig
from polyfield.fields.networks.relu import Relu
from polyfield.ranges import Range, check

Form = Literal["cp", "tt", "tucker"]
LOOK = 256
"""Points of an axis at which the factors are measured once."""
START = 1 / 16
"""Root mean square of the first values: training starts near 0, where its noise is small."""
MOST = 10.0
"""Largest constant a factor is multiplied with."""


@dataclass(frozen=True)
class Functional:
    """A network an axis; values by CP, tensor train or Tucker."""

    form: Form = "cp"
    """How factors are joined: sum of products, product of matrices, or a core tensor."""
    rank: Annotated[int, Range(1, 4096)] = 128
    """R, terms of the sum, size of the matrices or of the core."""
    encoding: EncodingConfig = field(default_factory=Frequency)
    """What each network sees of its one coordinate."""
    network: Annotated[NetworkConfig, TAGGED] = field(default_factory=Relu)
    """From that to the factor of the axis."""

    def build(self, domain: Domain, out_dim: int) -> FunctionalField:
        """The module for values of out_dim channels."""
        check(self)
        if domain.dim < 2:
            raise InputError(
                "2 axes or more, a network for each, for Functional", "1", "use Coordinate"
            )
        if domain.contracted:
            raise InputError(
                "a box, whose axes can be told apart", "an unbounded domain", "use Coordinate"
            )
        contraction = _contraction(self.form, domain.dim, self.rank, out_dim)
        encodings = [self.encoding.build(1) for _ in range(domain.dim)]
        networks = [
            self.network.build(encoding.out_dim, size)
            for encoding, size in zip(encodings, contraction.sizes, strict=True)
        ]
        return FunctionalField(domain, encodings, networks, contraction, out_dim)


def _contraction(form: Form, dim: int, rank: int, channels: int) -> Contraction:
    if form == "cp":
        return CanonicalPolyadic(dim, rank, channels)
    if form == "tt":
        return Train(dim, rank, channels)
    return Tucker(dim, rank, channels)


class FunctionalField(SignalField):
    """x -> contraction of g_i network_i(encoding_i(x_i)) over axes i."""

    prefers_grid = True
    gains: Float[Tensor, "d"]

    def __init__(
        self,
        domain: Domain,
        encodings: Sequence[Encoding],
        networks: Sequence[Network],
        contraction: Contraction,
        out_dim: int,
    ) -> None:
        super().__init__()
        self.domain, self.contraction, self.out_dim = domain, contraction, out_dim
        # Plain lists beside the registered ones: a ModuleList forgets what its members can do.
        self._encodings, self._networks = list(encodings), list(networks)
        self.encodings, self.networks = nn.ModuleList(encodings), nn.ModuleList(networks)
        self.takes_errors = any(encoding.takes_errors for encoding in encodings)
        self.takes_points = any(encoding.takes_points for encoding in encodings)
        self.register_buffer("gains", torch.ones(domain.dim))
        self._balance()

    @torch.no_grad()
    def _balance(self) -> None:
        """Choose g so that values start at the same size, whatever the networks and the rank.

        A product of small factors would have no gradient. The constants are kept with the model.
        """
        u = torch.linspace(0, 1, LOOK)[:, None]
        for axis, spread in enumerate(self.contraction.spreads):
            size = self._factor(axis, u).square().mean().sqrt()
            wanted = spread * START ** (1 / self.domain.dim)
            self.gains[axis] = min(wanted / max(float(size), 1e-6), MOST)

    def _factor(self, axis: int, u: Float[Tensor, "n 1"]) -> Float[Tensor, "n k"]:
        return self._networks[axis](self._encodings[axis](u)) * self.gains[axis]

    def groups(self) -> dict[str, list[nn.Parameter]]:
        """The encodings' tables, and everything else."""
        tables = [p for encoding in self._encodings for p in encoding.tables()]
        held = {id(p) for p in tables}
        return {"table": tables, "network": [p for p in self.parameters() if id(p) not in held]}

    def forward(self, x: Float[Tensor, "*n d"]) -> Float[Tensor, "*n c"]:
        """Values at world coordinates."""
        u = self.domain(x).reshape(-1, self.domain.dim)
        factors = [self._factor(axis, u[:, axis, None]) for axis in range(self.domain.dim)]
        return self.contraction.at(factors).view(*x.shape[:-1], self.out_dim)

    def on_grid(self, axes: Sequence[Float[Tensor, "_m"]]) -> Float[Tensor, "*m c"]:
        """Values on the product of axes: the networks see the axes alone."""
        factors = []
        for axis, coordinates in enumerate(axes):
            x = self.domain.bounds[0].repeat(len(coordinates), 1)
            x[:, axis] = coordinates
            factors.append(self._factor(axis, self.domain(x)[:, axis, None]))
        return self.contraction.on_grid(factors)

    def set_progress(self, t: float) -> None:
        """Hand on to the encodings."""
        for encoding in self._encodings:
            encoding.set_progress(t)

    def update_error(self, x: Float[Tensor, "n d"], error: Float[Tensor, "n"]) -> None:
        """Hand on to the encodings, to each its axis."""
        u = self.domain(x)
        for axis, encoding in enumerate(self._encodings):
            encoding.update_error(u[:, axis, None], error)

    def init_from_points(self, x: Float[Tensor, "n d"], weight: Float[Tensor, "n"]) -> None:
        """Hand on to the encodings, to each its axis."""
        u = self.domain(x)
        for axis, encoding in enumerate(self._encodings):
            encoding.init_from_points(u[:, axis, None], weight)
