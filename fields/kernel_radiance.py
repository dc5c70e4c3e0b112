"""Gaussian neural fields' radiance (Bouzidi et al. 2025): an encoding and one layer of kernels.

Symbols: v [n, 1 + 3 B^2] = kernels(encoding(x)); log-density = v_0 and density its truncated
exponential per domain length, as in radiance.py (the released configuration names a softplus with
a shift, in code that does not run); rgb = sigmoid(sum_b v_cb Y_b(direction)) with B bands of
spherical harmonics: colour by direction costs no network.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

import torch
from jaxtyping import Float
from torch import Tensor, nn

from polyfield.encodings import EncodingConfig
from polyfield.encodings.base import Encoding
from polyfield.encodings.basis_grid import BasisGrid
from polyfield.encodings.domain import Domain
from polyfield.encodings.kernels.spherical_harmonics import MAX_DEGREE, spherical_harmonics
from polyfield.fields.base import RadianceField, RadianceSample
from polyfield.fields.networks.activations import truncated_exp
from polyfield.fields.networks.rbf_net import GaussianKernels, KernelNetwork
from polyfield.ranges import Range, check


@dataclass(frozen=True)
class KernelRadiance:
    """Position encoding -> Gaussian kernels -> log-density and spherical harmonics of colour."""

    position: EncodingConfig = field(default_factory=BasisGrid)
    """Encoding of the point."""
    kernels: GaussianKernels = field(default_factory=lambda: GaussianKernels(units=32))
    """Features to density and colour."""
    bands: Annotated[int, Range(1, MAX_DEGREE)] = 4
    """B, bands of spherical harmonics, 1 to 4: B^2 coefficients a colour."""

    def build(self, domain: Domain) -> KernelRadianceField:
        """A field over a domain; torch draws its first parameters."""
        check(self)
        position = self.position.build(domain.dim)
        kernels = self.kernels.build(position.out_dim, 1 + 3 * self.bands**2)
        return KernelRadianceField(domain, position, kernels, self.bands)


class KernelRadianceField(RadianceField):
    """An encoding and Gaussian kernels."""

    def __init__(
        self, domain: Domain, position: Encoding, kernels: KernelNetwork, bands: int
    ) -> None:
        super().__init__()
        self.domain, self.position, self.kernels, self.bands = domain, position, kernels, bands
        self.takes_errors, self.takes_points = position.takes_errors, position.takes_points

    def groups(self) -> dict[str, list[nn.Parameter]]:
        """The encoding's tables, and everything else."""
        tables = self.position.tables()
        held = {id(p) for p in tables}
        return {"table": tables, "network": [p for p in self.parameters() if id(p) not in held]}

    def geometry(self, x: Float[Tensor, "*n 3"]) -> tuple[Tensor, Tensor | None]:
        """Log-density, and the coefficients of colour as its feature."""
        v = self.kernels(self.position(self.domain(x)))
        return v[..., 0], v[..., 1:]

    def forward(
        self, x: Float[Tensor, "*n 3"], directions: Float[Tensor, "*n 3"]
    ) -> RadianceSample:
        """Density and colour at world points x seen along unit directions."""
        v = self.kernels(self.position(self.domain(x)))
        harmonics = spherical_harmonics(directions.reshape(-1, 3), self.bands)
        harmonics = harmonics.view(*directions.shape[:-1], 1, self.bands**2)
        color = (v[..., 1:].unflatten(-1, (3, self.bands**2)) * harmonics).sum(-1)
        density = truncated_exp(v[..., 0]) / self.domain.length
        return RadianceSample(density, torch.sigmoid(color), v[..., 0], v[..., 1:])

    def intermediate_features(self, x: Float[Tensor, "n d"]) -> tuple[Tensor, ...]:
        """What the position encoding has on its way."""
        return self.position.intermediate_features(self.domain(x))

    def set_progress(self, t: float) -> None:
        """Hand on to the encoding."""
        self.position.set_progress(t)

    def update_error(self, x: Float[Tensor, "n d"], error: Float[Tensor, "n"]) -> None:
        """Hand on to the encoding."""
        self.position.update_error(self.domain(x), error)

    def init_from_points(self, x: Float[Tensor, "n d"], weight: Float[Tensor, "n"]) -> None:
        """Hand on to the encoding."""
        self.position.init_from_points(self.domain(x), weight)
