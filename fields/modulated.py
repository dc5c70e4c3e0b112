"""Coordinate-aware modulation of a coordinate network (CAM, Lee et al. 2024).

Symbols: layer l of L turns h into act(gamma_l(c) * norm(W_l h + b_l) + beta_l(c)), where c are some
columns of the coordinates, u in [0,1]^d; gamma_l and beta_l are grids of one scalar a node,
interpolated linearly, 1 and 0 at first; norm standardises the features of each point. The first
and last node of an axis lie on the border of the domain. The output layer is not modulated.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Annotated, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from polyfield.encodings import EncodingConfig
from polyfield.encodings.base import Encoding
from polyfield.encodings.domain import Domain
from polyfield.encodings.random_fourier import RandomFourier
from polyfield.errors import InputError
from polyfield.fields.base import SignalField
from polyfield.fields.kernels.modulate import modulate
from polyfield.fields.networks.linear import Linear
from polyfield.ranges import Count, Range, check


@dataclass(frozen=True)
class Modulated:
    """A network whose layers are scaled and shifted by small grids over some coordinates."""

    encoding: EncodingConfig = field(default_factory=RandomFourier)
    """What the network sees of all coordinates."""
    hidden: Annotated[int, Range(1, 8192)] = 256
    """Width of the hidden layers."""
    layers: Annotated[int, Range(1, 64)] = 3
    """L, number of hidden layers."""
    columns: Annotated[tuple[int, ...], Range(0, 15), Count(1, 3)] = (0, 1)
    """c, the coordinates that modulate, by number: 1 to 3 of them."""
    resolution: Annotated[int, Range(2, 4096)] = 32
    """Nodes of a grid, an axis."""
    normalize: bool = True
    """Standardise the features of each point before they are modulated."""
    activation: Literal["relu", "none"] = "relu"
    """After the modulation."""
    output: Literal["sigmoid", "linear"] = "sigmoid"
    """After the last layer."""

    def build(self, domain: Domain, out_dim: int) -> ModulatedField:
        """The module for values of out_dim channels."""
        check(self)
        columns, given = set(self.columns), str(self.columns)
        if len(columns) != len(self.columns):
            raise InputError("1 to 3 different columns", given, "change columns")
        if max(columns) >= domain.dim:
            last = domain.dim - 1
            raise InputError(f"columns from 0 to {last}", given, "name coordinates there are")
        return ModulatedField(self, domain, self.encoding.build(domain.dim), out_dim)


def lookup(
    grids: Float[Tensor, "b m *nodes"], places: Float[Tensor, "b n k"]
) -> Float[Tensor, "b m n"]:
    """Values of m grids over k = 1, 2 or 3 axes at places of [0,1]^k, linearly interpolated."""
    k = places.shape[-1]
    if not places.shape[1]:
        return places.new_zeros(*grids.shape[:2], 0)
    if k == 1:
        # Torch has no grid of one axis: the only row of an image.
        places, grids = torch.cat([torch.zeros_like(places), places], -1), grids.unsqueeze(2)
    # It names the last axis first.
    places = places.flip(-1) * 2 - 1
    places = places.view(len(places), -1, *[1] * (max(k, 2) - 1), max(k, 2))
    found = functional.grid_sample(grids, places, "bilinear", "border", align_corners=True)
    return found.flatten(2)


class ModulatedField(SignalField):
    """x -> out(modulated layers(encoding(domain(x)))).

    `grids` [2L, nodes ...] holds gamma of each layer, then beta of each.
    """

    def __init__(self, config: Modulated, domain: Domain, encoding: Encoding, out_dim: int) -> None:
        super().__init__()
        self.domain, self.encoding, self.out_dim = domain, encoding, out_dim
        self.takes_errors, self.takes_points = encoding.takes_errors, encoding.takes_points
        self.columns, self.normalize = list(config.columns), config.normalize
        self.activation, self.output = config.activation, config.output
        widths = [encoding.out_dim, *[config.hidden] * config.layers]
        self.hidden = nn.ModuleList(Linear(i, o) for i, o in pairwise(widths))
        self.last = Linear(widths[-1], out_dim)
        nodes = [config.resolution] * len(config.columns)
        one = torch.ones(config.layers, *nodes)
        self.grids = nn.Parameter(torch.cat([one, torch.zeros_like(one)]))

    def groups(self) -> dict[str, list[nn.Parameter]]:
        """The encoding's tables, the grids of the modulation, and everything else."""
        tables = self.encoding.tables()
        held = {id(p) for p in [*tables, self.grids]}
        network = [p for p in self.parameters() if id(p) not in held]
        return {"table": tables, "network": network, "modulation": [self.grids]}

    def forward(self, x: Float[Tensor, "*n d"]) -> Float[Tensor, "*n c"]:
        """Values at world coordinates."""
        u = self.domain(x).reshape(-1, x.shape[-1])
        h = self.encoding(u)
        scale, shift = lookup(self.grids[None], u[None, :, self.columns])[0].chunk(2)
        for layer, gamma, beta in zip(self.hidden, scale, shift, strict=True):
            h = layer(h)
            if self.activation == "relu":
                h = modulate(h, gamma, beta, self.normalize)
                continue
            h = functional.layer_norm(h, h.shape[-1:]) if self.normalize else h
            h = torch.addcmul(beta[:, None], h, gamma[:, None])
        y = self.last(h)
        y = y.sigmoid() if self.output == "sigmoid" else y
        return y.view(*x.shape[:-1], self.out_dim)

    def set_progress(self, t: float) -> None:
        """Hand on to the encoding."""
        self.encoding.set_progress(t)

    def update_error(self, x: Float[Tensor, "n d"], error: Float[Tensor, "n"]) -> None:
        """Hand on to the encoding."""
        self.encoding.update_error(self.domain(x), error)

    def init_from_points(self, x: Float[Tensor, "n d"], weight: Float[Tensor, "n"]) -> None:
        """Hand on to the encoding."""
        self.encoding.init_from_points(self.domain(x), weight)
