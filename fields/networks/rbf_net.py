"""The decoder of Gaussian neural fields (Bouzidi et al. 2025): kernels in feature space.

Symbols: features f [*n, D]; N kernels of centre c_k and scales s_k = exp(log-scale), diagonal;

    phi_k = exp(-q_k / 2),   q_k = sum_d s_kd (f_d - c_kd)^2,   y = W phi + b.

q is expanded into products of matrices, (f f) s^T - 2 f (s c)^T + sum_d s c^2, so that nothing of
size n N D exists; rounding can make it negative, hence the clamp. As in the released code there is
no linear term in the features and no tanh; its unused shift of the scales is left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import torch
from jaxtyping import Float
from torch import Tensor, nn

from polyfield.fields.base import Network
from polyfield.fields.kernels.waves import wave
from polyfield.fields.networks.linear import Linear, linear
from polyfield.ranges import Range, check


@dataclass(frozen=True)
class GaussianKernels:
    """Gaussian kernels of the features and a linear layer."""

    units: Annotated[int, Range(1, 1 << 16)] = 64
    """N, number of kernels."""
    center_scale: Annotated[float, Range(0, 1e6)] = 1e-4
    """Initial centres are U(-center_scale, center_scale): nearly one point."""

    def build(self, in_dim: int, out_dim: int) -> KernelNetwork:
        """A network of in_dim features and out_dim values; torch draws its first weights."""
        check(self)
        return KernelNetwork(in_dim, out_dim, self.units, self.center_scale)


class KernelNetwork(Network):
    """f -> W phi(f) + b."""

    def __init__(self, in_dim: int, out_dim: int, units: int, center_scale: float) -> None:
        super().__init__()
        self.in_dim, self.out_dim = in_dim, out_dim
        centers = torch.empty(units, in_dim).uniform_(-center_scale, center_scale)
        self.centers = nn.Parameter(centers)
        self.log_scales = nn.Parameter(torch.zeros(units, in_dim))
        self.last = Linear(units, out_dim)

    def forward(self, x: Float[Tensor, "*n i"]) -> Float[Tensor, "*n o"]:
        """Outputs for features x."""
        return self.last(self.kernels(x))

    def kernels(self, x: Float[Tensor, "*n i"]) -> Float[Tensor, "*n k"]:
        """The kernels phi at features x."""
        s, c = self.log_scales.exp(), self.centers
        offset = (s * c.square()).sum(-1)
        q = linear(x.square(), s, offset) + linear(x, -2 * s * c)
        return wave(q, "decay")
