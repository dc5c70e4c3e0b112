"""Fair timing: what is compared takes turns, and medians are what counts."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from statistics import median

import torch
from torch import Tensor

from polyfield.backends import dispatch


@dataclass(frozen=True)
class Row:
    """One measurement."""

    op: str
    backend: str
    size: str
    seconds: float
    per_second: float
    """Points, samples or pixels a second."""
    ratio_to_reference: float | None
    """How many times faster than the reference of the same op; None where there is none."""
    share_of_bound: float | None = None
    """The least time that memory allows, over this; None where it isn't known."""


def in_turns(runs: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """Median seconds of each, taken in turns after one warm-up."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for turn in range(repeats + 1):
        for name, run in runs.items():
            _settle()
            began = time.perf_counter()
            run()
            _settle()
            if turn:
                times[name].append(time.perf_counter() - began)
    return {name: median(found) for name, found in times.items()}


def _settle() -> None:
    """Let a GPU finish, if one is in use."""
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()


def alternate(runs: Mapping[str, Callable[[], object]], repeats: int) -> dict[str, float]:
    """The same of backends: "numba" and "triton" run with kernels, anything else without."""

    def forced(name: str, run: Callable[[], object]) -> Callable[[], object]:
        def measured() -> None:
            with dispatch.force("auto" if name in ("numba", "triton") else "reference"):
                run()

        return measured

    return in_turns({name: forced(name, run) for name, run in runs.items()}, repeats)


def timed(
    op: str, size: str, count: int, times: dict[str, float], bound: float | None = None
) -> Iterator[Row]:
    """A row for each backend; the one named "reference" is what ratios are to.

    Args:
        op: What was timed.
        size: Of what.
        count: Points, samples or pixels.
        times: Seconds of each backend.
        bound: Least seconds that this machine allows.
    """
    for name, seconds in times.items():
        share = None if bound is None else bound / seconds
        yield Row(op, name, size, seconds, count / seconds, times["reference"] / seconds, share)


def ray_points(n: int, dim: int) -> Tensor:
    """Points of [0,1]^d in runs of 64 along rays, as a renderer asks for them."""
    generator = torch.Generator().manual_seed(0)
    rays = n // 64
    origin = torch.rand(rays, 1, dim, generator=generator) * 0.4 + 0.3
    direction = torch.randn(rays, 1, dim, generator=generator)
    direction = direction / direction.norm(dim=-1, keepdim=True)
    t = torch.linspace(-0.4, 0.4, 64)[None, :, None]
    return (origin + t * direction).reshape(n, dim).clamp(0, 1)
