"""What every model is: a field in the user's frame, and how it is seen."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from polyfield.errors import InputError
from polyfield.fields.base import Field, Size
from polyfield.renderers.graph import Graph

REHEARSED = 64
"""Points of a rehearsal."""


class Model(nn.Module, ABC):
    """A field in the user's frame, and how it is seen."""

    kind: str
    """The kind of data, as the command line calls it."""
    bounds: Float[Tensor, "2 d"]
    """Corners of the box of the data, the user's frame; on the CPU."""
    field: Field
    """The field itself."""

    @property
    def device(self) -> torch.device:
        """Where its parameters are."""
        return self.field.domain.bounds.device

    @abstractmethod
    def size(self) -> Size:
        """Trainable and stored values."""

    @abstractmethod
    def ask(self, x: Float[Tensor, "n d"], directions: Float[Tensor, "n 3"]) -> object:
        """All that the field says of points; what sees no directions passes them over."""

    @abstractmethod
    def graph(self) -> Graph:
        """What it says of points, as a function of tensors alone."""

    @abstractmethod
    def rehearsals(self) -> tuple[Callable[[], object], ...]:
        """Pieces of training and drawing on made-up points: each compiles kernels of its own.

        Those that take longest come first. They may leave gradients behind.
        """

    @abstractmethod
    def describe(self) -> dict[str, Any]:
        """The metadata of the model file."""


def check_corners(low: Sequence[float], high: Sequence[float]) -> None:
    """Raise unless these are the corners of a box."""
    if not all(a < b and math.isfinite(b - a) for a, b in zip(low, high, strict=True)):
        raise InputError(
            "bounds, each lower one below its upper", f"{low}, {high}", "train it again"
        )
