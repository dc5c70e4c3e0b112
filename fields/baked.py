"""A field as textures of bytes: what a web page can draw, and what is trained is what is drawn.

Blocks of a grid, at their vertices the log-density and what colours are made of (shading.py), all
of it rounded to bytes while training. Where no block is stored there is nothing. Symbols: q a
rounded value in [0, 1]; m(x) the domain's stretch, 1 in the box; log-density per box length =
LOG[0] + q (LOG[1] - LOG[0]) - log m(x), so that far away, where cells are large, no byte stands for
fog. Source: the layout is that of SNeRG (Hedman et al. 2021); rounding while training as in MERF
(Reiser et al. 2023).

Without a teacher, a grid that isn't too large stores all of its blocks; `bake` keeps those in which
another field has something, and sets their vertices to what it says there.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

import torch
from jaxtyping import Bool, Float, Int32
from torch import Tensor, nn

from polyfield.encodings.domain import Domain
from polyfield.encodings.kernels.sparse_grid import shared_vertices, sparse_grid
from polyfield.errors import InputError
from polyfield.fields.base import NOTHING, RadianceField, RadianceSample, StoredBytes
from polyfield.fields.shading import Harmonics, Looks, Shading
from polyfield.ranges import Range, check

LOG = (-6.0, 12.0)
"""Log-densities per box length, in the unit cube's own lengths, that can be stored."""
MOST = 1 << 27
"""Values of a grid that is stored whole."""
LOOKS = 12
"""Directions in which a teacher is asked at each vertex."""
ROWS = 1 << 16
"""Points a teacher is asked at once."""


@dataclass(frozen=True)
class Baked:
    """Blocks of bytes: density and spherical harmonics."""

    blocks: Annotated[int, Range(1, 256)] = 16
    """B, along an axis."""
    cells: Annotated[int, Range(1, 32)] = 4
    """N, along the edge of a block."""
    bands: Annotated[int, Range(1, 3)] = 2
    """Bands of the harmonics: 1 has no direction, 2 is linear in it."""
    span: Annotated[float, Range(1, 64)] = 8.0
    """How far from 0 the first coefficient gets: 8 is a colour of 0.095 to 0.905, 16 of 0.011 to
    0.989."""

    def build(self, domain: Domain) -> BakedField:
        """A field over a domain."""
        check(self)
        return BakedField(domain, self.blocks, self.cells, Harmonics(self.bands, self.span))


class BakedField(RadianceField):
    """Trilinear bytes in stored blocks, which share the vertices between them."""

    slot: Int32[Tensor, "B B B"]
    vertex: Int32[Tensor, " v"]

    def __init__(self, domain: Domain, blocks: int, cells: int, shading: Shading) -> None:
        """Blocks along an axis of the domain, cells along the edge of each."""
        super().__init__()
        self.domain, self.blocks, self.cells, self.shading = domain, blocks, cells, shading
        self.shades_rays = shading.shades_rays
        self.channels = 1 + shading.channels
        count = blocks**3
        whole = count * self.block_size <= MOST
        slot = torch.arange(count, dtype=torch.int32) if whole else torch.full((count,), -1).int()
        self.register_buffer("slot", slot.view((blocks,) * 3))
        vertex, rows = shared_vertices(self.slot, cells)
        self.register_buffer("vertex", vertex, persistent=False)
        self.table = nn.Parameter(torch.full((rows * self.channels,), 0.5))
        if whole:
            with torch.no_grad():  # thin fog, grey
                fog = (math.log(0.1) - LOG[0]) / (LOG[1] - LOG[0])
                self.table.view(-1, self.channels)[:, 0] = fog

    @property
    def block_size(self) -> int:
        """Values of a block."""
        return (self.cells + 1) ** 3 * self.channels

    def _load_from_state_dict(self, state_dict, prefix, *args, **kwargs) -> None:  # type: ignore[no-untyped-def]
        table, slot = state_dict.get(f"{prefix}table"), state_dict.get(f"{prefix}slot")
        if table is not None and slot is not None:
            stored = int((slot >= 0).sum())
            if slot.ndim != 3 or table.ndim != 1 or int(slot.max()) >= stored:
                raise ValueError(f"blocks {tuple(slot.shape)} of which {stored} are stored")
            self.vertex, rows = shared_vertices(slot.to(self.slot.device), self.cells)
            if len(table) == stored * self.block_size:
                # Of a file in which each block has its own copies.
                table = _mean(table.view(-1, self.channels), self.vertex.to(table.device), rows)
                state_dict[f"{prefix}table"] = table
            if table.shape != (rows * self.channels,):
                raise ValueError(f"{len(table)} values for {stored} blocks")
            self.table = nn.Parameter(torch.empty_like(table, device=self.table.device))
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)

    def groups(self) -> dict[str, list[nn.Parameter]]:
        """The table; the network of what shades rays."""
        network = list(self.shading.parameters())
        return {"table": [self.table], **({"network": network} if network else {})}

    def _values(self, x: Float[Tensor, "*n 3"]) -> tuple[Tensor, Tensor]:
        """Rounded values [*n, C], and where there are any [*n, 1]."""
        v = self.domain(x).reshape(-1, 3)
        found = sparse_grid(v, self.table, self.slot, self.vertex, self.cells, self.channels)
        return found.view(*x.shape[:-1], self.channels), self.is_stored(x)

    def is_stored(self, x: Float[Tensor, "*n 3"]) -> Bool[Tensor, "*n"]:
        """Whether points lie in a stored block."""
        b = self.blocks
        number = (self.domain(x).nan_to_num(0) * b).long().clamp(0, b - 1)
        return self.slot[number[..., 0], number[..., 1], number[..., 2]] >= 0

    def geometry(self, x: Float[Tensor, "*n 3"]) -> tuple[Tensor, Tensor | None]:
        """Log-density per box length, `NOTHING` where nothing is stored; no feature."""
        values, stored = self._values(x)
        return self._log(x, values[..., 0], stored), None

    def _log(self, x: Tensor, value: Tensor, stored: Tensor) -> Tensor:
        log = LOG[0] + value * (LOG[1] - LOG[0])
        if self.domain.contracted:
            log = log - self.domain.stretch(x).log()
        return torch.where(stored | log.isnan(), log, NOTHING)

    def forward(
        self, x: Float[Tensor, "*n 3"], directions: Float[Tensor, "*n 3"]
    ) -> RadianceSample:
        """Density and colour at points x seen along unit directions."""
        values, stored = self._values(x)
        log = self._log(x, values[..., 0], stored)
        q = values[..., 1:].reshape(-1, self.shading.channels)
        rgb, deferred = self.shading(q, directions.reshape(-1, 3))
        deferred = None if deferred is None else deferred.view(*log.shape, deferred.shape[1])
        return RadianceSample(
            log.exp() / self.domain.length, rgb.view(x.shape), log, deferred=deferred
        )

    def shade(
        self,
        seen: Float[Tensor, "r c"],
        opacity: Float[Tensor, "r"],
        directions: Float[Tensor, "r 3"],
    ) -> Float[Tensor, "r 3"]:
        """Colours of rays in front of nothing."""
        return self.shading.shade(seen, opacity, directions)

    def stored_bytes(self) -> StoredBytes:
        """The very numbers that it answers from."""
        side = self.cells + 1
        values = (self.table.detach().clamp(0, 1) * 255).round().to(torch.uint8)
        values = values.view(-1, self.channels)[self.vertex.long()].cpu()
        shape = (-1, side, side, side, self.channels)
        shading = self.shading
        return StoredBytes(
            self.slot.cpu(), values.view(shape), LOG, shading.spans, shading.layers()
        )

    def intermediate_features(self, x: Float[Tensor, "n d"]) -> tuple[Tensor, ...]:
        """What is stored, interpolated."""
        return (self._values(x)[0],)

    @torch.no_grad()
    def bake(
        self,
        teacher: RadianceField,
        is_occupied: Callable[[Float[Tensor, "n 3"]], Bool[Tensor, " n"]],
    ) -> Float[Tensor, "B B B"] | None:
        """Store the blocks in which a teacher has something, with what it says at their vertices.

        Args:
            teacher: in the same frame.
            is_occupied: where there may be something.

        Returns:
            A density for each block: large where it is stored.

        Raises:
            InputError: there is nothing anywhere.
        """
        device = self.slot.device
        b, n = self.blocks, self.cells
        axis = (torch.arange(2 * b, device=device) + 0.5) / (2 * b)
        full = torch.cat(  # a layer at a time: all middles of a fine grid would be gigabytes
            [is_occupied(self.domain.inverse(_layer(at, axis))) for at in axis]
        ).view(b, 2, b, 2, b, 2)
        alive = full.any(1).any(2).any(3)
        places = alive.nonzero()
        if not len(places):
            raise InputError("a teacher with something in it", "an empty one", "train it longer")
        self.slot.fill_(-1)
        self.slot[alive] = torch.arange(len(places), dtype=torch.int32, device=device)
        self.vertex, count = shared_vertices(self.slot, n)
        corner = torch.arange(n + 1, device=device)
        local = torch.cartesian_prod(corner, corner, corner)
        vertices = torch.empty(count, 3, device=device)
        vertices[self.vertex.long()] = (places[:, None] * n + local).reshape(-1, 3) / (b * n)
        looks = _directions(LOOKS).to(vertices)
        few = vertices[:: max(len(vertices) // ROWS, 1)][:ROWS]
        stored = self.shading.closed_form(lambda: self._asked(teacher, few, looks)[1], looks)
        rows = []
        for part in vertices.split(ROWS):
            log, colors = self._asked(teacher, part, looks)
            density = (log.clamp(*LOG) - LOG[0]) / (LOG[1] - LOG[0])
            rows.append(torch.cat([density[:, None], stored(colors)], 1))
        self.table = nn.Parameter(torch.cat(rows).reshape(-1))
        return alive.float() * 1e6

    def _asked(
        self, teacher: RadianceField, v: Float[Tensor, "n 3"], looks: Float[Tensor, "d 3"]
    ) -> tuple[Float[Tensor, "n"], Looks]:
        """What a teacher says at vertices: log-densities, and colours in each direction."""
        x = self.domain.inverse(v)
        found = [teacher(x, look.expand_as(x).contiguous()) for look in looks]
        log = found[0].log_density
        if self.domain.contracted:
            log = log + self.domain.stretch(x).log()
        return log, torch.stack([sample.rgb for sample in found])


def _layer(x: Float[Tensor, ""], axis: Float[Tensor, " b"]) -> Float[Tensor, "n 3"]:
    """Points of the unit cube with that x, y and z of the axis, z the fastest."""
    y, z = torch.meshgrid(axis, axis, indexing="ij")
    return torch.stack([x.expand_as(y), y, z], -1).reshape(-1, 3)


def _mean(
    copies: Float[Tensor, "v c"], vertex: Int32[Tensor, " v"], rows: int
) -> Float[Tensor, " p"]:
    """Rows, flat, as the means of their copies."""
    index = vertex.long()
    total = copies.new_zeros(rows, copies.shape[1]).index_add(0, index, copies)
    return (total / torch.bincount(index, minlength=rows)[:, None]).view(-1)


def _directions(count: int) -> Float[Tensor, "d 3"]:
    """Unit vectors spread evenly: a spiral of golden angles."""
    z = 1 - (2 * torch.arange(count, dtype=torch.float64) + 1) / count
    angle = math.pi * (3 - math.sqrt(5)) * torch.arange(count)
    flat = (1 - z * z).sqrt()
    return torch.stack([flat * angle.cos(), flat * angle.sin(), z], 1).float()
