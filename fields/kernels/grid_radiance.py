"""Instant-ngp's radiance field as one op: grid, density network, harmonics, colour network.

Source: Mueller et al. 2022, section 5.4. Symbols: u in [0,1]^3 the place of a world point x in its
domain; v [n, k] = density network(grid(u)); density = exp(v_0) / length; rgb = sigmoid(colour
network([v, SH(d)])). Networks are those of kernels/mlp.py, without biases; the gradient of exp is
that of `truncated_exp`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from polyfield.backends import dispatch
from polyfield.backends.ops import no_gradient, op
from polyfield.encodings.domain import Domain
from polyfield.encodings.grid_table import GridTable
from polyfield.encodings.kernels.hash_grid import Levels
from polyfield.encodings.kernels.spherical_harmonics import spherical_harmonics
from polyfield.fields.kernels.mlp import mlp
from polyfield.fields.networks.activations import truncated_exp

Answers = tuple[Tensor, Tensor, Tensor]
"""Density [n] per world unit, rgb [n, 3], v [n, k]."""


@dataclass(frozen=True)
class GridRadiance:
    """What the op works with, besides points and directions."""

    domain: Domain
    grid: GridTable
    degree: int
    """Bands of the spherical harmonics."""
    density: tuple[Float[Tensor, "p"], list[int]]
    """Weights and widths of the density network."""
    color: tuple[Float[Tensor, "q"], list[int]]
    """Weights and widths of the colour network."""


def reference(
    x: Float[Tensor, "n 3"], directions: Float[Tensor, "n 3"], field: GridRadiance
) -> Answers:
    """The op composed of others: any dtype and device, gradients in points and directions too."""
    v = mlp(field.grid(field.domain(x)), *field.density)
    view = spherical_harmonics(directions, field.degree)
    rgb = torch.sigmoid(mlp(torch.cat([v, view], -1), *field.color))
    return truncated_exp(v[:, 0]) / field.domain.length, rgb, v


def grid_radiance(
    x: Float[Tensor, "n 3"], directions: Float[Tensor, "n 3"], field: GridRadiance
) -> Answers:
    """Density and colour at world points x seen along unit directions, and the feature v."""
    grid, domain = field.grid, field.domain
    learned = (grid.table, field.density[0], field.color[0])
    moved = x.requires_grad or directions.requires_grad
    if moved or not dispatch.use_numba(x, directions, *learned):
        return reference(x, directions, field)
    levels = grid.levels
    density, rgb, v, _ = _grid_radiance(
        x, directions, *learned, domain.bounds, domain.contracted, list(levels.scales),
        list(levels.resolutions), list(levels.sizes), grid.features, grid.smooth, field.degree,
        field.density[1], field.color[1],
    )  # fmt: skip
    return density, rgb, v


@op("polyfield::grid_radiance", "cpu")
def _grid_radiance(
    x: Tensor,
    directions: Tensor,
    table: Tensor,
    density_weights: Tensor,
    color_weights: Tensor,
    bounds: Tensor,
    contracted: bool,
    scales: list[float],
    resolutions: list[int],
    sizes: list[int],
    features: int,
    smooth: bool,
    degree: int,
    density_widths: list[int],
    color_widths: list[int],
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Density, rgb, v, and the features of the grid, which the way back needs."""
    levels = Levels(3, tuple(scales), tuple(resolutions), tuple(sizes))
    grid = GridTable(table, levels, features, smooth)
    networks = (density_weights, density_widths), (color_weights, color_widths)
    return dispatch.kernel(__name__, x).forward(
        x, directions, grid, (bounds, contracted), degree, networks
    )


@torch.library.register_fake(_grid_radiance)
def _(
    x: Tensor,
    directions: Tensor,
    table: Tensor,
    density_weights: Tensor,
    color_weights: Tensor,
    bounds: Tensor,
    contracted: bool,
    scales: list[float],
    resolutions: list[int],
    sizes: list[int],
    features: int,
    smooth: bool,
    degree: int,
    density_widths: list[int],
    color_widths: list[int],
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    n = x.shape[0]
    return (
        x.new_empty(n),
        x.new_empty(n, 3),
        x.new_empty(n, density_widths[-1]),
        x.new_empty(n, len(scales) * features),
    )


@op("polyfield::grid_radiance_backward", "cpu")
def _grid_radiance_backward(
    grads: list[Tensor],
    x: Tensor,
    directions: Tensor,
    table: Tensor,
    density_weights: Tensor,
    color_weights: Tensor,
    bounds: Tensor,
    found: list[Tensor],
    contracted: bool,
    scales: list[float],
    resolutions: list[int],
    sizes: list[int],
    features: int,
    smooth: bool,
    degree: int,
    density_widths: list[int],
    color_widths: list[int],
    need_table: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients in the table, empty where it isn't needed, and in both networks' weights.

    Of `grads`, those of density, rgb and v, the last may be empty for zero; `found` is what the
    way forward gave.
    """
    levels = Levels(3, tuple(scales), tuple(resolutions), tuple(sizes))
    grid = GridTable(table, levels, features, smooth)
    networks = (density_weights, density_widths), (color_weights, color_widths)
    return dispatch.kernel(__name__, x).backward(
        grads, found, x, directions, grid, (bounds, contracted), degree, networks, need_table
    )


@torch.library.register_fake(_grid_radiance_backward)
def _(
    grads: list[Tensor],
    x: Tensor,
    directions: Tensor,
    table: Tensor,
    density_weights: Tensor,
    color_weights: Tensor,
    bounds: Tensor,
    found: list[Tensor],
    contracted: bool,
    scales: list[float],
    resolutions: list[int],
    sizes: list[int],
    features: int,
    smooth: bool,
    degree: int,
    density_widths: list[int],
    color_widths: list[int],
    need_table: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    of_table = torch.empty_like(table) if need_table else x.new_empty(0)
    return of_table, torch.empty_like(density_weights), torch.empty_like(color_weights)


no_gradient(_grid_radiance_backward)


def _remember(ctx, inputs, output) -> None:  # type: ignore[no-untyped-def]
    ctx.save_for_backward(*inputs[:6], *output)
    ctx.shape = inputs[6:]
    ctx.set_materialize_grads(False)


def _backward(ctx, *grads: Tensor | None):  # type: ignore[no-untyped-def]
    inputs, found = ctx.saved_tensors[:6], ctx.saved_tensors[6:]
    nothing = found[0].new_empty(0)
    of_density, of_rgb, of_v, _ = grads
    given = [
        torch.zeros_like(found[0]) if of_density is None else of_density.contiguous(),
        torch.zeros_like(found[1]) if of_rgb is None else of_rgb.contiguous(),
        nothing if of_v is None else of_v.contiguous(),
    ]
    needed = ctx.needs_input_grad[2:5]
    learned = _grid_radiance_backward(given, *inputs, list(found), *ctx.shape, needed[0])
    wanted = (g if need else None for g, need in zip(learned, needed, strict=True))
    return None, None, *wanted, *[None] * 10


torch.library.register_autograd(_grid_radiance, _backward, setup_context=_remember)
