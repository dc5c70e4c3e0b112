"""The one vector of parameters of a tiny-cuda-nn model -> those of its networks and its grid.

Layout: networks in the order the program made them, then the grid. A layer is [outputs, inputs]
row-major, without bias; the outputs of a network are padded to a multiple of 16, or of 8 where its
layers are CUTLASS's, and the rows beyond its own are of no use. The grid is as in
encodings/tcnn.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from polyfield.encodings.growth_grid import GrowthGrid
from polyfield.errors import InputError
from polyfield.fields.kernels import mlp as kernel

PADDINGS = (16, 8)
"""What outputs of networks are padded to. UNCERTAIN for CUTLASS's: both are tried."""
NEAR = 3
"""Last bits by which the factor between levels may differ from what we compute."""


@dataclass(frozen=True)
class Split:
    """The parts of a vector."""

    networks: Sequence[Float[Tensor, "_w"]]
    """Flat weights as `MLP` has them, padding left out."""
    grid: GrowthGrid
    """With the factor that fits the number of parameters."""
    table: Float[Tensor, "_t"]


def split(
    params: Float[Tensor, "p"], widths: Sequence[list[int]], grid: GrowthGrid, dim: int
) -> Split:
    """Take a vector apart.

    Args:
        params: float32.
        widths: of each network, in order: inputs, hidden ..., outputs.
        grid: behind the networks, with its factor as nearly as it is known.
        dim: its coordinates.

    Raises:
        InputError: no such networks and grid have so many parameters.
    """
    counts = []
    for padding in PADDINGS:
        padded = [[*w[:-1], -(-w[-1] // padding) * padding] for w in widths]
        begin = sum(kernel.size(w, False) for w in padded)
        for growth in near(grid.growth):
            fitting = replace(grid, growth=growth)
            entries = fitting.geometry(dim).entries * grid.features
            counts.append(begin + entries)
            if begin + entries == len(params):
                return Split(_networks(params, widths, padded), fitting, params[begin:].clone())
    raise InputError(
        f"{counts[0]} parameters, as its configuration says",
        str(len(params)),
        "only the default configurations of networks and grids are read",
    )


def near(growth: float) -> list[float]:
    """A factor and those some last bits around it, the nearest first."""
    found, low, high = [np.float32(growth)], np.float32(growth), np.float32(growth)
    for _ in range(NEAR):
        low, high = np.nextafter(low, np.float32(0)), np.nextafter(high, np.float32(np.inf))
        found += [low, high]
    return [float(f) for f in found if f >= 1]


def _networks(
    params: Float[Tensor, "p"], widths: Sequence[list[int]], padded: Sequence[list[int]]
) -> list[Float[Tensor, "_w"]]:
    found, at = [], 0
    for own, stored in zip(widths, padded, strict=True):
        count = kernel.size(stored, False)
        # The last layer's rows come last: those of padding are the end.
        kept = kernel.size(own, False)
        found.append(params[at : at + kept].clone())
        at += count
    return found


def vector(content: bytes, kind: str, where: str) -> Float[Tensor, "p"]:
    """Numbers of a binary, as float32.

    Args:
        content: little-endian.
        kind: "__half" or "float", as CUDA calls them.
        where: for messages.

    Raises:
        InputError: another kind, a length that is none, or numbers that are not finite.
    """
    kinds = {"__half": "<f2", "float": "<f4"}
    if kind not in kinds:
        raise InputError(
            f"numbers of {' or '.join(kinds)} for {where}", repr(kind)[:40], "save it again"
        )
    dtype = np.dtype(kinds[kind])
    if len(content) % dtype.itemsize:
        raise InputError(f"whole numbers for {where}", f"{len(content)} bytes", "save it again")
    values = np.frombuffer(content, dtype).astype(np.float32)
    if not np.isfinite(values).all():
        raise InputError(f"finite numbers for {where}", "others", "save a snapshot that trained")
    return torch.from_numpy(values)
