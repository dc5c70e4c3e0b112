"""The CPU kernel of `march`: a ray leaps over an empty cell, or over all blocks known to be empty.

Each task marches a fixed range of rays into its own buffer; a second pass packs the buffers. Where
a buffer is too small the march runs again with a larger one, and the size is remembered. `walk` is
one ray of it, which `reach` calls for a few samples at a time.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from polyfield.backends import dispatch, parallel
from polyfield.backends.jit import njit
from polyfield.encodings.domain import Domain
from polyfield.renderers.kernels.march import BLOCK, EDGE, Cells, Lattice

MOST = np.float32(1e9)
"""More steps than a ray has."""
MARGIN = np.float32(EDGE)
BATCH = 256
"""Rays of a task of `entry`."""
LEAST = np.float32(1e-12)
"""A ray's direction along an axis is at least so."""
NEVER = np.float32(1e30)
"""A length of t longer than any ray."""

_room = [1 << 15]


@njit(inline="always")
def _unit(x, low, inverse_size, contracted):
    """One coordinate to u (|u| <= 1 in the box) or, without contraction, to the unit cube."""
    value = (x - low) * inverse_size
    return value * np.float32(2) - np.float32(1) if contracted else value


@njit(inline="always")
def _step(t, ox, oy, oz, dx, dy, dz, low, inverse_size, contracted, step, cone):
    """h(t) of `march`."""
    height = max(step, cone * t)
    if contracted:
        ux = _unit(ox + t * dx, low[0], inverse_size[0], True)
        uy = _unit(oy + t * dy, low[1], inverse_size[1], True)
        uz = _unit(oz + t * dz, low[2], inverse_size[2], True)
        norm = max(abs(ux), abs(uy), abs(uz), np.float32(1))
        height *= norm * norm
    return height


@njit(cache=True, nogil=True)
def walk(
    ox, oy, oz, dx, dy, dz, t, origin, k, leave, limit, fine, clear, low, inverse_size, contracted,
    step, cone, starts, ends, found, room,
):  # fmt: skip
    """The next samples of one ray, at most `limit`, written from element `found` on.

    The ray is o + t d; its next sample is number k and begins at t, its first one began at
    `origin`. Of what is found, `room` elements fit. Returns how many there are, and the t and k to
    go on from.
    """
    resolution = fine.shape[0]
    even = cone == 0 and not contracted
    r = np.float32(resolution)
    half, per_step = step * np.float32(0.5), np.float32(1) / step
    count = 0
    # Cells an axis the ray crosses per unit of t, where space is not bent.
    gx, gy, gz = dx * inverse_size[0] * r, dy * inverse_size[1] * r, dz * inverse_size[2] * r
    ax = (ox - low[0]) * inverse_size[0] * r
    ay = (oy - low[1]) * inverse_size[1] * r
    az = (oz - low[2]) * inverse_size[2] * r
    if contracted:
        gx, gy, gz = gx * np.float32(0.5), gy * np.float32(0.5), gz * np.float32(0.5)
    # A ray along a face never leaves by it.
    ix = np.float32(1) / gx if gx != 0 else NEVER
    iy = np.float32(1) / gy if gy != 0 else NEVER
    iz = np.float32(1) / gz if gz != 0 else NEVER
    while count < limit:
        h = _step(t, ox, oy, oz, dx, dy, dz, low, inverse_size, contracted, step, cone)
        middle = t + h * np.float32(0.5)
        if not middle < leave:
            break
        straight = True
        if contracted:
            ux = _unit(ox + middle * dx, low[0], inverse_size[0], True)
            uy = _unit(oy + middle * dy, low[1], inverse_size[1], True)
            uz = _unit(oz + middle * dz, low[2], inverse_size[2], True)
            norm = max(abs(ux), abs(uy), abs(uz))
            if norm > np.float32(1):
                straight = False
                bend = (np.float32(2) - np.float32(1) / norm) / norm
                ux, uy, uz = ux * bend, uy * bend, uz * bend
            px = (ux + np.float32(2)) * np.float32(0.25) * r
            py = (uy + np.float32(2)) * np.float32(0.25) * r
            pz = (uz + np.float32(2)) * np.float32(0.25) * r
        else:
            px, py, pz = ax + middle * gx, ay + middle * gy, az + middle * gz
        cx = min(max(np.int64(px), 0), resolution - 1)
        cy = min(max(np.int64(py), 0), resolution - 1)
        cz = min(max(np.int64(pz), 0), resolution - 1)
        bx, by, bz = cx // BLOCK, cy // BLOCK, cz // BLOCK
        blocks = np.int64(clear[bx, by, bz])
        full = blocks == 0 and fine[cx, cy, cz]
        leap = np.float32(0)
        if straight:
            if blocks > 0:
                near = np.int64(1) - blocks
                ex = (bx + (blocks if gx >= 0 else near)) * BLOCK
                ey = (by + (blocks if gy >= 0 else near)) * BLOCK
                ez = (bz + (blocks if gz >= 0 else near)) * BLOCK
            else:
                ex = cx + np.int64(gx >= 0)
                ey = cy + np.int64(gy >= 0)
                ez = cz + np.int64(gz >= 0)
            leap = min(
                (np.float32(ex) - px) * ix,
                (np.float32(ey) - py) * iy,
                (np.float32(ez) - pz) * iz,
            )
            if contracted:
                # The box is the middle half of the grid; no straight leap leads beyond.
                low_face, high_face = np.float32(0.25) * r, np.float32(0.75) * r
                leap = min(
                    leap,
                    ((high_face if gx >= 0 else low_face) - px) * ix,
                    ((high_face if gy >= 0 else low_face) - py) * iy,
                    ((high_face if gz >= 0 else low_face) - pz) * iz,
                )
        # What is true of this sample is true of all up to the border.
        if even:
            run = np.int64(min(leap * per_step + (np.float32(1) - MARGIN), MOST))
            run = max(run, np.int64(1))
            if full:
                last_k = k + min(run, limit - count)
                while k < last_k and t + half < leave:
                    if found < room:
                        starts[found] = t
                        ends[found] = t + h
                    found += 1
                    count += 1
                    k += 1
                    t = origin + np.float32(k) * step
            else:
                k += run
                t = origin + np.float32(k) * step
        else:
            # Inside the box, where leaps are, the stretch is 1.
            until = middle + leap - MARGIN * h
            while True:
                if full:
                    if found < room:
                        starts[found] = t
                        ends[found] = t + h
                    found += 1
                    count += 1
                t += h
                h = max(step, cone * t)
                middle = t + h * np.float32(0.5)
                if not middle < min(until, leave) or count == limit:
                    break
    return count, t, k


@njit(inline="always")
def first_sample(t, jitter, ox, oy, oz, dx, dy, dz, low, inverse_size, contracted, step, cone):
    """Where the first sample of a ray begins."""
    return t + jitter * _step(t, ox, oy, oz, dx, dy, dz, low, inverse_size, contracted, step, cone)


@njit(cache=True, nogil=True)
def _march(
    first, last, origins, directions, t_in, t_out, jitter, fine, clear, low, inverse_size,
    contracted, step, cone, limit, counts, all_starts, all_ends, totals,
):  # fmt: skip
    """The samples of a run of rays each; `totals` may be more than fit."""
    room, rays, tasks = all_starts.shape[1], counts.size, totals.size
    for task in range(first, last):
        found = 0
        for ray in range(task * rays // tasks, (task + 1) * rays // tasks):
            ox, oy, oz = origins[3 * ray], origins[3 * ray + 1], origins[3 * ray + 2]
            dx, dy, dz = directions[3 * ray], directions[3 * ray + 1], directions[3 * ray + 2]
            t = first_sample(t_in[ray], jitter[ray], ox, oy, oz, dx, dy, dz, low, inverse_size,
                             contracted, step, cone)  # fmt: skip
            count, _, _ = walk(
                ox, oy, oz, dx, dy, dz, t, t, np.int64(0), t_out[ray], limit, fine, clear, low,
                inverse_size, contracted, step, cone, all_starts[task], all_ends[task], found,
                room,
            )  # fmt: skip
            counts[ray] = count
            found += count
        totals[task] = found


@njit(cache=True, nogil=True)
def _entry(first, last, origins, directions, near, far, bounds, t_in, t_out):
    for ray in range(first * BATCH, min(near.size, last * BATCH)):
        enter, leave = near[ray], far[ray]
        for axis in range(3):
            way = directions[3 * ray + axis]
            way = LEAST if abs(way) < LEAST else way
            one = (bounds[axis] - origins[3 * ray + axis]) / way
            two = (bounds[3 + axis] - origins[3 * ray + axis]) / way
            enter = max(enter, min(one, two))
            leave = min(leave, max(one, two))
        t_in[ray], t_out[ray] = enter, leave


def entry(
    origins: Tensor, directions: Tensor, near: Tensor, far: Tensor, domain: Domain
) -> tuple[Tensor, Tensor]:
    """See `march.entry`, of a box."""
    t_in, t_out = dispatch.new(len(near)), dispatch.new(len(near))
    parallel.run(
        _entry, -(-len(near) // BATCH), dispatch.flat(origins), dispatch.flat(directions),
        dispatch.flat(near), dispatch.flat(far), dispatch.flat(domain.bounds),
        dispatch.flat(t_in), dispatch.flat(t_out),
    )  # fmt: skip
    return t_in, t_out


def march(
    origins: Tensor,
    directions: Tensor,
    bounds: tuple[Tensor, Tensor],
    jitter: Tensor,
    cells: Cells,
    domain: Domain,
    lattice: Lattice,
) -> tuple[Tensor, Tensor, Tensor]:
    """See `march.march`."""
    rays, tasks = origins.shape[0], dispatch.threads()
    offsets = torch.zeros(rays + 1, dtype=torch.int64)
    if rays == 0:
        return offsets, dispatch.new(0), dispatch.new(0)
    low = domain.bounds[0].numpy()
    inverse_size = (1 / (domain.bounds[1] - domain.bounds[0])).numpy()
    counts = np.empty(rays, np.int64)
    found = np.empty(tasks, np.int64)
    fixed = (
        dispatch.flat(origins), dispatch.flat(directions), dispatch.flat(bounds[0]),
        dispatch.flat(bounds[1]), dispatch.flat(jitter), cells[0].numpy(), cells[1].numpy(),
        low, inverse_size, domain.contracted, np.float32(lattice.step), np.float32(lattice.cone),
        lattice.limit, counts,
    )  # fmt: skip
    while True:
        starts, ends = (np.empty((tasks, _room[0]), np.float32) for _ in range(2))
        parallel.run(_march, tasks, *fixed, starts, ends, found)
        if found.max() <= _room[0]:
            break
        _room[0] = int(found.max() * 1.25)
    offsets[1:] = torch.from_numpy(counts).cumsum(0)
    return (
        offsets,
        torch.from_numpy(np.concatenate([starts[i, : found[i]] for i in range(tasks)])),
        torch.from_numpy(np.concatenate([ends[i, : found[i]] for i in range(tasks)])),
    )
