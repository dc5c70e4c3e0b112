"""World points to the unit cube inside numba kernels: `Domain.forward`, a point at a time."""

from __future__ import annotations

import numpy as np

from polyfield.backends.jit import njit


@njit(inline="always")
def place(x, y, z, low, inverse_size, contracted, out, at):
    """Write the unit-cube coordinates of a world point to out[at : at + 3].

    Args:
        x: world, as y and z.
        y: see x.
        z: see x.
        low: the box's low corner.
        inverse_size: one over the lengths of its edges.
        contracted: whether space outside the box is mapped too (`Contraction`), else it is clamped.
        out: flat array.
        at: where in it.
    """
    zero, one, two = np.float32(0), np.float32(1), np.float32(2)
    ux, uy, uz = (
        (x - low[0]) * inverse_size[0],
        (y - low[1]) * inverse_size[1],
        (z - low[2]) * inverse_size[2],
    )
    if contracted:
        ux, uy, uz = ux * two - one, uy * two - one, uz * two - one
        norm = max(abs(ux), abs(uy), abs(uz), one)
        bend = (two - one / norm) / norm * np.float32(0.25)
        half = np.float32(0.5)
        ux, uy, uz = ux * bend + half, uy * bend + half, uz * bend + half
    else:
        ux = min(max(ux, zero), one)
        uy = min(max(uy, zero), one)
        uz = min(max(uz, zero), one)
    out[at], out[at + 1], out[at + 2] = ux, uy, uz
