"""`polyfield bench rays` and `adam` on a GPU, beside nerfacc."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from polyfield.apps.benchmarks.limits import Limits, Run, Sizes, forced, rows_of
from polyfield.apps.benchmarks.timing import Row
from polyfield.backends import optional
from polyfield.encodings.domain import Box
from polyfield.renderers import nerfacc
from polyfield.renderers.intervals import Intervals
from polyfield.renderers.kernels import composite, march
from polyfield.scenes.rays import Rays
from polyfield.training.kernels import adam


def rays(device: torch.device, sizes: Sizes, limit: Limits) -> Iterator[Row]:
    """Marching through a ball of occupied cells, and blending what was found."""
    generator = torch.Generator().manual_seed(0)
    n, r = sizes.rays, 128
    axis = (torch.arange(r) + 0.5) / r - 0.5
    x, y, z = torch.meshgrid(axis, axis, axis, indexing="ij")
    occupied = ((x * x + y * y + z * z).sqrt() - 0.35).abs() < 0.02
    cells = (occupied.to(device), march.clearance(occupied).to(device))
    domain = Box(torch.tensor([[0.0, 0, 0], [1, 1, 1]])).to(device)
    origins = functional.normalize(torch.randn(n, 3, generator=generator), dim=1) * 2 + 0.5
    target = torch.rand(n, 3, generator=generator) * 0.6 + 0.2
    o, d = origins.to(device), functional.normalize(target - origins, dim=1).to(device)
    near, far = torch.zeros(n, device=device), torch.full((n,), 10.0, device=device)
    jitter = torch.rand(n, generator=generator).to(device)
    bounds, lattice = march.entry(o, d, near, far, domain), march.Lattice(3**0.5 / 1024)

    def marched() -> tuple[Tensor, Tensor, Tensor]:
        return march.march(o, d, bounds, jitter, cells, domain, lattice)

    offsets, starts, ends = marched()
    count = len(starts)
    runs: dict[str, Run] = {name: forced(name, marched) for name in ("reference", "triton")}
    theirs = _nerfacc_grid(domain, occupied)
    if theirs is not None:
        eyes = Rays(o, d, near, far, torch.zeros(n, dtype=torch.int64, device=device))
        runs["nerfacc"] = torch.no_grad()(lambda: theirs(eyes, lambda x: x[:, 0]))
    yield from rows_of("march", f"{n} rays, {count} samples", count, runs, sizes, None)
    values = torch.rand(count, 4, generator=generator).to(device).requires_grad_()
    density = (torch.rand(count, generator=generator) * 20).to(device).requires_grad_()
    length = ends - starts
    cotangents = [torch.ones(n, 4, device=device), torch.ones(n, device=device)]

    def blended() -> object:
        outputs = composite.composite(values, density, length, offsets)
        return torch.autograd.grad(outputs, [values, density], cotangents)

    runs = {name: forced(name, blended) for name in ("reference", "triton")}
    if theirs is not None:
        found = Intervals(offsets, starts, ends)

        def by_nerfacc() -> object:
            pixels = nerfacc.composite(values[:, :3], density, found)
            return torch.autograd.grad(
                [pixels.color, pixels.opacity], [values, density],
                [cotangents[0][:, :3], cotangents[1]],
            )  # fmt: skip

        runs["nerfacc"] = by_nerfacc
    moved = count * 4 * (6 + 6 + 5)
    size = f"{n} rays, {count} samples, 4 channels"
    yield from rows_of("composite forward+backward", size, count, runs, sizes, moved / limit.copied)


def _nerfacc_grid(domain: Box, occupied: Tensor) -> Any | None:
    """The sampler of nerfacc with these cells, where it is installed."""
    if domain.bounds.device.type == "cpu" or optional.why_not(optional.NERFACC):
        return None
    sampler = nerfacc.NerfaccGrid(resolution=len(occupied)).build(domain).to(domain.bounds.device)
    sampler.estimator.binaries.copy_(occupied[None])
    return sampler


def optimizer(device: torch.device, sizes: Sizes, limit: Limits) -> Iterator[Row]:
    """A step of Adam over a table, a tenth of which was touched, and all of it."""
    n = 2 * (sizes.levels << sizes.log2_table)
    for share in (0.1, 1.0):
        generator = torch.Generator().manual_seed(0)
        grad = torch.randn(n, generator=generator)
        grad = torch.where(torch.rand(n, generator=generator) < share, grad, 0.0).to(device)
        state = [torch.zeros(n, device=device) for _ in range(3)]
        steps = torch.zeros(n, dtype=torch.int32, device=device)

        def step(grad: Tensor = grad, state: list[Tensor] = state, steps: Tensor = steps) -> None:
            adam.adam(state[0], grad, state[1], state[2], steps, adam.AdamNumbers(1e-2), True)

        runs = {name: forced(name, step) for name in ("reference", "triton")}
        moved = n * (4 + 32 * share)
        size = f"{n} values, {share:.0%} touched"
        yield from rows_of("adam", size, n, runs, sizes, moved / limit.copied)
