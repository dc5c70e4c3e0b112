"""Packed samples along rays: the one layout of samples in this package.

Symbols: r rays, n samples; the samples of ray i are offsets[i] ... offsets[i + 1] - 1, front to
    back.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from jaxtyping import Float, Int64
from torch import Tensor

from polyfield.renderers.kernels.composite import ray_index


@dataclass(frozen=True)
class Intervals:
    """Samples as intervals of t."""

    offsets: Int64[Tensor, "r1"]
    """[r + 1], from 0 to n, non-decreasing."""
    start: Float[Tensor, "n"]
    """t where the interval begins, world units."""
    end: Float[Tensor, "n"]
    """t where it ends."""
    marched: Int64[Tensor, "r"] | None = None
    """Samples each ray had before those without light were left out; None if none were."""

    def __len__(self) -> int:
        return len(self.start)

    @property
    def n_rays(self) -> int:
        """Number of rays, r."""
        return len(self.offsets) - 1

    @cached_property
    def ray(self) -> Int64[Tensor, "n"]:
        """The ray of each sample, sorted."""
        return ray_index(self.offsets, len(self))

    @property
    def length(self) -> Float[Tensor, "n"]:
        """World length of each interval."""
        return self.end - self.start

    @property
    def middle(self) -> Float[Tensor, "n"]:
        """Where the field is asked."""
        return (self.start + self.end) / 2

    def keep(self, mask: Tensor) -> Intervals:
        """The samples where the boolean mask [n] is true."""
        before = mask.new_zeros(len(self) + 1, dtype=self.offsets.dtype)
        before[1:] = mask.cumsum(0)
        index = mask.nonzero()[:, 0]
        start, end = (t.index_select(0, index) for t in (self.start, self.end))
        return Intervals(before[self.offsets], start, end)
