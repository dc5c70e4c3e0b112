"""KiloNeRF (Reiser et al. 2021): a regular grid of cells, a tiny network for each.

Symbols: cells [X, Y, Z] of the domain's unit cube, c = floor(u * cells) the cell of u in [0,1]^3
and (c_x Y + c_y) Z + c_z its number; l = 2 (u * cells - c) - 1 in [-1,1]^3 the place in the cell; d
the direction; pe octaves without pi. Each of the N networks is

    h = relu(relu(pe(l) W + b) W + b);  [g, a] = h W + b;  density = max(a, 0) per half box length
    rgb = sigmoid(relu([g, pe(d)] W + b) W + b)

with 6,212 values as published. Cells don't overlap and nothing is interpolated across their faces.

The released code adds 1e-6 times the norm of the layers behind the direction to the loss, and its
Adam moves all networks at every step; here the loss is the image's alone, and a step leaves alone
the networks that no ray met.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from polyfield.backends import dispatch
from polyfield.devices import move
from polyfield.encodings.domain import Domain
from polyfield.errors import InputError
from polyfield.fields.base import RadianceField, RadianceSample
from polyfield.fields.kernels import bank as kernel
from polyfield.fields.networks.activations import leaky_density, log_density
from polyfield.fields.networks.octaves import width
from polyfield.ranges import Range, check

MOST = 1 << 28
"""Most values of all networks together."""


@dataclass(frozen=True)
class KiloBank:
    """Thousands of tiny networks, each for a cell of space."""

    cells: Annotated[int, Range(1, 256)] = 16
    """Cells along the longest edge of the box."""
    hidden: Annotated[int, Range(1, 256)] = 32
    """Width of all layers."""
    octaves: Annotated[int, Range(1, 32)] = 10
    """Octaves of the place in the cell."""
    direction_octaves: Annotated[int, Range(1, 32)] = 4
    """Octaves of the direction."""
    alike: bool = True
    """Whether all networks start from the same values."""

    def build(self, domain: Domain) -> KiloField:
        """A field over a domain; torch draws its first parameters."""
        check(self)
        field = [width(3, self.octaves), self.hidden, self.hidden, self.hidden + 1]
        color = [self.hidden + width(3, self.direction_octaves), self.hidden, 3]
        cells = resolution(domain.bounds, self.cells)
        values = math.prod(cells) * (kernel.size(field) + kernel.size(color))
        if values > MOST:
            raise InputError(f"at most {MOST} values", str(values), "lower cells or hidden")
        return KiloField(domain, self, cells, (field, color))


def resolution(bounds: Float[Tensor, "2 3"], longest: int) -> tuple[int, int, int]:
    """Cells an axis: ceil(longest * edge / longest edge), about cubes.

    An edge that is a whole number of cells but for rounding keeps it.
    """
    edges = (bounds[1] - bounds[0]).double()
    x, y, z = (math.ceil(longest * float(e / edges.max()) - 1e-4) for e in edges)
    return max(x, 1), max(y, 1), max(z, 1)


class KiloField(RadianceField):
    """The bank; `trunks` and `colors` have a row for each network (layout: kernels/bank.py)."""

    shape: Int64[Tensor, "3"]

    def __init__(
        self,
        domain: Domain,
        config: KiloBank,
        cells: tuple[int, int, int],
        widths: tuple[list[int], list[int]],
    ) -> None:
        super().__init__()
        self.domain, self.config = domain, config
        self.cells, (self.trunk_widths, self.color_widths) = cells, widths
        self.count = math.prod(cells)
        self.register_buffer("shape", torch.tensor(cells), persistent=False)
        self.trunks = nn.Parameter(self._start(self.trunk_widths, self._trunk_gains()))
        self.colors = nn.Parameter(self._start(self.color_widths, [[6.0], [3.0]]))

    def _trunk_gains(self) -> list[list[float]]:
        """Six over the inputs before a ReLU, and density counts as one; three before the rest."""
        return [[6.0], [6.0], [3.0] * self.config.hidden + [6.0]]

    def _start(self, widths: list[int], gains: list[list[float]]) -> Float[Tensor, "g p"]:
        """Weights U(+-sqrt(gain / inputs)), column by column; biases U(+-1 / sqrt(inputs))."""
        networks = 1 if self.config.alike else self.count
        values = torch.empty(networks, kernel.size(widths))
        for (matrix, bias), gain in zip(kernel.layers(values, widths), gains, strict=True):
            inputs = matrix.shape[-2]
            matrix.uniform_(-1, 1).mul_((torch.tensor(gain) / inputs).sqrt())
            bias.uniform_(-1, 1).div_(math.sqrt(inputs))
        return values.expand(self.count, -1).contiguous()

    def groups(self) -> dict[str, list[nn.Parameter]]:
        """All of it is a table: most networks are not met by a batch."""
        return {"table": [self.trunks, self.colors]}

    def _sorted(self, x: Float[Tensor, "n 3"]) -> tuple[Tensor, Tensor, Tensor]:
        """Rows in order of their network, offsets of the networks, places in cells [n, 3]."""
        u = self.domain(x) * self.shape
        cell = torch.minimum(u.detach().floor().long(), self.shape - 1)
        place = 2 * (u - cell) - 1
        _, y, z = self.cells
        number = (cell[:, 0] * y + cell[:, 1]) * z + cell[:, 2]
        fast = dispatch.use_numba(x, self.trunks)
        order, offsets = kernel.group(number, self.count, fast)
        return order, offsets, _Reorder.apply(place, order)

    def _trunk(self, place: Tensor, offsets: Tensor) -> Float[Tensor, "n k"]:
        octaves = self.config.octaves
        return kernel.bank(place, None, self.trunks, offsets, self.trunk_widths, octaves)

    def density(self, x: Float[Tensor, "*n 3"]) -> Float[Tensor, "*n"]:
        """Density per world unit."""
        order, offsets, place = self._sorted(x.reshape(-1, 3))
        a = self._trunk(place, offsets)[:, -1]
        found = leaky_density(a) * (2 / self.domain.length)
        return _Back.apply(found, order).view(x.shape[:-1])

    def geometry(self, x: Float[Tensor, "*n 3"]) -> tuple[Tensor, Tensor | None]:
        """Log-density per box length, and g."""
        order, offsets, place = self._sorted(x.reshape(-1, 3))
        h = _Back.apply(self._trunk(place, offsets), order)
        g = h[:, :-1].view(*x.shape[:-1], h.shape[-1] - 1)
        return log_density(h[:, -1] * 2).view(x.shape[:-1]), g

    def forward(
        self, x: Float[Tensor, "*n 3"], directions: Float[Tensor, "*n 3"]
    ) -> RadianceSample:
        """Density and colour at world points x seen along unit directions."""
        order, offsets, place = self._sorted(x.reshape(-1, 3))
        h = self._trunk(place, offsets)
        view = _Reorder.apply(directions.reshape(-1, 3), order)
        octaves = self.config.direction_octaves
        rgb = kernel.bank(view, h, self.colors, offsets, self.color_widths, octaves).sigmoid()
        shape, rows = x.shape[:-1], _Back.apply(torch.cat([rgb, h[:, -1:]], -1), order)
        a = rows[:, 3].view(shape)
        density = leaky_density(a) * (2 / self.domain.length)
        feature = _Back.apply(h[:, :-1], order).view(*shape, h.shape[-1] - 1)
        return RadianceSample(density, rows[:, :3].view(x.shape), log_density(a * 2), feature)

    def intermediate_features(self, x: Float[Tensor, "n d"]) -> tuple[Tensor, ...]:
        """G of each point's network."""
        _, g = self.geometry(x)
        assert g is not None
        return (g,)

    def draw_points(self, n: int, generator: torch.Generator) -> Float[Tensor, "n 3"]:
        """As many points in each cell, but for what is left over."""
        rounds = [
            torch.randperm(self.count, generator=generator)
            for _ in range(math.ceil(n / self.count))
        ]
        number = torch.cat([*rounds, torch.empty(0, dtype=torch.int64)])[:n]
        _, y, z = self.cells
        cell = torch.stack([number // (y * z), number // z % y, number % z], -1)
        place = move(cell + torch.rand(n, 3, generator=generator), self.shape.device)
        return self.domain.inverse(place / self.shape)


class _Reorder(torch.autograd.Function):
    """rows[order], an order being a permutation: the gradient is moved, where torch would add."""

    @staticmethod
    def forward(ctx, rows: Tensor, order: Tensor) -> Tensor:  # type: ignore[no-untyped-def]
        ctx.save_for_backward(order)
        return rows.index_select(0, order)

    @staticmethod
    def backward(ctx, grad: Tensor):  # type: ignore[no-untyped-def]
        (order,) = ctx.saved_tensors
        return torch.empty_like(grad).index_copy_(0, order, grad), None


class _Back(torch.autograd.Function):
    """Undoes `_Reorder`."""

    @staticmethod
    def forward(ctx, rows: Tensor, order: Tensor) -> Tensor:  # type: ignore[no-untyped-def]
        ctx.save_for_backward(order)
        return torch.empty_like(rows).index_copy_(0, order, rows)

    @staticmethod
    def backward(ctx, grad: Tensor):  # type: ignore[no-untyped-def]
        (order,) = ctx.saved_tensors
        return grad.index_select(0, order), None
