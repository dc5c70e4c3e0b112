"""Linear layers with one activation between them: what most networks of coordinates are.

Symbols: layer l gives h_l = f(s_l (W_l h_(l-1) + b_l)), the last layer is linear.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import cast

import torch
from jaxtyping import Float
from torch import Tensor, nn

from polyfield.encodings.shader_pass import Passes
from polyfield.errors import InputError
from polyfield.fields.base import Network
from polyfield.fields.networks.layer_pass import Activation, layer_pass
from polyfield.fields.networks.linear import Linear, linear


class Stack(Network):
    """Linear layers with biases, PyTorch's initial values, and f between them."""

    def __init__(
        self,
        widths: Sequence[int],
        activation: Callable[[Tensor], Tensor],
        scales: Sequence[float] | None = None,
        shader: Activation | None = None,
    ) -> None:
        """Layers of widths [in, hidden ..., out].

        Args:
            widths: Of the features between layers.
            activation: f.
            scales: s_l of every layer but the last; None for 1.
            shader: What shaders call f; None where they have none.
        """
        super().__init__()
        self.in_dim, self.out_dim = widths[0], widths[-1]
        pairs = zip(widths[:-1], widths[1:], strict=True)
        self.linear = nn.ModuleList(Linear(inputs, outputs) for inputs, outputs in pairs)
        self.activation, self.shader = activation, shader
        self.scales = [1.0] * (len(widths) - 2) if scales is None else list(scales)
        assert len(self.scales) == len(widths) - 2

    def layers(self) -> list[Linear]:
        """The linear layers, the last included."""
        return cast(list[Linear], list(self.linear))

    def forward(self, x: Float[Tensor, "*n i"]) -> Float[Tensor, "*n o"]:
        """Outputs of the last layer, without an activation."""
        *hidden, last = self.layers()
        for layer, scale in zip(hidden, self.scales, strict=True):
            # Scaling the weights is cheaper than scaling all their products.
            x = linear(x, layer.weight * scale, layer.bias * scale)
            x = self.activation(x)
        return last(x)

    def passes(self) -> Passes | None:
        """One a layer."""
        if self.shader is None:
            return None
        *hidden, last = self.layers()
        scaled = [
            layer_pass(layer.weight * scale, layer.bias * scale, self.shader)
            for layer, scale in zip(hidden, self.scales, strict=True)
        ]
        return (*scaled, layer_pass(last.weight, last.bias, "none"))


def widths(in_dim: int, hidden: int, layers: int, out_dim: int) -> list[int]:
    """[in, hidden ..., out] with `layers` hidden layers."""
    return [in_dim, *[hidden] * layers, out_dim]


@torch.no_grad()
def sine_weights(stack: Stack, frequency: float) -> Stack:
    """SIREN's initial weights for hidden layers of w0 = `frequency`; biases stay PyTorch's.

    First U(+-1/in), the rest and the last U(+-sqrt(6/in)/w0) (Sitzmann et al. 2020, 3.2).

    Raises:
        InputError: a frequency that is not above 0, that of the first layer included.
    """
    for given in (frequency, *stack.scales):
        if not (given > 0 and math.isfinite(given)):
            raise InputError("a frequency above 0", str(given), "change it")
    first, *rest = stack.layers()
    first.weight.uniform_(-1 / stack.in_dim, 1 / stack.in_dim)
    for layer in rest:
        bound = math.sqrt(6 / layer.weight.shape[1]) / frequency
        layer.weight.uniform_(-bound, bound)
    return stack
