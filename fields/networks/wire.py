"""WIRE (Saragadam et al. 2023): complex Gabor wavelets. Published for coordinates in [-1,1].

Symbols: h = exp(i w z - |s z|^2) of z = W h' + b. W and b of the first layer are real, the others
complex; the output is a real part. With z = a + i b the wavelet is

    exp(-w b - s^2 (a^2 + b^2)) (cos(w a) + i sin(w a)).

Complex numbers are kept and computed as pairs of real ones, features [re | im]: files and
optimisers know real numbers only, and one real product with [[re, -im], [im, re]] is fast.
The two-dimensional wavelet (WIRE-2D) is not here.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

import torch
from jaxtyping import Float
from torch import Tensor, nn

from polyfield.fields.base import Network
from polyfield.fields.kernels.gabor import gabor
from polyfield.fields.networks.linear import Linear, linear
from polyfield.ranges import Range, check


@dataclass(frozen=True)
class Wire:
    """Gabor layers, PyTorch's initial values for complex weights."""

    hidden: Annotated[int, Range(2, 8192)] = 256
    """Width of a real network of as many parameters: there are hidden / sqrt(2) complex units."""
    layers: Annotated[int, Range(1, 64)] = 3
    """Number of Gabor layers, the first included."""
    frequency: Annotated[float, Range(0, 1e6)] = 20.0
    """w of every layer; not trained."""
    scale: Annotated[float, Range(0, 1e6)] = 30.0
    """s of every layer; not trained. 1/s is the width of a wavelet."""

    def build(self, in_dim: int, out_dim: int) -> WireNetwork:
        """A network of in_dim features and out_dim values; torch draws its first weights."""
        check(self)
        units = int(self.hidden / math.sqrt(2))
        return WireNetwork((in_dim, out_dim), units, self.layers, self.frequency, self.scale)


class WireNetwork(Network):
    """A real layer, complex layers with Gabor wavelets between them, and a real part."""

    def __init__(
        self, dims: tuple[int, int], units: int, layers: int, frequency: float, scale: float
    ) -> None:
        """`dims` are inputs and outputs, `units` complex values a layer."""
        super().__init__()
        self.in_dim, self.out_dim = dims
        self.frequency, self.scale = frequency, scale
        self.first = Linear(self.in_dim, units)
        self.hidden = nn.ModuleList(ComplexLinear(units) for _ in range(layers - 1))
        # The real part of a complex layer, as one layer on [re | im].
        self.last = Linear(2 * units, self.out_dim)
        bound = 1 / math.sqrt(units)
        for parameter in self.last.parameters():
            nn.init.uniform_(parameter, -bound, bound)

    def forward(self, x: Float[Tensor, "*n i"]) -> Float[Tensor, "*n o"]:
        """The real part of the last layer."""
        h = self._waves(self.first(x.reshape(-1, self.in_dim)))
        for layer in self.hidden:
            h = self._waves(layer(h))
        return self.last(h).view(*x.shape[:-1], self.out_dim)

    def _waves(self, z: Float[Tensor, "n z"]) -> Float[Tensor, "n y"]:
        return gabor(z, self.first.out_features, self.frequency, self.scale)


class ComplexLinear(nn.Module):
    """A complex layer of as many outputs as inputs, on and to [re | im]."""

    def __init__(self, units: int) -> None:
        """PyTorch's initial values of a complex layer: both parts U(+-1/sqrt(units))."""
        super().__init__()
        bound = 1 / math.sqrt(units)
        self.real = nn.Parameter(torch.empty(units, units).uniform_(-bound, bound))
        self.imaginary = nn.Parameter(torch.empty(units, units).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(2 * units).uniform_(-bound, bound))

    def forward(self, h: Float[Tensor, "*n u"]) -> Float[Tensor, "*n u"]:
        """Outputs `W h + b` of complex features h."""
        above = torch.cat([self.real, -self.imaginary], 1)
        below = torch.cat([self.imaginary, self.real], 1)
        return linear(h, torch.cat([above, below]), self.bias)
