"""Something flat as a viewer shows it: an image, a spectrogram, a slice. A camera zooms into it."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from polyfield.renderers.signal_model import SignalModel
from polyfield.renderers.stages.base import Look, Stage
from polyfield.renderers.tiles import view_tiles
from polyfield.scenes.cameras import Camera, Cameras
from polyfield.scenes.color import from_float, screen_colors
from polyfield.scenes.rays import Rays

AROUND = 0.15
"""Grey beside the sheet."""


class Sheet(Stage):
    """A rectangle in the plane z = 0, its middle at zero, y up.

    Args:
        width: along x, any unit.
        height: along y, the same.
    """

    shows = ("color",)
    up = (0.0, 1.0, 0.0)

    def __init__(self, width: float, height: float) -> None:
        self.width, self.height = width, height
        half = [width / 2, height / 2, 0.01 * max(width, height)]
        self.bounds = torch.tensor([[-value for value in half], half], dtype=torch.float64)
        pose = torch.eye(4, dtype=torch.float64)
        # 40 degrees high, so that the whole of it is seen on a screen of 4 to 3 or wider.
        pose[2, 3] = 1.5 * max(height, width * 3 / 4)
        focal = 720 / 2 / 0.364
        self.start = Camera(pose, 960, 720, focal, focal, 480, 360)

    @abstractmethod
    def colors(self, place: Float[Tensor, "n 2"], look: Look) -> Float[Tensor, "n 3"]:
        """Colours of points of the sheet, ready for a screen.

        Args:
            place: x from the left edge and y from the upper one, in [0, width] and [0, height].
            look: what is shown.
        """

    def values(self, camera: Camera, look: Look, size: int) -> Iterator[Float[Tensor, "n c"]]:
        """Colours where rays meet the sheet, grey beside it."""

        def draw(rays: Rays) -> Tensor:
            (x, y, z), (u, v, w) = rays.origins.unbind(-1), rays.directions.unbind(-1)
            t = -z / torch.where(w.abs() < 1e-9, torch.full_like(w, 1e-9), w)
            place = torch.stack([x + t * u + self.width / 2, self.height / 2 - y - t * v], -1)
            edge = place.new_tensor([self.width, self.height])
            met = (t > 0) & (place >= 0).all(-1) & (place < edge).all(-1)
            found = torch.full_like(rays.origins, AROUND)
            if bool(met.any()):
                found[met] = self.colors(place[met], look).float().cpu()
            return found

        return view_tiles(draw, Cameras.stack([camera]), size)

    def image(self, values: Float[Tensor, "h w c"], look: Look) -> np.ndarray:
        """The colours themselves."""
        return from_float(values.clamp(0, 1).numpy(), np.uint8)


class SignalSheet(Sheet):
    """A signal of two coordinates, from one to four channels: an image.

    Args:
        model: asked anew for every pixel of the screen.
        linear: whether its colours are linear light.
    """

    def __init__(self, model: SignalModel, linear: bool) -> None:
        super().__init__(*model.info.extent)
        self._model, self._linear = model, linear

    def colors(self, place: Float[Tensor, "n 2"], look: Look) -> Float[Tensor, "n 3"]:
        """Over white where there is alpha."""
        found = self._model.field(place.to(self._model.device)).cpu() * self._model.info.scale
        return screen_colors(found, self._linear)


class ArraySheet(Sheet):
    """A picture that is computed when the model has changed, such as a spectrogram."""

    def __init__(self, width: float, height: float) -> None:
        super().__init__(width, height)
        self._picture: Tensor | None = None

    @abstractmethod
    def picture(self) -> Float[Tensor, "h w 3"]:
        """The picture of the model as it is now."""

    def refresh(self) -> None:
        """The next one that looks has it computed again."""
        self._picture = None

    def colors(self, place: Float[Tensor, "n 2"], look: Look) -> Float[Tensor, "n 3"]:
        """The nearest pixel."""
        if self._picture is None:
            self._picture = self.picture()
        rows, columns, _ = self._picture.shape
        column = (place[:, 0] / self.width * columns).long().clamp(0, columns - 1)
        row = (place[:, 1] / self.height * rows).long().clamp(0, rows - 1)
        return self._picture[row, column]
