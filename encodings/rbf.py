"""Adaptive radial kernels beside a small grid (Chen et al. 2023, NeuRBF).

The kernels' features and their symbols are in kernels/rbf.py, their placing in kmeans.py. Once
placed, centres and shapes are frozen; weights, grid and bias train.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from polyfield.encodings.base import Encoding
from polyfield.encodings.hash_grid import HashGrid, HashGridEncoding
from polyfield.encodings.kernels.nearest import nearest
from polyfield.encodings.kernels.rbf import pairs, rbf
from polyfield.encodings.kmeans import cluster_shapes, weighted_kmeans
from polyfield.errors import InputError
from polyfield.ranges import Range, check


def _small_grid() -> HashGrid:
    return HashGrid(levels=2, features=2, log2_size=16, base_resolution=16, finest_resolution=256)


@dataclass(frozen=True)
class Rbf:
    """Radial kernels that lie where the detail is, and a small grid.

    Until they are placed only the grid speaks.
    """

    kernels: Annotated[int, Range(1, 1 << 18)] = 4096
    """M, number of kernels."""
    channels: Annotated[int, Range(1, 256)] = 32
    """C, weights of a kernel and features of them all."""
    neighbours: Annotated[int, Range(1, 64)] = 4
    """K, kernels that make a point's features (released code: 4 for images, 8 and 5 in space)."""
    waves: Annotated[tuple[float, float], Range(-32, 32)] | None = (-3.0, 12.0)
    """Features are sines of a kernel's value times 2^low ... 2^high; none for the value itself."""
    normalise: bool = True
    """Divide a kernel's value by the sum over neighbours."""
    alpha: Annotated[float, Range(0, 1e6, above=True)] = 0.5
    """A kernel is half as strong where its cluster's spread, divided by sqrt(alpha), ends."""
    rounds: Annotated[int, Range(0, 1000)] = 10
    """Steps of k-means."""
    seed: Annotated[int, Range(0, 2**63 - 1)] = 0
    """Of the points k-means begins from."""
    grid: HashGrid = field(default_factory=_small_grid)
    """The grid beside them."""

    def build(self, in_dim: int) -> RbfEncoding:
        """The module for d = in_dim in 2, 3."""
        check(self)
        if in_dim not in (2, 3):
            raise InputError("2 or 3 coordinates for Rbf", str(in_dim), "use another encoding")
        if self.neighbours > self.kernels:
            raise InputError(
                "at least as many kernels as neighbours",
                f"{self.kernels} and {self.neighbours}",
                "change them",
            )
        return RbfEncoding(self, self.grid.build(in_dim))


class RbfEncoding(Encoding):
    """x in [0,1]^d -> C features of kernels, then those of the grid, plus a bias."""

    # The normaliser and the choice of neighbours carry no gradient to x.
    exact_gradient = "parameters"
    takes_points = True
    centres: Float[Tensor, "M d"]
    shapes: Float[Tensor, "M s"]
    multipliers: Float[Tensor, "m"]
    placed: Bool[Tensor, ""]

    def __init__(self, config: Rbf, grid: HashGridEncoding) -> None:
        super().__init__()
        dim, channels = grid.in_dim, config.channels
        self.in_dim, self.out_dim = dim, channels + grid.out_dim
        self.config, self.grid = config, grid
        # U(-1e-4, 1e-4) for both, as released.
        self.weights = nn.Parameter(torch.empty(config.kernels, channels).uniform_(-1e-4, 1e-4))
        self.bias = nn.Parameter(torch.empty(self.out_dim).uniform_(-1e-4, 1e-4))
        self.register_buffer("centres", torch.zeros(config.kernels, dim))
        self.register_buffer("shapes", torch.zeros(config.kernels, len(pairs(dim))))
        self.register_buffer("placed", torch.tensor(False))
        multipliers = torch.empty(0)
        if config.waves is not None:
            multipliers = torch.linspace(*config.waves, channels).exp2()
        self.register_buffer("multipliers", multipliers, persistent=False)
        # A plain copy of `placed`, which a compiler can read.
        self.active = False

    def _load_from_state_dict(self, *args, **kwargs) -> None:  # type: ignore[no-untyped-def]
        super()._load_from_state_dict(*args, **kwargs)
        self.active = bool(self.placed)

    def tables(self) -> list[nn.Parameter]:
        """The kernels' weights and the grid's entries."""
        return [self.weights, *self.grid.tables()]

    def forward(self, x: Float[Tensor, "*n d"]) -> Float[Tensor, "*n c"]:
        """Features of x in [0,1]^d."""
        flat = x.reshape(-1, self.in_dim)
        if self.active:
            index = nearest(flat.detach(), self.centres, self.config.neighbours)
            kernels = (self.centres, self.shapes)
            features = rbf(
                flat, index, kernels, self.weights, self.multipliers, self.config.normalise
            )
        else:
            features = self.weights.new_zeros(len(flat), self.config.channels)
        features = torch.cat([features, self.grid(flat)], -1) + self.bias
        return features.view(*x.shape[:-1], self.out_dim)

    @torch.no_grad()
    def init_from_points(self, x: Float[Tensor, "n d"], weight: Float[Tensor, "n"]) -> None:
        """Lay the kernels by weighted k-means and freeze them.

        Any number of points will do: kernels beyond it are copies of points, moved a little.
        Without any weight all points count the same; without points kernels fill the cube evenly.
        """
        config, centres = self.config, self.centres
        generator = torch.Generator().manual_seed(config.seed)
        x, weight = x.cpu().to(torch.float32), weight.cpu().to(torch.float32)
        if not len(x):
            x = torch.rand(config.kernels, self.in_dim, generator=generator)
            weight = torch.ones(config.kernels)
        weight = weight.nan_to_num(0, 0, 0).clamp(min=0)
        # Far below the largest a weight only costs precision.
        weight = weight / weight.max() if weight.max() > 0 else torch.ones_like(weight)
        found = weighted_kmeans(x, weight, config.kernels, config.rounds, generator)
        shapes = cluster_shapes(x, weight, found, config.alpha)
        centres.copy_(found)
        self.shapes.copy_(shapes)
        self.placed.fill_(True)
        self.active = True
