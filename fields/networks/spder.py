"""SPDER (Shah and Sitawarin 2023): a damped sine, sin(z) sqrt|z|. For coordinates in [-1,1].

Symbols: z = w0 (W x + b). The derivative cos(z) sqrt|z| + sin(z) sign(z) / (2 sqrt|z|) is 0 at
z = 0, where automatic differentiation multiplies infinity by 0; it is written out here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from jaxtyping import Float
from torch import Tensor

from polyfield.fields.kernels.waves import wave
from polyfield.fields.networks.stack import Stack, sine_weights, widths
from polyfield.ranges import Range, check


@dataclass(frozen=True)
class Spder:
    """Layers of sin(z) sqrt|z|, SIREN's initial values (the images' activation, not sound's)."""

    hidden: Annotated[int, Range(1, 8192)] = 256
    """Width of the hidden layers."""
    layers: Annotated[int, Range(1, 64)] = 5
    """Number of hidden layers, the first included."""
    frequency: Annotated[float, Range(0, 1e6, above=True)] = 30.0
    """w0 of the layers."""
    first_frequency: Annotated[float, Range(0, 1e6, above=True)] | None = None
    """w0 of the first layer; that of the others if none is given. Larger for sound, but less than
    SIREN's: features grow with its root (1.4 s of a cello: 200 does well, 600 learns nothing)."""

    def build(self, in_dim: int, out_dim: int) -> Stack:
        """A network of in_dim features and out_dim values; torch draws its first weights."""
        check(self)
        first = self.frequency if self.first_frequency is None else self.first_frequency
        scales = [first, *[self.frequency] * (self.layers - 1)]
        stack = Stack(widths(in_dim, self.hidden, self.layers, out_dim), damped_sine, scales)
        return sine_weights(stack, self.frequency)


def damped_sine(z: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    """Sin(z) sqrt|z|, its gradient finite everywhere."""
    return wave(z, "damped")
