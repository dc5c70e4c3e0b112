"""Adam over groups of parameters, with a rate for each; tables skip untouched entries."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from polyfield.training.kernels.adam import AdamNumbers, adam


class Adam:
    """The optimiser of `fit`.

    Its state is plain tensors, named by the parameters they belong to.
    """

    def __init__(self, groups: Mapping[str, list[nn.Parameter]], skip: tuple[str, ...]) -> None:
        """Groups of parameters.

        Entries of groups named in `skip` keep still while their gradient is 0.
        """
        self.groups = {name: list(parameters) for name, parameters in groups.items()}
        self.skip = skip
        self._state = {
            name: [
                (torch.zeros_like(p), torch.zeros_like(p), torch.zeros_like(p, dtype=torch.int32))
                for p in parameters
            ]
            for name, parameters in self.groups.items()
        }

    def step(self, numbers: Mapping[str, AdamNumbers]) -> None:
        """One step of every parameter with a gradient, then forget the gradients."""
        for name, parameters in self.groups.items():
            for p, (first, second, count) in zip(parameters, self._state[name], strict=True):
                if p.grad is not None:
                    grad = p.grad.contiguous()
                    adam(p.data, grad, first, second, count, numbers[name], name in self.skip)
                    p.grad = None

    def state(self) -> dict[str, Tensor]:
        """Moments and counts by name."""
        return {
            f"{name}.{i}.{kind}": tensor
            for name, states in self._state.items()
            for i, state in enumerate(states)
            for kind, tensor in zip(("first", "second", "count"), state, strict=True)
        }

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Take over what `state` gave."""
        for name, tensor in self.state().items():
            tensor.copy_(state[name])
