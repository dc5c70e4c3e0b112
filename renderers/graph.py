"""A model as a function of tensors alone: what programs that run graphs can be given."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

Example = Callable[[int, torch.Generator], tuple[Tensor, ...]]
"""Inputs at so many points, on the CPU, drawn by a generator."""


@dataclass(frozen=True)
class Graph:
    """A function of rows of points to rows of values, in the user's frame and units."""

    module: nn.Module
    """Takes the inputs in order, [n, ...] each, and returns a tuple of the outputs."""
    example: Example
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    """Their names, in order."""
    about: Mapping[str, Any]
    """What else one must know: the box, the colour space ..."""
