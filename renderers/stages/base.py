"""What a viewer shows, whatever the kind of data: something in space that cameras look at."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from torch import Tensor

from polyfield.scenes.cameras import Camera

Three = tuple[float, float, float]


@dataclass(frozen=True)
class Slider:
    """A number that chooses what is shown: a time, a slice."""

    label: str
    """Its name and unit."""
    low: float
    high: float


@dataclass(frozen=True)
class Look:
    """What a viewer wants to see of a stage."""

    what: str
    """One of the stage's `shows`."""
    crop: tuple[Three, Three] | None = None
    """Corners of a box, the user's frame: what is outside isn't drawn. None draws all."""
    at: float = 0.0
    """Value of the stage's slider."""


class Stage(ABC):
    """A model as a viewer shows it. Everything is in the user's frame and units."""

    bounds: Float[Tensor, "2 3"]
    """Corners of the box of what there is to see."""
    up: Three
    """Unit vector that is up on the screen."""
    shows: tuple[str, ...]
    """What can be shown of it; the first one at first."""
    start: Camera
    """Where a viewer begins."""
    views: Sequence[Camera] = ()
    """Cameras of the data, to go to."""
    can_crop: bool = False
    """Whether a box may be cut out of it."""
    slider: Slider | None = None
    """What else chooses what is shown."""

    @abstractmethod
    def values(self, camera: Camera, look: Look, size: int) -> Iterator[Float[Tensor, "n c"]]:
        """What is shown at the pixels of a camera, without gradient, part by part.

        Args:
            camera: in the user's frame.
            look: what is shown.
            size: pixels of a part, at most.

        Returns:
            Values on the CPU, row by row of the image; c is that of `image`.
        """

    @abstractmethod
    def image(self, values: Float[Tensor, "h w c"], look: Look) -> np.ndarray:
        """All values of a camera as an image for eyes, uint8 [h w 3]."""

    def refresh(self) -> None:  # noqa: B027
        """Told when the model has changed: nothing that was computed of it holds any more."""

    def sound(self) -> bytes | None:
        """A WAV file of what can be heard of it; None where there is nothing to hear."""
        return None
