"""Colours out of what blocks of bytes store beside the density.

Symbols: q a stored value in [0, 1], as a byte has it; c = span (2 q - 1).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn

from polyfield.encodings.kernels.spherical_harmonics import spherical_harmonics

DARKEST = 0.004
"""Colours of a teacher are taken to be at least so far from 0 and 1, where logits end."""

HIGHER = 8.0
"""Coefficients of the harmonics that depend on the direction are within so much of 0."""

Looks = Float[Tensor, "d n 3"]
"""Colours of points seen along some directions."""


class Shading(nn.Module, ABC):
    """How colours are made of stored values. Abstract; subclasses are final."""

    channels: int
    """Stored values of a vertex beside the density."""
    spans: tuple[float, float, float, float]
    """How far from 0 values get: of the four channels of each texture of a page."""
    shades_rays = False
    """Whether values are composited first, and a ray's colour is made of what comes of them."""

    @abstractmethod
    def forward(
        self, q: Float[Tensor, "n c"], directions: Float[Tensor, "n 3"]
    ) -> tuple[Float[Tensor, "n 3"], Float[Tensor, "n k"] | None]:
        """Colours of points that are seen alone, and what is composited in place of them."""

    @abstractmethod
    def closed_form(
        self, some: Callable[[], Looks], directions: Float[Tensor, "d 3"]
    ) -> Callable[[Looks], Float[Tensor, "n c"]]:
        """What turns a teacher's colours into stored values, without training.

        Args:
            some: colours of points from everywhere, asked for only if they are needed.
            directions: along which points are looked at.
        """

    def shade(
        self,
        seen: Float[Tensor, "r c"],
        opacity: Float[Tensor, "r"],
        directions: Float[Tensor, "r 3"],
    ) -> Float[Tensor, "r 3"]:
        """As `RadianceField.shade`."""
        return seen

    def layers(self) -> tuple[Float[Tensor, "_o _i"], ...]:
        """As `StoredBytes.network`."""
        return ()


class Harmonics(Shading):
    """Rgb = sigmoid(sum_k c_k SH_k(direction)), each point by itself (PlenOctrees, Yu et al. 2021).

    Channels: the harmonics of red, then green, then blue.
    """

    span_of: Float[Tensor, " k"]

    def __init__(self, bands: int, span: float) -> None:
        """Coefficients of the first band are within `span` of 0, the others within HIGHER."""
        super().__init__()
        self.bands, self.channels = bands, 3 * bands**2
        self.spans = (span, HIGHER, HIGHER, HIGHER)
        span_of = torch.tensor([span] + [HIGHER] * (bands**2 - 1))
        self.register_buffer("span_of", span_of, persistent=False)

    def forward(
        self, q: Float[Tensor, "n c"], directions: Float[Tensor, "n 3"]
    ) -> tuple[Float[Tensor, "n 3"], Float[Tensor, "n k"] | None]:
        """Colours of points; nothing else."""
        harmonics = spherical_harmonics(directions, self.bands)
        c = (q.view(-1, 3, self.bands**2) * 2 - 1) * self.span_of
        return torch.sigmoid((c * harmonics[:, None]).sum(-1)), None

    def closed_form(
        self, some: Callable[[], Looks], directions: Float[Tensor, "d 3"]
    ) -> Callable[[Looks], Float[Tensor, "n c"]]:
        """Least squares over the directions."""
        inverse = torch.linalg.pinv(spherical_harmonics(directions, self.bands))

        def values(colors: Looks) -> Float[Tensor, "n c"]:
            # c[n, 3, k] = sum over directions of inverse[k, d] logits[d, n, 3]
            logits = colors.clamp(DARKEST, 1 - DARKEST).logit()
            c = torch.einsum("kd,dnc->nck", inverse, logits)
            return ((c / self.span_of + 1) / 2).clamp(0, 1).flatten(1)

        return values
