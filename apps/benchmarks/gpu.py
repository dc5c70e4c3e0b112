"""`polyfield bench --device cuda`: the GPU kernels against plain torch and the memory's limits.

Each row's share is that of its bound, measured in the same run: bytes that random reads get through
the L2 cache for the hash grid's forward pass, random additions for its backward pass, copies for
what streams. torch.compile, grouped_mm, tiny-cuda-nn and nerfacc stand beside them where they run.
Inputs are random points, the hardest case for caches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch

from polyfield.apps.benchmarks import gpu_fields, gpu_rays
from polyfield.apps.benchmarks.limits import Limits, Sizes, limits
from polyfield.apps.benchmarks.timing import Row

Benchmark = Callable[[torch.device, Sizes, Limits], Iterator[Row]]


def memory(device: torch.device, sizes: Sizes, limit: Limits) -> Iterator[Row]:
    """What all shares are of."""
    yield from limit.rows


KERNELS: dict[str, Benchmark] = {
    "memory": memory,
    "hash-grid": gpu_fields.grid,
    "mlp": gpu_fields.small_mlp,
    "bank": gpu_fields.networks,
    "rays": gpu_rays.rays,
    "adam": gpu_rays.optimizer,
}


def rows(name: str, device: torch.device, sizes: Sizes | None = None) -> Iterator[Row]:
    """The rows of one benchmark; the limits are measured once."""
    sizes = sizes or Sizes()
    return KERNELS[name](device, sizes, limits(device, sizes))
