"""Spatially adaptive progressive encoding (Hertz et al. 2021): frequencies come where needed.

Symbols: the c channels of an inner encoding, lowest frequency first, are cut into R blocks. A grid
of r^d cells counts in each cell the blocks revealed there. Block b of the features at x is
multiplied by the multilinear interpolation of a box blur of (count >= b), k^d cells wide; the
coordinates p = 2x - 1 come first and are always on.

Block b is revealed at progress b / (2R), so the last at half of the training: in the cells whose
mean error since the last reveal, blurred, exceeds eps. A cell that is left out once stays out.

The released code is followed, but that errors of samples in one cell are added up (it keeps one of
them), that corners are floor and floor + 1 (its `ceil(u + 1e-6)` is two cells on just below a
node), that all blocks beyond the coordinates are equal however many there are, and that progress
is a share of the budget. Its soft ramp is switched off and begins before a reveal; ours after it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import product
from typing import Annotated

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional

from polyfield.encodings.base import Encoding
from polyfield.encodings.plain import PlainEncodingConfig
from polyfield.encodings.random_fourier import RandomFourier
from polyfield.errors import InputError
from polyfield.ranges import Range, check

POOL = (functional.avg_pool1d, functional.avg_pool2d, functional.avg_pool3d)


@dataclass(frozen=True)
class Sape:
    """Another encoding, whose features are let in by and by and only where the error is large."""

    inner: PlainEncodingConfig = field(
        default_factory=lambda: RandomFourier(sigma=20.0, law="sorted")
    )
    """The encoding; its channels go from low to high frequencies."""
    blocks: Annotated[int, Range(1, 4096)] = 32
    """R, reveals; at most a sixteenth of the steps. Published: 256 for 5000 steps."""
    resolution: Annotated[int, Range(3, 1024, also=0)] = 0
    """r, cells an axis; 0 takes the published 128, in three dimensions 64."""
    eps: Annotated[float, Range(0, math.inf)] = 1e-3
    """Mean square error below which a cell gets no more frequencies."""
    ramp: bool = False
    """Let a block rise linearly in half of the time to the next reveal, instead of at once."""

    def build(self, in_dim: int) -> SapeEncoding:
        """The module for d = in_dim in 1, 2, 3."""
        check(self)
        if in_dim not in (1, 2, 3):
            raise InputError("1, 2 or 3 coordinates for Sape", str(in_dim), "use another encoding")
        inner = self.inner.build(in_dim)
        if not inner.ordered:
            raise InputError(
                "an inner encoding whose channels go from low to high frequencies",
                type(self.inner).__name__,
                "take Frequency, a grid of levels, or RandomFourier with law: sorted",
            )
        resolution = self.resolution or (64 if in_dim == 3 else 128)
        return SapeEncoding(inner, min(self.blocks, inner.out_dim), resolution, self.eps, self.ramp)


class SapeEncoding(Encoding):
    """Channels: p, then those of the inner encoding, masked."""

    takes_errors = True
    # The mask carries no gradient in x.
    exact_gradient = "parameters"
    count: Int[Tensor, "cells"]
    revealed: Int[Tensor, ""]
    loss: Float[Tensor, "cells"]
    weight: Float[Tensor, "cells"]
    progress: Float[Tensor, ""]
    mask: Float[Tensor, "cells blocks"]
    block: Int[Tensor, "c"]

    def __init__(
        self, inner: Encoding, blocks: int, resolution: int, eps: float, ramp: bool
    ) -> None:
        super().__init__()
        self.inner, self.blocks, self.resolution = inner, blocks, resolution
        self.eps, self.ramp = eps, ramp
        self.in_dim, self.out_dim = inner.in_dim, inner.in_dim + inner.out_dim
        self.takes_points = inner.takes_points
        cells = resolution**self.in_dim
        self.blur = 5 if cells > 100 else 3
        # In a cell still in progress, count is `revealed`: it has all blocks there are.
        self.register_buffer("count", torch.zeros(cells, dtype=torch.int16))
        self.register_buffer("revealed", torch.tensor(0))
        self.register_buffer("loss", torch.zeros(cells))
        self.register_buffer("weight", torch.zeros(cells))
        self.register_buffer("progress", torch.tensor(0.0))
        # The blurred mask by block, not by channel; 0 where not revealed, so that it follows from
        # the counts.
        self.register_buffer("mask", torch.zeros(cells, blocks), persistent=False)
        block = (torch.arange(inner.out_dim) // (inner.out_dim // blocks)).clamp(max=blocks - 1)
        self.register_buffer("block", block, persistent=False)
        # A plain copy of `revealed`: looking at that at each step, the host would wait for a GPU.
        self._done = 0

    def tables(self) -> list[nn.Parameter]:
        """Those of the inner encoding."""
        return self.inner.tables()

    def forward(self, x: Float[Tensor, "*n d"]) -> Float[Tensor, "*n c"]:
        """Features of x in [0,1]^d."""
        flat = x.reshape(-1, self.in_dim)
        with torch.no_grad():
            mask = self._mask_at(flat)
        features = self.inner(flat) * mask.index_select(1, self.block)
        return torch.cat([flat * 2 - 1, features], -1).view(*x.shape[:-1], self.out_dim)

    def _mask_at(self, x: Float[Tensor, "n d"]) -> Float[Tensor, "n blocks"]:
        """The mask of each block at points."""
        cells, weights = self._corners(x)
        mask = functional.embedding_bag(cells, self.mask, per_sample_weights=weights, mode="sum")
        if self.ramp:
            # The newest block is number `revealed`; time is counted in reveals.
            rise = (self.progress * (2 * self.blocks) - self.revealed) * 2
            newest = torch.arange(1, self.blocks + 1, device=x.device) == self.revealed
            mask = torch.where(newest, mask * rise.clamp(0, 1), mask)
        return mask

    def _corners(
        self, x: Float[Tensor, "n d"]
    ) -> tuple[Int[Tensor, "n corners"], Float[Tensor, "n corners"]]:
        """Cells around points, and their shares; the last axis is the fastest.

        x = 0 lies in the middle between the first two cells.
        """
        place = x.clamp(0, 1) * max(self.resolution - 2, 1) + 0.5
        low = place.floor()
        part = place - low
        low = low.long()
        cells, weights = [], []
        for corner in product((0, 1), repeat=self.in_dim):
            cell, weight = torch.zeros_like(low[:, 0]), torch.ones_like(part[:, 0])
            for axis, up in enumerate(corner):
                cell = cell * self.resolution + low[:, axis] + up
                weight = weight * (part[:, axis] if up else 1 - part[:, axis])
            cells.append(cell)
            weights.append(weight)
        return torch.stack(cells, 1), torch.stack(weights, 1).to(self.mask.dtype)

    @torch.no_grad()
    def update_error(self, x: Float[Tensor, "n d"], error: Float[Tensor, "n"]) -> None:
        """Add the errors to the cells around the samples."""
        self.inner.update_error(x, error)
        if self._done == self.blocks:
            return
        cells, weights = self._corners(x)
        self.loss.index_add_(0, cells.flatten(), (weights * error[:, None]).flatten())
        self.weight.index_add_(0, cells.flatten(), weights.flatten())

    @torch.no_grad()
    def set_progress(self, t: float) -> None:
        """Reveal the blocks that are due."""
        self.inner.set_progress(t)
        self.progress.fill_(t)
        done, due = self._done, min(int(t * 2 * self.blocks), self.blocks)
        if due <= done:
            return
        growing = self.count == done
        if bool((self.weight > 0).any()):
            growing &= self._error() > self.eps
        self.count[growing] = due
        self.revealed.fill_(due)
        self._done = due
        self.mask[:, done:due] = self._blurred(growing.to(self.mask.dtype))[:, None]
        self.loss.zero_()
        self.weight.zero_()

    def _error(self) -> Float[Tensor, "cells"]:
        """Blurred mean error; cells without a sample first take the mean of their neighbours.

        As in the released code, neighbours without a sample count as 0 there.
        """
        mean = self.loss / torch.where(self.weight > 0, self.weight, 1)
        around = self.blur**self.in_dim
        neighbours = self._blurred(mean) * (around / (around - 1))
        return self._blurred(torch.where(self.weight > 0, mean, neighbours))

    def _blurred(self, values: Float[Tensor, "cells"]) -> Float[Tensor, "cells"]:
        """Means over k^d cells; the border is repeated outwards."""
        grid = values.view(1, *[self.resolution] * self.in_dim)
        grid = functional.pad(grid, [self.blur // 2] * (2 * self.in_dim), mode="replicate")
        for axis in range(self.in_dim):
            kernel = [1] * self.in_dim
            kernel[axis] = self.blur
            grid = POOL[self.in_dim - 1](grid, kernel, stride=1)
        return grid.reshape(-1)

    def init_from_points(self, x: Float[Tensor, "n d"], weight: Float[Tensor, "n"]) -> None:
        """Hand on to the inner encoding."""
        self.inner.init_from_points(x, weight)

    def shown(self) -> Float[Tensor, "cells"]:
        """Share of the features that each cell lets in."""
        return self.mask.index_select(1, self.block).mean(1)

    def _load_from_state_dict(self, *args, **kwargs) -> None:  # type: ignore[no-untyped-def]
        super()._load_from_state_dict(*args, **kwargs)
        self.mask.zero_()
        self._done = int(self.revealed)
        for b in range(self._done):
            self.mask[:, b] = self._blurred((self.count > b).to(self.mask.dtype))
