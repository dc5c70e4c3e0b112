"""A coordinate network.

An encoding, a small perceptron, values (Mueller et al. 2022, section 5.1 for images).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from jaxtyping import Float
from torch import Tensor, nn

from polyfield.encodings import EncodingConfig
from polyfield.encodings.base import Encoding
from polyfield.encodings.domain import Domain
from polyfield.encodings.hash_grid import HashGrid
from polyfield.fields.base import SignalField
from polyfield.fields.mlp import MLP


@dataclass(frozen=True)
class Coordinate:
    """Encoding and ReLU perceptron, linear outputs."""

    encoding: EncodingConfig = field(default_factory=HashGrid)
    """What the perceptron sees of the coordinates."""
    hidden: int = 64
    """Width of the hidden layers."""
    layers: int = 2
    """Number of hidden layers."""
    bias: bool = False
    """Whether layers have biases (tiny-cuda-nn's have none)."""

    def build(self, domain: Domain, out_dim: int) -> CoordinateField:
        """The module for values of out_dim channels."""
        encoding = self.encoding.build(domain.dim)
        widths = [encoding.out_dim, *[self.hidden] * self.layers, out_dim]
        return CoordinateField(domain, encoding, MLP(widths, self.bias))


class CoordinateField(SignalField):
    """x -> MLP(encoding(domain(x)))."""

    def __init__(self, domain: Domain, encoding: Encoding, network: MLP) -> None:
        super().__init__()
        self.domain, self.encoding, self.network = domain, encoding, network
        self.out_dim = network.widths[-1]
        self.observes = encoding.observes

    def groups(self) -> dict[str, list[nn.Parameter]]:
        """The encoding's tables, and everything else."""
        tables = self.encoding.tables()
        held = {id(p) for p in tables}
        return {"table": tables, "network": [p for p in self.parameters() if id(p) not in held]}

    def forward(self, x: Float[Tensor, "*n d"]) -> Float[Tensor, "*n c"]:
        """Values at world coordinates."""
        return self.network(self.encoding(self.domain(x)))

    def set_progress(self, t: float) -> None:
        """Hand on to the encoding."""
        self.encoding.set_progress(t)

    def observe(self, x: Float[Tensor, "n d"], error: Float[Tensor, "n"]) -> None:
        """Hand on to the encoding."""
        self.encoding.observe(self.domain(x), error)
