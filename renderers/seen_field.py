"""A field as its renderer sees it: nothing where its sampler takes no sample.

A field may say anything there; images never showed it, and pictures never do.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from polyfield.fields.base import NOTHING, RadianceField, RadianceSample


class SeenField(RadianceField):
    """Another field, empty where a sampler says so. It learns nothing."""

    def __init__(
        self, field: RadianceField, is_there: Callable[[Float[Tensor, "n 3"]], Bool[Tensor, " n"]]
    ) -> None:
        super().__init__()
        self.domain, self.shades_rays = field.domain, field.shades_rays
        # A function's cell keeps the field out of this module's parameters.
        self._field, self._is_there = (lambda: field), is_there

    def groups(self) -> dict[str, list[nn.Parameter]]:
        """None."""
        return {}

    def _log(self, x: Float[Tensor, "*n 3"], log: Float[Tensor, "*n"]) -> Float[Tensor, "*n"]:
        there = self._is_there(x.reshape(-1, 3)).view(log.shape)
        return torch.where(there, log, NOTHING)

    def geometry(self, x: Float[Tensor, "*n 3"]) -> tuple[Tensor, Tensor | None]:
        """Log-density per box length, and the other field's feature."""
        log, feature = self._field().geometry(x)
        return self._log(x, log), feature

    def forward(
        self, x: Float[Tensor, "*n 3"], directions: Float[Tensor, "*n 3"]
    ) -> RadianceSample:
        """Density and colour at points x seen along unit directions."""
        found: RadianceSample = self._field()(x, directions)
        log = self._log(x, found.log_density)
        nowhere = torch.zeros_like(found.density)
        density = torch.where(log > NOTHING, found.density, nowhere)
        return replace(found, density=density, log_density=log)

    def shade(
        self,
        seen: Float[Tensor, "r c"],
        opacity: Float[Tensor, "r"],
        directions: Float[Tensor, "r 3"],
    ) -> Float[Tensor, "r 3"]:
        """Colours of rays, as the other field makes them."""
        return self._field().shade(seen, opacity, directions)
