"""SIREN (Sitzmann et al. 2020): sines all the way. Published for coordinates in [-1,1].

Symbols: h = sin(w0 (W x + b)); w0 of the first layer sets the frequencies of the signal.
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
class Siren:
    """Sine layers with weights that keep the distribution of features over depth."""

    hidden: Annotated[int, Range(1, 8192)] = 256
    """Width of the hidden layers."""
    layers: Annotated[int, Range(1, 64)] = 4
    """Number of sine layers, the first included."""
    first_frequency: Annotated[float, Range(0, 1e6, above=True)] = 30.0
    """w0 of the first layer. It grows with what [-1,1] spans: published for sound is 3000, for 7 s;
    430 to 1300 times the seconds do well."""
    frequency: Annotated[float, Range(0, 1e6, above=True)] = 30.0
    """w0 of the others."""

    def build(self, in_dim: int, out_dim: int) -> Stack:
        """A network of in_dim features and out_dim values; torch draws its first weights."""
        check(self)
        scales = [self.first_frequency, *[self.frequency] * (self.layers - 1)]
        stack = Stack(widths(in_dim, self.hidden, self.layers, out_dim), _sine, scales, "sine")
        return sine_weights(stack, self.frequency)


def _sine(z: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
    return wave(z, "sine")
