"""Deferred shading: a ray's colour by a small network, once, from what it composited.

Symbols: a vertex stores three diffuse colours and K features, each sigmoid(c); along a ray they are
composited to D and F, with opacity a. Colour in front of nothing = D + a sigmoid(network([D / a,
F / a, d, sin 2^j d, cos 2^j d])) with the ray's direction d, j < 4, and ReLU layers 34 -> 16 -> 16
-> 3.

Source: Reiser et al. 2023 (MERF), after Hedman et al. 2021 (SNeRG). MERF puts D over the background
first and neither weighs by a nor divides by it: its rays always end somewhere. Here a ray through
nothing shows what is behind it, and a soft edge has the colour of what it is the edge of.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import torch
from jaxtyping import Float
from torch import Tensor

from polyfield.encodings.domain import Domain
from polyfield.fields.baked import BakedField
from polyfield.fields.kernels.mlp import layers
from polyfield.fields.networks.mlp import MLP
from polyfield.fields.shading import DARKEST, Looks, Shading
from polyfield.ranges import Range, check

FEATURES, HIDDEN, OCTAVES = 4, 16, 4
"""As published; a page's textures and shader have this shape."""
FAINT = -4.0
"""The network's last biases at first: what it adds begins near 0."""
SPAN = 5.0
"""c is within so much of 0: colours from 0.007 to 0.993."""
LEAST = 1e-3
"""Opacity that means are divided by at least."""
SPREAD = 0.15
"""Standard deviation of features at first, about 0.5."""


@dataclass(frozen=True)
class Deferred:
    """Blocks of bytes: density, diffuse colour and features, shaded once a ray."""

    blocks: Annotated[int, Range(1, 256)] = 16
    """B, along an axis."""
    cells: Annotated[int, Range(1, 32)] = 4
    """N, along the edge of a block."""

    def build(self, domain: Domain) -> BakedField:
        """A field over a domain; torch draws the network's first weights."""
        check(self)
        return BakedField(domain, self.blocks, self.cells, DeferredShading())


class DeferredShading(Shading):
    """Diffuse colours and features, and the network."""

    channels = 3 + FEATURES
    spans = (SPAN, SPAN, SPAN, SPAN)
    shades_rays = True

    def __init__(self) -> None:
        super().__init__()
        width = 3 + FEATURES + 3 + 6 * OCTAVES
        self.network = MLP([width, HIDDEN, HIDDEN, 3], bias=True)
        with torch.no_grad():
            bias = layers(self.network.weights, self.network.widths, True)[-1][1]
            assert bias is not None
            bias.fill_(FAINT)

    def forward(
        self, q: Float[Tensor, "n c"], directions: Float[Tensor, "n 3"]
    ) -> tuple[Float[Tensor, "n 3"], Float[Tensor, "n k"] | None]:
        """Colours as of a ray that meets nothing else; diffuse colours and features."""
        values = torch.sigmoid((q * 2 - 1) * SPAN)
        rgb = self.shade(values, torch.ones_like(values[:, 0]), directions)
        return rgb.clamp(max=1), values

    def shade(
        self,
        seen: Float[Tensor, "r c"],
        opacity: Float[Tensor, "r"],
        directions: Float[Tensor, "r 3"],
    ) -> Float[Tensor, "r 3"]:
        """What was composited and what the network adds; it may pass 1."""
        mean = seen / opacity.clamp(min=LEAST)[:, None]
        added = torch.sigmoid(self.network(torch.cat([mean, waves(directions)], 1)))
        return seen[:, :3] + opacity[:, None] * added

    @torch.no_grad()
    def closed_form(
        self, some: Callable[[], Looks], directions: Float[Tensor, "d 3"]
    ) -> Callable[[Looks], Float[Tensor, "n c"]]:
        """Diffuse: the mean over directions; features: what varies most of the rest."""
        rest = _rest(some())
        middle = rest.mean(0)
        # Principal components, by the eigenvectors of a small matrix.
        moments, axes = torch.linalg.eigh((rest - middle).T @ (rest - middle) / len(rest))
        axes, sizes = axes[:, -FEATURES:], moments[-FEATURES:].clamp(min=1e-12).sqrt()
        faint = torch.sigmoid(torch.tensor(FAINT)).item()

        def values(colors: Looks) -> Float[Tensor, "n c"]:
            diffuse = colors.mean(0) - faint
            features = 0.5 + SPREAD * ((_rest(colors) - middle) @ axes) / sizes
            both = torch.cat([diffuse, features], 1).clamp(DARKEST, 1 - DARKEST)
            return ((both.logit() / SPAN + 1) / 2).clamp(0, 1)

        return values

    def layers(self) -> tuple[Float[Tensor, "_o _i"], ...]:
        """The network's matrices, each with its biases as the last column."""
        network = self.network
        found = []
        for matrix, bias in layers(network.weights.detach().cpu(), network.widths, network.bias):
            assert bias is not None
            found.append(torch.cat([matrix, bias[:, None]], 1))
        return tuple(found)


def waves(directions: Float[Tensor, "n 3"]) -> Float[Tensor, "n k"]:
    """Directions, then the sines and cosines of each octave: 27 numbers."""
    parts = [directions]
    for octave in range(OCTAVES):
        angle = directions * 2.0**octave
        parts += [angle.sin(), angle.cos()]
    return torch.cat(parts, 1)


def _rest(colors: Looks) -> Float[Tensor, "n k"]:
    """What colours differ from their mean over directions, as rows."""
    return (colors - colors.mean(0)).transpose(0, 1).flatten(1)
