"""Gaussian activations (Ramasinghe and Lucey 2022; numbers of WIRE's code). For [-1,1].

Symbols: h = exp(-(s (W x + b))^2).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from jaxtyping import Float
from torch import Tensor

from polyfield.fields.kernels.waves import wave
from polyfield.fields.networks.stack import Stack, widths
from polyfield.ranges import Range, check


@dataclass(frozen=True)
class Gauss:
    """Layers of exp(-(s z)^2), PyTorch's initial values."""

    hidden: Annotated[int, Range(1, 8192)] = 256
    """Width of the hidden layers."""
    layers: Annotated[int, Range(1, 64)] = 3
    """Number of hidden layers, the first included."""
    scale: Annotated[float, Range(0, 1e6, above=True)] = 10.0
    """s: the larger, the finer the detail."""

    def build(self, in_dim: int, out_dim: int) -> Stack:
        """A network of in_dim features and out_dim values; torch draws its first weights."""
        check(self)
        scales = [self.scale] * self.layers
        return Stack(widths(in_dim, self.hidden, self.layers, out_dim), _bell, scales)


def _bell(z: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    return wave(z, "bell")
