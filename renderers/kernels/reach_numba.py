"""The CPU kernel of `reach`, for a field that is a grid and a perceptron.

Each thread follows SLOTS rays at a time, a few samples of each in a round: their points are
encoded and put through the perceptron together, so that both work on full batches that stay in
cache. A ray that has become opaque, or ends, gives its slot to the next one.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from polyfield.backends import dispatch, parallel
from polyfield.backends.jit import njit
from polyfield.encodings.kernels.hash_grid_numba import encode, geometry
from polyfield.encodings.kernels.placement_numba import place
from polyfield.fields.kernels.mlp_numba import CHUNK, apply, packed, widest
from polyfield.fields.probe import GridDensity
from polyfield.renderers.intervals import Intervals
from polyfield.renderers.kernels.reach import Limits

SLOTS = 96
"""Rays followed at a time."""
SHARE = 8
"""Samples of a ray in a round."""
BLOCK = 64
"""Rays whose samples are packed together."""


@njit(cache=True, nogil=True)
def _trace(
    first, last, origins, directions, offsets, starts, ends, kept_starts, kept_ends, counts,
    low, inverse_size, contracted, most, thin, per_length, table, scales, resolutions, sizes,
    begins, hashed, smooth, dims, like, matrices, widths, layers, scratch_width,
):  # fmt: skip
    """What is kept of rays first..last-1, each at the place of its own samples."""
    width, outputs, held = scales.size * len(like), widths[-1], SLOTS * SHARE
    x = np.empty(3 * held, np.float32)
    features, v = np.empty(width * held, np.float32), np.empty(outputs * held, np.float32)
    slot, at = np.empty(SLOTS, np.int64), np.empty(SLOTS, np.int64)
    through = np.empty(SLOTS, np.float32)
    used, following = 0, first
    while True:
        while used < SLOTS and following < last:
            counts[following] = 0
            if offsets[following] < offsets[following + 1]:
                slot[used], at[used], through[used] = following, offsets[following], 0
                used += 1
            following += 1
        if used == 0:
            break
        count = 0
        for i in range(used):
            ray = slot[i]
            ox, oy, oz = origins[3 * ray], origins[3 * ray + 1], origins[3 * ray + 2]
            dx, dy, dz = directions[3 * ray], directions[3 * ray + 1], directions[3 * ray + 2]
            for k in range(at[i], min(at[i] + SHARE, offsets[ray + 1])):
                t = (starts[k] + ends[k]) * np.float32(0.5)
                place(ox + t * dx, oy + t * dy, oz + t * dz, low, inverse_size, contracted, x,
                      3 * count)  # fmt: skip
                count += 1
        encode(0, 1, x[: 3 * count], features, table, scales, resolutions, sizes, begins, hashed,
               smooth, dims, like, held)  # fmt: skip
        apply(0, (count + CHUNK - 1) // CHUNK, features[: width * count], v, matrices, widths,
              layers, scratch_width)  # fmt: skip
        asked, left = 0, 0
        for i in range(used):
            ray, light = slot[i], through[i]
            stop = min(at[i] + SHARE, offsets[ray + 1])
            for k in range(at[i], stop):
                if not light >= most:
                    length = ends[k] - starts[k]
                    thickness = np.float32(math.exp(v[asked * outputs])) * per_length * length
                    # What is no number stays, so that training notices it.
                    if not thickness < thin:
                        to = offsets[ray] + counts[ray]
                        kept_starts[to], kept_ends[to] = starts[k], ends[k]
                        counts[ray] += 1
                    light += thickness
                asked += 1
            if not light >= most and stop < offsets[ray + 1]:
                slot[left], at[left], through[left] = ray, stop, light
                left += 1
        used = left


@njit(cache=True, nogil=True)
def _pack(first, last, offsets, packed_offsets, kept_starts, kept_ends, starts, ends):
    rays = offsets.size - 1
    for ray in range(first * BLOCK, min(rays, last * BLOCK)):
        source, target = offsets[ray], packed_offsets[ray]
        for i in range(packed_offsets[ray + 1] - target):
            starts[target + i] = kept_starts[source + i]
            ends[target + i] = kept_ends[source + i]


def reach(
    origins: Tensor, directions: Tensor, intervals: Intervals, grid: GridDensity, limits: Limits
) -> tuple[Tensor, Tensor, Tensor]:
    """See `reach.reach`: (offsets, starts, ends)."""
    rays, domain, read = intervals.n_rays, grid.domain, grid.grid
    offsets = dispatch.flat(intervals.offsets)
    starts, ends = dispatch.flat(intervals.start), dispatch.flat(intervals.end)
    counts = np.zeros(rays, np.int64)
    kept_starts, kept_ends = np.empty_like(starts), np.empty_like(ends)
    if len(intervals):
        shape, matrices, _, layers = packed(grid.weights, grid.widths, grid.bias)
        # T > prune while the thickness so far is below this.
        most = -math.log(limits.prune) if limits.prune > 0 else math.inf
        parallel.run(
            _trace, rays, dispatch.flat(origins), dispatch.flat(directions), offsets, starts, ends,
            kept_starts, kept_ends, counts, domain.bounds[0].numpy(),
            (1 / (domain.bounds[1] - domain.bounds[0])).numpy(), domain.contracted,
            np.float32(most), np.float32(limits.thin), np.float32(1 / domain.length),
            dispatch.flat(read.table), *geometry(read.levels, read.features, read.smooth),
            matrices, shape, layers, widest(grid.widths),
        )  # fmt: skip
    kept = np.zeros(rays + 1, np.int64)
    np.cumsum(counts, out=kept[1:])
    start, end = dispatch.new(int(kept[-1])), dispatch.new(int(kept[-1]))
    parallel.run(
        _pack, -(-rays // BLOCK), offsets, kept, kept_starts, kept_ends, start.numpy(), end.numpy()
    )
    return torch.from_numpy(kept), start, end
