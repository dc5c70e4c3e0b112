"""The CPU kernel of `reach`, for a field that is a grid and a perceptron.

Each task follows SLOTS rays at a time, a few samples of each in a round: they are marched, their
points encoded and put through the perceptron together, so that each works on full batches that
stay in cache. A ray that has become opaque, or ends, gives its slot to the next one. What is kept
lies in the order of rounds; a second pass brings it into that of rays. Where a buffer is too small
all is done again with a larger one, and the size is remembered.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from polyfield.backends import dispatch, parallel
from polyfield.backends.jit import njit
from polyfield.backends.parallel import call
from polyfield.encodings.kernels.hash_grid_numba import encode, geometry
from polyfield.encodings.kernels.placement_numba import place
from polyfield.fields.kernels.mlp_numba import CHUNK, apply, packed, widest
from polyfield.fields.probe import GridDensity
from polyfield.renderers.kernels.march_numba import first_sample, walk
from polyfield.renderers.kernels.reach import Limits, Marching
from polyfield.scenes.rays import Rays

SLOTS = 192
"""Rays followed at a time."""
SHARE = 4
"""Samples of a ray in a round."""
# Literals would be types of their own.
_FIRST, _ONE, _HELD = np.int64(0), np.int64(1), np.int64(SLOTS * SHARE)
_ANY = np.empty(0, np.float32)

_room = [1 << 15]


@njit(cache=True, nogil=True)
def _trace(
    first, last, origins, directions, t_in, t_out, jitter, fine, clear, low, inverse_size,
    contracted, step, cone, limit, counts, all_rays, all_starts, all_ends, totals, field_low,
    field_inverse_size, field_contracted, most, thin, per_length, table, scales, resolutions,
    sizes, begins, hashed, smooth, dims, like, matrices, widths, layers, scratch_width, encode_at,
    apply_at,
):  # fmt: skip
    """What is kept of a run of rays each; `totals` may be more than fit."""
    endless = math.isinf(most)
    width, outputs, held = scales.size * len(like), widths[-1], SLOTS * SHARE
    rays, tasks, room = counts.size, totals.size, all_rays.shape[1]
    starts, ends = np.empty(held, np.float32), np.empty(held, np.float32)
    x = np.empty(3 * held, np.float32)
    features, v = np.empty(width * held, np.float32), np.empty(outputs * held, np.float32)
    # Of the ray in each slot: its number, its next sample, samples so far, and its thickness.
    slot, number = np.empty(SLOTS, np.int64), np.empty(SLOTS, np.int64)
    begin, t = np.empty(SLOTS, np.float32), np.empty(SLOTS, np.float32)
    taken, new = np.empty(SLOTS, np.int64), np.empty(SLOTS, np.int64)
    through = np.empty(SLOTS, np.float32)
    for task in range(first, last):
        kept, used = 0, 0
        following, end = task * rays // tasks, (task + 1) * rays // tasks
        while True:
            while used < SLOTS and following < end:
                ray = following
                counts[ray] = 0
                following += 1
                if not t_in[ray] < t_out[ray]:
                    continue
                slot[used], number[used], taken[used], through[used] = ray, 0, 0, 0
                begin[used] = first_sample(
                    t_in[ray], jitter[ray], origins[3 * ray], origins[3 * ray + 1],
                    origins[3 * ray + 2], directions[3 * ray], directions[3 * ray + 1],
                    directions[3 * ray + 2], low, inverse_size, contracted, step, cone,
                )  # fmt: skip
                t[used] = begin[used]
                used += 1
            if used == 0:
                break
            count = 0
            for i in range(used):
                ray = slot[i]
                ox, oy, oz = origins[3 * ray], origins[3 * ray + 1], origins[3 * ray + 2]
                dx, dy, dz = directions[3 * ray], directions[3 * ray + 1], directions[3 * ray + 2]
                new[i], t[i], number[i] = walk(
                    ox, oy, oz, dx, dy, dz, t[i], begin[i], number[i], t_out[ray],
                    min(SHARE, limit - taken[i]), fine, clear, low, inverse_size, contracted, step,
                    cone, starts, ends, count, held,
                )  # fmt: skip
                for k in range(count, count + new[i]):
                    m = (starts[k] + ends[k]) * np.float32(0.5)
                    place(ox + m * dx, oy + m * dy, oz + m * dz, field_low, field_inverse_size,
                          field_contracted, x, 3 * k)  # fmt: skip
                count += new[i]
            if count:
                given = (_FIRST, _ONE, x[: 3 * count], features, table, scales,
                         resolutions, sizes, begins, hashed, smooth, dims, like,
                         _HELD)  # fmt: skip
                if not call(encode_at, given):
                    raise MemoryError
                chunks = (count + CHUNK - 1) // CHUNK
                given = (_FIRST, chunks, features[: width * count], v, matrices,
                         widths, layers, scratch_width)  # fmt: skip
                if not call(apply_at, given):
                    raise MemoryError
            at, left = 0, 0
            for i in range(used):
                ray, light = slot[i], through[i]
                for k in range(at, at + new[i]):
                    if not light >= most or endless:
                        length = ends[k] - starts[k]
                        thickness = np.float32(math.exp(v[k * outputs])) * per_length * length
                        # What is no number stays, so that training notices it.
                        if not thickness < thin:
                            if kept < room:
                                all_rays[task, kept] = ray
                                all_starts[task, kept] = starts[k]
                                all_ends[task, kept] = ends[k]
                            kept += 1
                            counts[ray] += 1
                        light += thickness
                at += new[i]
                taken[i] += new[i]
                # A ray with fewer samples than it might have ends there.
                if new[i] == SHARE and taken[i] < limit and (not light >= most or endless):
                    slot[left], number[left], taken[left] = ray, number[i], taken[i]
                    begin[left], t[left], through[left] = begin[i], t[i], light
                    left += 1
            used = left
        totals[task] = kept


@njit(cache=True, nogil=True)
def _by_ray(first, last, all_rays, all_starts, all_ends, totals, offsets, starts, ends):
    """Each ray's samples, which lie in order, to where they belong; rays are of one task each."""
    rays, tasks = offsets.size - 1, totals.size
    for task in range(first, last):
        begin = task * rays // tasks
        written = np.zeros((task + 1) * rays // tasks - begin, np.int64)
        for i in range(totals[task]):
            ray = all_rays[task, i]
            to = offsets[ray] + written[ray - begin]
            written[ray - begin] += 1
            starts[to], ends[to] = all_starts[task, i], all_ends[task, i]


def reach(
    rays: Rays,
    spans: tuple[Tensor, Tensor],
    jitter: Tensor,
    marching: Marching,
    grid: GridDensity,
    limits: Limits,
) -> tuple[Tensor, Tensor, Tensor]:
    """See `reach.reach`: (offsets, starts, ends)."""
    n, tasks = len(rays), dispatch.threads()
    offsets = np.zeros(n + 1, np.int64)
    if n == 0:
        return torch.from_numpy(offsets), dispatch.new(0), dispatch.new(0)
    domain, lattice, read = marching.domain, marching.lattice, grid.grid
    counts, totals = np.empty(n, np.int64), np.empty(tasks, np.int64)
    shape, matrices, _, layers = packed(grid.weights, grid.widths, grid.bias)
    levels, width = geometry(read.levels, read.features, read.smooth), widest(grid.widths)
    # T > prune while the thickness so far is below this.
    most = -math.log(limits.prune) if limits.prune > 0 else math.inf
    before = (
        dispatch.flat(rays.origins), dispatch.flat(rays.directions), dispatch.flat(spans[0]),
        dispatch.flat(spans[1]), dispatch.flat(jitter), marching.cells[0].numpy(),
        marching.cells[1].numpy(), domain.bounds[0].numpy(),
        (1 / (domain.bounds[1] - domain.bounds[0])).numpy(), domain.contracted,
        np.float32(lattice.step), np.float32(lattice.cone), lattice.limit, counts,
    )  # fmt: skip
    after = (
        totals, grid.domain.bounds[0].numpy(),
        (1 / (grid.domain.bounds[1] - grid.domain.bounds[0])).numpy(), grid.domain.contracted,
        np.float32(most), np.float32(limits.thin), np.float32(1 / grid.domain.length),
        dispatch.flat(read.table), *levels, matrices, shape, layers, width,
        parallel.address_of(encode, _ANY, _ANY, _ANY, *levels, _HELD),
        parallel.address_of(apply, _ANY, _ANY, matrices, shape, layers, width),
    )  # fmt: skip
    while True:
        kept = (
            np.empty((tasks, _room[0]), np.int32),
            np.empty((tasks, _room[0]), np.float32),
            np.empty((tasks, _room[0]), np.float32),
        )
        parallel.run(_trace, tasks, *before, *kept, *after)
        if totals.max() <= _room[0]:
            break
        _room[0] = int(totals.max() * 1.25)
    np.cumsum(counts, out=offsets[1:])
    start, end = dispatch.new(int(offsets[-1])), dispatch.new(int(offsets[-1]))
    parallel.run(_by_ray, tasks, *kept, totals, offsets, start.numpy(), end.numpy())
    return torch.from_numpy(offsets), start, end
