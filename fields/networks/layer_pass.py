"""A linear layer and what follows it, as a pass of a fragment shader (page/layer.glsl)."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from polyfield.encodings.shader_pass import ShaderPass

Activation = Literal["none", "relu", "sine"]
_NUMBERS: dict[Activation, int] = {"none": 0, "relu": 1, "sine": 2}


@torch.no_grad()
def layer_pass(
    weight: Float[Tensor, "o i"], bias: Float[Tensor, "o"] | None, activation: Activation
) -> ShaderPass:
    """The pass f(W x + b).

    Its texels: for each four outputs their bias, then for each input its four weights. Inputs and
    outputs are filled up to fours with zeros.

    Args:
        weight: W.
        bias: b; None for 0.
        activation: f.
    """
    outputs, inputs = weight.shape
    padded = functional.pad(weight.float().cpu(), (0, -inputs % 4, 0, -outputs % 4))
    offset = torch.zeros(outputs) if bias is None else bias.float().cpu()
    offset = functional.pad(offset, (0, -outputs % 4))
    columns = padded.view(-1, 4, padded.shape[1]).transpose(1, 2)  # [groups, inputs, 4]
    texels = torch.cat([offset.view(-1, 1, 4), columns], 1).reshape(-1, 4)
    numbers = {"inputs": padded.shape[1] // 4, "activation": _NUMBERS[activation]}
    return ShaderPass("layer", outputs, numbers, texels)
