"""How each image was exposed and developed: colours of the scene -> colours of one image.

Cameras that choose their exposure and white balance by themselves show one wall in two colours.
What differs between images is learned beside the field: c_i = A_i c + b_i after compositing, so
that any architecture of field can have it. Source: Rematas et al. 2022 (Urban Radiance Fields,
section 4.2), whose affine maps come from codes through a network; here they are parameters, and
their mean over all images is the identity, so that the scene's own colours don't drift.

The maps act on values as they are stored: of sRGB a gain of the light is near to a gain of the
values, since its curve is near to a power.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Annotated

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from polyfield.config import TAGGED


class AppearanceMap(nn.Module, ABC):
    """One map of colours for each training image."""

    @abstractmethod
    def forward(
        self,
        color: Float[Tensor, "n 3"],
        opacity: Float[Tensor, "n"],
        image: Int64[Tensor, "n"],
    ) -> Float[Tensor, "n 3"]:
        """The colours as images have them.

        Args:
            color: premultiplied by the opacity, of the scene.
            opacity: what an offset is multiplied by; 1 where there is something behind everything.
            image: which training image each is of.
        """


@dataclass(frozen=True)
class Exposure:
    """A gain of each channel: exposure and white balance. Instant-ngp's, as powers of two."""

    def build(self, images: int) -> ExposureMap:
        """Maps of so many images, the identity at first."""
        return ExposureMap(images)


class ExposureMap(AppearanceMap):
    """c * 2^(g_i - mean of g)."""

    def __init__(self, images: int) -> None:
        super().__init__()
        self.stops = nn.Parameter(torch.zeros(images, 3))

    def forward(
        self,
        color: Float[Tensor, "n 3"],
        opacity: Float[Tensor, "n"],
        image: Int64[Tensor, "n"],
    ) -> Float[Tensor, "n 3"]:
        """Colours times the gains of their images."""
        return color * torch.exp2(self.stops - self.stops.mean(0))[image]


@dataclass(frozen=True)
class Affine:
    """A matrix and an offset: also what contrast, saturation and haze do."""

    def build(self, images: int) -> AffineMap:
        """Maps of so many images, the identity at first."""
        return AffineMap(images)


class AffineMap(AppearanceMap):
    """A_i c + b_i, with the identity as their mean."""

    def __init__(self, images: int) -> None:
        super().__init__()
        self.change = nn.Parameter(torch.zeros(images, 3, 4))

    def forward(
        self,
        color: Float[Tensor, "n 3"],
        opacity: Float[Tensor, "n"],
        image: Int64[Tensor, "n"],
    ) -> Float[Tensor, "n 3"]:
        """Colours through the maps of their images."""
        change = (self.change - self.change.mean(0))[image]
        moved = (change[..., :3] * color[..., None, :]).sum(-1)
        return color + moved + opacity[..., None] * change[..., 3]


Appearance = Exposure | Affine
"""THE list of what may differ between images."""
TaggedAppearance = Annotated[Appearance, TAGGED]
APPEARANCES: dict[str, Appearance] = {"exposure": Exposure(), "affine": Affine()}
"""By the names of the command line."""
