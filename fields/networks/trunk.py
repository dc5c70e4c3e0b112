"""The trunk of NeRF and its relatives: ReLU layers that see the input again half way.

    h_0 = x;  h_l = relu(W_l h_(l-1) + b_l);  before layer `skip`, counted from 0, h becomes [x, h]

Source: Mildenhall et al. 2020, section A (figure 7). The stretches before and behind the skip are
one kernel each.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from polyfield.errors import InputError
from polyfield.fields.networks.mlp import MLP, like_torch


class Trunk(nn.Module):
    """Linear outputs of the last layer; PyTorch's initial values."""

    def __init__(self, in_dim: int, width: int, layers: int, skip: int, out_dim: int) -> None:
        """`layers` linear layers of which the last has out_dim outputs, the others `width`.

        Raises:
            InputError: the skip does not lie between two layers.
        """
        super().__init__()
        if width < 1 or not 1 <= skip < layers:
            raise InputError(
                "width of at least 1 and a skip from 1 to layers - 1",
                f"width {width}, layers {layers}, skip {skip}",
                "change them",
            )
        self.in_dim, self.out_dim = in_dim, out_dim
        self.before = like_torch(MLP([in_dim, *[width] * skip], bias=True))
        after = [in_dim + width, *[width] * (layers - skip - 1), out_dim]
        self.after = like_torch(MLP(after, bias=True))

    def forward(self, x: Float[Tensor, "n i"]) -> Float[Tensor, "n o"]:
        """Outputs of the last layer, without an activation."""
        return self.intermediate_features(x)[1]

    def intermediate_features(self, x: Float[Tensor, "n i"]) -> tuple[Tensor, Tensor]:
        """Features before the skip, and the outputs."""
        h = self.before(x).relu()
        return h, self.after(torch.cat([x, h], -1))
