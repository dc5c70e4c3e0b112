"""Kolmogorov-Arnold networks: a learned function of one variable on every edge.

`SplineKan` follows efficient-kan (B-splines beside a SiLU), `ChebyshevKan` ChebyKAN (polynomials of
tanh x). Both are for inputs in [-1,1].

Symbols: layer i -> o; G cells of width h = 2/G in [-1,1], order k, B_j the G + k B-splines on the
grid extended by k cells; T_n Chebyshev's polynomials.

    spline:     y_o = sum_i w_oi SiLU(x_i) + m_oi sum_j c_oij B_j(x_i)
    Chebyshev:  y_o = sum_i sum_n c_ino T_n(tanh x_i), layer norm between layers

On an edge a layer of splines has k + 2 multiply-adds (SiLU and the splines that are not 0) where a
perceptron has one: with k = 3 five, and nine to ten times its time for a forward and a backward
pass (one thread of an AVX-512 CPU, 32-64-64-3). Of that nearly a tenth are the splines and SiLU
themselves, a third the products of the forward pass, near what loads allow since each point reads
rows of its own, and the rest the backward pass, whose sums are read and written for each point.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

import torch
from jaxtyping import Float
from torch import Tensor, nn

from polyfield.fields.base import Network
from polyfield.fields.kernels.splines import b_splines, splines
from polyfield.fields.networks.linear import linear
from polyfield.fields.networks.stack import widths
from polyfield.ranges import Range, check

NOISE = 0.1
"""Initial splines go through U(+-NOISE / 2) / G at the grid's points."""


@dataclass(frozen=True)
class SplineKan:
    """Layers of B-splines and SiLU. The grid is fixed: beyond it only the SiLU is left."""

    hidden: Annotated[int, Range(1, 8192)] = 64
    """Width of the hidden layers."""
    layers: Annotated[int, Range(1, 64)] = 2
    """Number of hidden layers."""
    cells: Annotated[int, Range(1, 256)] = 5
    """G, cells of the grid in [-1,1]."""
    order: Annotated[int, Range(1, 10)] = 3
    """k, degree of the splines."""

    def build(self, in_dim: int, out_dim: int) -> KanNetwork:
        """A network of in_dim features and out_dim values; torch draws its first weights."""
        check(self)
        sizes = widths(in_dim, self.hidden, self.layers, out_dim)
        pairs = zip(sizes[:-1], sizes[1:], strict=True)
        return KanNetwork(sizes, [SplineLayer(i, o, self.cells, self.order) for i, o in pairs])


@dataclass(frozen=True)
class ChebyshevKan:
    """Layers of Chebyshev polynomials of tanh x, layer norm between them."""

    hidden: Annotated[int, Range(1, 8192)] = 64
    """Width of the hidden layers."""
    layers: Annotated[int, Range(1, 64)] = 2
    """Number of hidden layers."""
    degree: Annotated[int, Range(1, 64)] = 4
    """Highest degree of the polynomials."""

    def build(self, in_dim: int, out_dim: int) -> KanNetwork:
        """A network of in_dim features and out_dim values; torch draws its first weights."""
        check(self)
        sizes = widths(in_dim, self.hidden, self.layers, out_dim)
        layers: list[nn.Module] = [ChebyshevLayer(sizes[0], sizes[1], self.degree)]
        for inputs, outputs in zip(sizes[1:-1], sizes[2:], strict=True):
            layers += [nn.LayerNorm(inputs), ChebyshevLayer(inputs, outputs, self.degree)]
        return KanNetwork(sizes, layers)


class KanNetwork(Network):
    """Layers one after the other."""

    def __init__(self, sizes: list[int], layers: list[nn.Module]) -> None:
        """`sizes` are the widths [in, hidden ..., out]."""
        super().__init__()
        self.in_dim, self.out_dim = sizes[0], sizes[-1]
        self.layers = nn.ModuleList(layers)

    def forward(self, x: Float[Tensor, "*n i"]) -> Float[Tensor, "*n o"]:
        """Outputs of the last layer."""
        for layer in self.layers:
            x = layer(x)
        return x


class SplineLayer(nn.Module):
    """Efficient-kan's layer."""

    def __init__(self, inputs: int, outputs: int, cells: int, order: int) -> None:
        super().__init__()
        self.cells, self.order = cells, order
        bound = 1 / math.sqrt(inputs)
        self.base = nn.Parameter(torch.empty(outputs, inputs).uniform_(-bound, bound))
        self.factor = nn.Parameter(torch.empty(outputs, inputs).uniform_(-bound, bound))
        noise = (torch.rand(outputs, inputs, cells + 1) - 0.5) * NOISE / cells
        # Least squares of least norm. By the pseudo-inverse: a solver that wants full rank gives
        # NaN here, there are more splines than points.
        basis = b_splines(torch.linspace(-1, 1, cells + 1, dtype=torch.float64), cells, order)
        fit = torch.linalg.pinv(basis).T.float()
        self.coefficients = nn.Parameter(noise @ fit)

    def forward(self, x: Float[Tensor, "*n i"]) -> Float[Tensor, "*n o"]:
        """The sum over inputs."""
        flat = x.reshape(-1, x.shape[-1])
        weights = self.coefficients * self.factor[..., None]
        y = splines(flat, self.base, weights, self.cells, self.order)
        return y.view(*x.shape[:-1], len(weights))


def chebyshev(t: Float[Tensor, "*n"], degree: int) -> Float[Tensor, "*n b"]:
    """T_0 ... T_degree by T_n = 2 t T_(n-1) - T_(n-2); the gradient of acos has poles at +-1."""
    found = [torch.ones_like(t), t]
    while len(found) <= degree:
        found.append(2 * t * found[-1] - found[-2])
    return torch.stack(found, -1)


class ChebyshevLayer(nn.Module):
    """ChebyKAN's layer."""

    def __init__(self, inputs: int, outputs: int, degree: int) -> None:
        """Coefficients N(0, 1 / (inputs (degree + 1))), the standard deviation."""
        super().__init__()
        self.degree = degree
        deviation = 1 / (inputs * (degree + 1))
        self.coefficients = nn.Parameter(torch.randn(outputs, inputs * (degree + 1)) * deviation)

    def forward(self, x: Float[Tensor, "*n i"]) -> Float[Tensor, "*n o"]:
        """The sum over inputs and degrees."""
        return linear(chebyshev(x.tanh(), self.degree).flatten(-2), self.coefficients)
