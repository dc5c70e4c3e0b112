"""The GPU kernels of `march`: RAYS rays a program, in step.

A first launch counts each ray's samples, a sum tells where each ray's begin, and a second launch
marches again and writes them: no guess at how many there are, no buffer to outgrow. A ray leaps
over an empty cell, or over all blocks known to be empty, by the arithmetic of the CPU kernel.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from polyfield.encodings.domain import Box, Contraction, Domain
from polyfield.renderers.kernels.march import (
    BLOCK,
    EDGE,
    Cells,
    Lattice,
    clearance,
    entry,
    reference,
)

RAYS = 128
"""Rays of a program."""


@triton.jit
def _height(t, ox, oy, oz, dx, dy, dz, step, cone, CONTRACTED: tl.constexpr):
    """h(t) of `march`; o and d are in units of the box, |u| <= 1 inside, if contracted."""
    height = tl.maximum(cone * t, step)
    if CONTRACTED:
        norm = tl.maximum(tl.abs(ox + t * dx), tl.abs(oy + t * dy))
        norm = tl.maximum(tl.maximum(norm, tl.abs(oz + t * dz)), 1.0)
        height *= norm * norm
    return height


@triton.jit
def _cell(u, R: tl.constexpr):
    """Place in cells, and the cell."""
    place = u * R
    # A NaN finds cell 0 and no sample: its t is not below the end.
    safe = tl.where(place == place, place, 0.0)
    return place, tl.minimum(tl.maximum(safe, 0.0), R - 1.0).to(tl.int32)


@triton.jit
def _until(way, slope):
    """How much t grows along so many cells."""
    return tl.where(slope == 0, 1e30, way / tl.where(slope == 0, 1.0, slope))


@triton.jit
def _way(place, cell, size, beyond, slope):
    """How much t grows until the border `beyond` blocks of `size` cells further along an axis."""
    edge = (cell // size + tl.where(slope > 0, beyond, 1 - beyond)) * size
    return _until(edge.to(tl.float32) - place, slope)


@triton.jit
def _way_out(place, slope, R: tl.constexpr):
    """How much t grows until the ray leaves the box, the middle half of a contracted grid."""
    return _until(tl.where(slope > 0, 0.75 * R, 0.25 * R) - place, slope)


@triton.jit(do_not_specialize=["n", "limit"])
def _march_kernel(
    origins, directions, t_in, t_out, jitter, fine, clear, bounds, offsets, starts, ends, counts,
    n, step, cone, limit,
    R: tl.constexpr, BLOCK: tl.constexpr, EDGE: tl.constexpr, CONTRACTED: tl.constexpr,
    EVEN: tl.constexpr, FILL: tl.constexpr, RAYS: tl.constexpr,
):  # fmt: skip
    ray = tl.program_id(0) * RAYS + tl.arange(0, RAYS)
    mask = ray < n
    B: tl.constexpr = (R + BLOCK - 1) // BLOCK
    ax = 1 / (tl.load(bounds + 3) - tl.load(bounds))
    ay = 1 / (tl.load(bounds + 4) - tl.load(bounds + 1))
    az = 1 / (tl.load(bounds + 5) - tl.load(bounds + 2))
    ox = (tl.load(origins + 3 * ray, mask=mask, other=0.0) - tl.load(bounds)) * ax
    oy = (tl.load(origins + 3 * ray + 1, mask=mask, other=0.0) - tl.load(bounds + 1)) * ay
    oz = (tl.load(origins + 3 * ray + 2, mask=mask, other=0.0) - tl.load(bounds + 2)) * az
    dx = tl.load(directions + 3 * ray, mask=mask, other=0.0) * ax
    dy = tl.load(directions + 3 * ray + 1, mask=mask, other=0.0) * ay
    dz = tl.load(directions + 3 * ray + 2, mask=mask, other=0.0) * az
    # Cells an axis that a ray crosses per unit of t, where space is not bent.
    gx, gy, gz = dx * R, dy * R, dz * R
    if CONTRACTED:
        gx, gy, gz = gx * 0.5, gy * 0.5, gz * 0.5
        ox, oy, oz = ox * 2 - 1, oy * 2 - 1, oz * 2 - 1
        dx, dy, dz = dx * 2, dy * 2, dz * 2
    t = tl.load(t_in + ray, mask=mask, other=0.0)
    leave = tl.load(t_out + ray, mask=mask, other=-1.0)
    t += tl.load(jitter + ray, mask=mask, other=0.0) * _height(
        t, ox, oy, oz, dx, dy, dz, step, cone, CONTRACTED
    )
    first = t
    until = t
    k = tl.zeros([RAYS], tl.int32)
    count = tl.zeros([RAYS], tl.int32)
    base = tl.zeros([RAYS], tl.int64)
    if FILL:
        base = tl.load(offsets + ray, mask=mask, other=0)
    h = _height(t, ox, oy, oz, dx, dy, dz, step, cone, CONTRACTED)
    alive = mask & (t + h * 0.5 < leave) & (count < limit)
    while tl.max(alive.to(tl.int32), 0) > 0:
        middle = t + h * 0.5
        ux, uy, uz = ox + middle * dx, oy + middle * dy, oz + middle * dz
        straight = middle == middle
        if CONTRACTED:
            norm = tl.maximum(tl.maximum(tl.abs(ux), tl.abs(uy)), tl.abs(uz))
            straight = norm <= 1
            norm = tl.maximum(norm, 1.0)
            bend = (2 - 1 / norm) / norm
            ux, uy, uz = (ux * bend + 2) * 0.25, (uy * bend + 2) * 0.25, (uz * bend + 2) * 0.25
        px, cx = _cell(ux, R)
        py, cy = _cell(uy, R)
        pz, cz = _cell(uz, R)
        asked = alive & (middle >= until)
        full = tl.load(fine + (cx * R + cy) * R + cz, mask=asked, other=0) != 0
        if FILL:
            tl.store(starts + base + count, t, mask=full)
            tl.store(ends + base + count, t + h, mask=full)
        count += full.to(tl.int32)
        block = ((cx // BLOCK) * B + cy // BLOCK) * B + cz // BLOCK
        blocks = tl.load(clear + block, mask=asked & ~full, other=0).to(tl.int32)
        size, beyond = tl.where(blocks > 0, BLOCK, 1), tl.maximum(blocks, 1)
        leap = tl.minimum(_way(px, cx, size, beyond, gx), _way(py, cy, size, beyond, gy))
        leap = tl.minimum(leap, _way(pz, cz, size, beyond, gz))
        if CONTRACTED:
            out = tl.minimum(_way_out(px, gx, R), _way_out(py, gy, R))
            leap = tl.minimum(leap, tl.minimum(out, _way_out(pz, gz, R)))
        leap = tl.where(asked & ~full & straight, leap, 0.0)
        if EVEN:
            far = tl.minimum(leap / step + (1 - EDGE), 1e8).to(tl.int32)
            k += tl.where(full, 1, tl.maximum(far, 1))
            t = first + k.to(tl.float32) * step
        else:
            # Lattice points below `until` are passed without a look.
            until = tl.where(asked, middle + leap, until)
            t = tl.where(alive, t + h, t)
        h = _height(t, ox, oy, oz, dx, dy, dz, step, cone, CONTRACTED)
        alive = alive & (t + h * 0.5 < leave) & (count < limit)
    if not FILL:
        tl.store(counts + ray, count, mask=mask)


def launch(
    rays: tuple[Tensor, Tensor, Tensor, Tensor, Tensor],
    cells: Cells,
    domain: Domain,
    lattice: Lattice,
    offsets: Tensor,
    counts: Tensor,
    found: tuple[Tensor, Tensor] | None,
) -> None:
    """Count each ray's samples into `counts`; or write them to `found`, from `offsets` on."""
    n = counts.shape[0]
    starts, ends = found or (rays[2], rays[2])
    _march_kernel[(triton.cdiv(n, RAYS),)](
        *(t.contiguous() for t in rays), *(cell.contiguous().view(torch.uint8) for cell in cells),
        domain.bounds, offsets, starts, ends, counts,
        n, float(lattice.step), float(lattice.cone), lattice.limit,
        R=cells[0].shape[0], BLOCK=BLOCK, EDGE=EDGE, CONTRACTED=domain.contracted,
        EVEN=lattice.cone == 0 and not domain.contracted, FILL=found is not None, RAYS=RAYS,
    )  # fmt: skip


def march(
    origins: Tensor,
    directions: Tensor,
    bounds: tuple[Tensor, Tensor],
    jitter: Tensor,
    cells: Cells,
    domain: Domain,
    lattice: Lattice,
) -> tuple[Tensor, Tensor, Tensor]:
    """See `march.march`; waits for the GPU once, to learn how many samples there are."""
    n = origins.shape[0]
    offsets = torch.zeros(n + 1, dtype=torch.int64, device=origins.device)
    counts = torch.empty(n, dtype=torch.int32, device=origins.device)
    rays = (origins, directions, *bounds, jitter)
    if n:
        launch(rays, cells, domain, lattice, offsets, counts, None)
    offsets[1:] = counts.cumsum(0)
    total = int(offsets[-1])
    found = origins.new_empty(total), origins.new_empty(total)
    if total:
        launch(rays, cells, domain, lattice, offsets, counts, found)
    return offsets, *found


def check(device: torch.device) -> None:
    """Compare with the reference on a few rays through a few cells.

    Raises:
        ArithmeticError: rays have other samples than they should.
    """
    generator = torch.Generator().manual_seed(0)
    occupied = torch.rand(8, 8, 8, generator=generator) < 0.2
    origins = torch.rand(40, 3, generator=generator) * 0.4 + torch.tensor([0.3, 0.3, -1.0])
    directions = torch.nn.functional.normalize(torch.tensor([0.1, 0.2, 1.0]).expand(40, 3), dim=1)
    box = torch.tensor([[0.0, 0, 0], [1, 1, 1]])
    for kind in (Box, Contraction):
        domain = kind(box.to(device)).to(device)
        o, d = origins.to(device), directions.to(device).contiguous()
        near, far = torch.zeros(40, device=device), torch.full((40,), 5.0, device=device)
        inputs = (
            o, d, entry(o, d, near, far, domain), torch.full((40,), 0.5, device=device),
            (occupied.to(device), clearance(occupied).to(device)), domain, Lattice(0.013),
        )  # fmt: skip
        wanted, found = reference(*inputs), march(*inputs)
        # A middle on a border may fall to either side.
        if int((wanted[0].diff() - found[0].diff()).abs().sum()) > 2:
            raise ArithmeticError("rays have other samples than they should")
