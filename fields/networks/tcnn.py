"""The fully fused perceptron of tiny-cuda-nn, and its weights to and from our own perceptron.

Optional: it needs an NVIDIA GPU and the package `tinycudann`.

Layout of tiny-cuda-nn's weights: one flat vector, for each layer W [out, in] row-major, no biases.
The network's inputs and outputs are padded to multiples of 16: the first matrix has columns, the
last one rows that ours do not have. What its padded inputs hold depends on who pads: a
tinycudann.Network of its own accord, with ones, so that these columns add up to a bias of the first
layer; a grid in front of it (NetworkWithInputEncoding) with zeros, and so do we.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from polyfield.backends import optional
from polyfield.errors import InputError
from polyfield.fields.base import Network
from polyfield.fields.kernels import mlp as kernel
from polyfield.ranges import OneOf, Range, check

BLOCK = 16
"""Inputs and outputs are padded to a multiple of it."""
WIDTHS = (16, 32, 64, 128)
"""Hidden layers that can be fused."""


@dataclass(frozen=True)
class TcnnPerceptron:
    """tiny-cuda-nn's FullyFusedMLP: `Perceptron` without biases, in fp16, on an NVIDIA GPU.

    It has no second derivatives (losses on gradients of the output fail), and computes batches in
    multiples of 256 rows.
    """

    hidden: Annotated[int, OneOf((16, 32, 64, 128))] = 64
    """Width of the hidden layers: 16, 32, 64 or 128."""
    layers: Annotated[int, Range(1, 64)] = 2
    """Number of hidden layers."""

    def build(self, in_dim: int, out_dim: int) -> TcnnMLP:
        """The module, on the current CUDA device.

        Raises:
            InputError: impossible values, or tiny-cuda-nn can't be used here.
        """
        check(self)
        widths = [in_dim, *[self.hidden] * self.layers, out_dim]
        inputs = padded(widths)[0]
        tinycudann = optional.load(optional.TINYCUDANN)
        choices = {
            "otype": "FullyFusedMLP",
            "activation": "ReLU",
            "output_activation": "None",
            "n_neurons": self.hidden,
            "n_hidden_layers": self.layers,
        }
        seed = int(torch.randint(2**31, ()))
        return TcnnMLP(tinycudann.Network(inputs, out_dim, choices, seed), widths)


class TcnnMLP(Network):
    """ReLU perceptron; inputs and outputs float32, fp16 between them.

    Weights in tiny-cuda-nn's layout, inputs padded with zeros.
    """

    def __init__(self, native: Any, widths: list[int]) -> None:
        """Wrap `native`, a tinycudann.Network with `widths` as inputs padded to blocks."""
        super().__init__()
        self.in_dim, self.out_dim = widths[0], widths[-1]
        self.widths, self.native = list(widths), native

    def forward(self, x: Float[Tensor, "*n i"]) -> Float[Tensor, "*n o"]:
        """Outputs of the last layer, without an activation; x on a CUDA device."""
        optional.on_cuda(optional.TINYCUDANN, x)
        flat = x.reshape(-1, self.in_dim)
        if extra := -self.in_dim % BLOCK:
            flat = functional.pad(flat, (0, extra))
        values = self.native(flat).float() if len(flat) else flat.new_zeros(0, self.out_dim)
        return values.view(*x.shape[:-1], self.out_dim)


def padded(widths: list[int]) -> list[int]:
    """Widths [in, hidden ..., out] as tiny-cuda-nn has them.

    Raises:
        InputError: it has no fully fused network of these widths.
    """
    first, *hidden, last = widths
    if not hidden or hidden[0] not in WIDTHS or len(set(hidden)) > 1:
        raise InputError(
            f"hidden layers, one at least, all {', '.join(map(str, WIDTHS[:-1]))} or {WIDTHS[-1]} "
            "wide, for a fully fused network",
            f"widths {widths}",
            "change hidden or layers, or use Perceptron",
        )
    return [first + -first % BLOCK, *hidden, last + -last % BLOCK]


def size(widths: list[int]) -> int:
    """Values in tiny-cuda-nn's vector for a network of widths [in, hidden ..., out].

    In the parameters of a NetworkWithInputEncoding they come first, the encoding's behind them.
    """
    return kernel.size(padded(widths), False)


def from_tcnn(
    params: Float[Tensor, "p"],
    widths: list[int],
    bias: bool = False,
    padding: Literal["ones", "zeros"] = "ones",
) -> Float[Tensor, "q"]:
    """The weights of our perceptron out of those of tiny-cuda-nn's.

    Args:
        params: [size(widths)], fp16 or fp32: `params` of its Network.
        widths: [in, hidden ..., out], without padding.
        bias: Whether our perceptron has biases. With padding by ones it needs them where `in` is no
            multiple of 16.
        padding: What the padded inputs hold: ones in a tinycudann.Network, zeros in a TcnnMLP and
            behind a grid.

    Returns:
        [kernels.mlp.size(widths, bias)] float32, for `MLP.weights`.

    Raises:
        InputError: not as many values as such a network has, or a bias that ours would lose.
    """
    if params.shape != (size(widths),):
        raise InputError(
            f"a flat vector of {size(widths)} values, the weights of a FullyFusedMLP of widths "
            f"{widths} with inputs and outputs padded to multiples of {BLOCK}",
            f"shape {list(params.shape)}",
            "give it the widths it was trained with, and the network's part of the parameters",
        )
    values = params.detach().float()
    found = []
    for number, (matrix, _) in enumerate(kernel.layers(values, padded(widths), False)):
        inputs, outputs = widths[number : number + 2]
        found.append(matrix[:outputs, :inputs].reshape(-1))
        offset = values.new_zeros(outputs)
        if number == 0 and padding == "ones":
            offset = matrix[:outputs, inputs:].sum(1)
        if bias:
            found.append(offset)
        elif offset.any():
            raise InputError(
                f"a perceptron with biases for weights of {widths[0]} inputs padded with ones",
                "one without",
                "set bias, or padding='zeros' if a grid or TcnnPerceptron padded them",
            )
    return torch.cat(found)


def to_tcnn(
    weights: Float[Tensor, "q"],
    widths: list[int],
    bias: bool = False,
    dtype: torch.dtype = torch.float32,
) -> Float[Tensor, "p"]:
    """The weights of tiny-cuda-nn's perceptron out of those of ours; what it pads is 0.

    Args:
        weights: [kernels.mlp.size(widths, bias)], `MLP.weights`.
        widths: [in, hidden ..., out], without padding.
        bias: Whether they hold biases. Those of the first layer go to a padded input, which then
            has to be one, as in a tinycudann.Network; there is no place for others.
        dtype: float32, as its PyTorch module keeps them, or float16, as it computes with them.

    Returns:
        [size(widths)].

    Raises:
        InputError: not as many values as such a network has, or biases it has no place for.
    """
    wanted = kernel.size(widths, bias)
    if weights.shape != (wanted,):
        raise InputError(
            f"a flat vector of {wanted} values, the weights of a perceptron of widths {widths} "
            f"{'with' if bias else 'without'} biases",
            f"shape {list(weights.shape)}",
            "give the widths and the bias it was built with",
        )
    values = weights.detach()
    found = values.new_zeros(size(widths))
    places = kernel.layers(found, padded(widths), False)
    for number, (matrix, offset) in enumerate(kernel.layers(values, widths, bias)):
        place, (outputs, inputs) = places[number][0], matrix.shape
        place[:outputs, :inputs] = matrix
        if offset is None or not offset.any():
            continue
        if number > 0 or inputs == place.shape[1]:
            raise InputError(
                "no biases but those of a first layer whose inputs are padded",
                f"some in layer {number} of widths {widths}",
                "train a perceptron without biases",
            )
        place[:outputs, inputs] = offset
    return found.to(dtype)
