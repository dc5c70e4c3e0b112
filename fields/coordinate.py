"""A coordinate network: encoding, network, values (Mueller et al. 2022, 5.1 for images)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Literal

from jaxtyping import Float
from torch import Tensor, nn

from polyfield.config import TAGGED
from polyfield.encodings import EncodingConfig
from polyfield.encodings.base import Encoding
from polyfield.encodings.domain import Domain
from polyfield.encodings.hash_grid import HashGrid
from polyfield.encodings.shader_pass import Passes, ShaderPass
from polyfield.fields.base import Network, SignalField
from polyfield.fields.kernels.grid_mlp import grid_mlp
from polyfield.fields.networks import NetworkConfig
from polyfield.fields.networks.mlp import Perceptron
from polyfield.ranges import check


@dataclass(frozen=True)
class Coordinate:
    """Encoding and network."""

    encoding: EncodingConfig = field(default_factory=HashGrid)
    """What the network sees of the coordinates."""
    network: Annotated[NetworkConfig, TAGGED] = field(default_factory=Perceptron)
    """Features to values."""
    output: Literal["linear", "sigmoid"] = "linear"
    """After the last layer; images of Tancik et al. and of CAM end in a sigmoid."""

    def build(self, domain: Domain, out_dim: int) -> CoordinateField:
        """The module for values of out_dim channels."""
        check(self)
        encoding = self.encoding.build(domain.dim)
        network = self.network.build(encoding.out_dim, out_dim)
        return CoordinateField(domain, encoding, network, self.output == "sigmoid")


class CoordinateField(SignalField):
    """x -> network(encoding(domain(x))), and a sigmoid if `squash`."""

    def __init__(
        self, domain: Domain, encoding: Encoding, network: Network, squash: bool = False
    ) -> None:
        super().__init__()
        self.squash = squash
        self.domain, self.encoding, self.network = domain, encoding, network
        self.out_dim = network.out_dim
        self.takes_errors, self.takes_points = encoding.takes_errors, encoding.takes_points

    def groups(self) -> dict[str, list[nn.Parameter]]:
        """The encoding's tables, and everything else."""
        tables = self.encoding.tables()
        held = {id(p) for p in tables}
        return {"table": tables, "network": [p for p in self.parameters() if id(p) not in held]}

    def forward(self, x: Float[Tensor, "*n d"]) -> Float[Tensor, "*n c"]:
        """Values at world coordinates."""
        unit = self.domain(x)
        grid, network = self.encoding.grid_table(), self.network.perceptron()
        if grid is None or network is None:
            y = self.network(self.encoding(unit))
        else:
            flat = grid_mlp(unit.reshape(-1, unit.shape[-1]), grid, network)
            y = flat.view(*x.shape[:-1], self.out_dim)
        return y.sigmoid() if self.squash else y

    def passes(self) -> Passes | None:
        """Those of the encoding, then those of the network."""
        encoding, network = self.encoding.passes(), self.network.passes()
        if encoding is None or network is None or self.domain.contracted:
            return None
        last = (ShaderPass("sigmoid", self.out_dim, {}),) if self.squash else ()
        return (*encoding, *network, *last)

    def set_progress(self, t: float) -> None:
        """Hand on to the encoding."""
        self.encoding.set_progress(t)

    def update_error(self, x: Float[Tensor, "n d"], error: Float[Tensor, "n"]) -> None:
        """Hand on to the encoding."""
        self.encoding.update_error(self.domain(x), error)

    def init_from_points(self, x: Float[Tensor, "n d"], weight: Float[Tensor, "n"]) -> None:
        """Hand on to the encoding."""
        self.encoding.init_from_points(self.domain(x), weight)
