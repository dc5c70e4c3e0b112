"""`polyfield bench --device cuda`: the GPU kernels against plain torch and the memory's limits.

Each row's share is that of its bound, measured in the same run: bytes that random reads get through
the L2 cache for the hash grid's forward pass, random additions for its backward pass, copies for
what streams. torch.compile, tiny-cuda-nn and grouped_mm stand beside them where they run. Inputs
are random points, the hardest case for caches.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from polyfield.apps.timing import Row, in_turns
from polyfield.encodings.domain import Box
from polyfield.encodings.kernels import backends, hash_grid
from polyfield.fields.kernels import adam, bank, mlp
from polyfield.renderers.kernels import composite, march

Run = Callable[[], object]


@dataclass(frozen=True)
class Sizes:
    """How large the benchmarks are; tests make them small."""

    points: int = 1 << 20
    log2_table: int = 19
    levels: int = 16
    networks: tuple[int, ...] = (1000, 4000)
    rays: int = 1 << 13
    repeats: int = 9


@dataclass(frozen=True)
class Limits:
    """What this GPU's memory does."""

    read: float
    """Bytes a second of random sectors through L2."""
    added: float
    """Random additions of two values a second."""
    copied: float
    """Bytes a second, read and written, of a copy."""


def limits(device: torch.device, sizes: Sizes) -> tuple[Limits, list[Row]]:
    """Measure them, on tables as large as the hash grid's."""
    from polyfield.encodings.kernels import limits_triton

    entries = sizes.levels << sizes.log2_table
    half = torch.zeros(entries, device=device)
    whole = torch.zeros(2 * entries, device=device)
    out = torch.empty(max(limits_triton.BLOCK, sizes.points), device=device)
    there = torch.empty_like(whole)
    times = in_turns(
        {
            "read": lambda: limits_triton.gather(half, out),
            "added": lambda: limits_triton.add(whole, len(out)),
            "copied": lambda: there.copy_(whole),
        },
        sizes.repeats,
    )
    each = len(out) * limits_triton.ROUNDS
    found = Limits(
        each * limits_triton.SECTOR / times["read"],
        each / times["added"],
        8 * whole.numel() / times["copied"],
    )
    size = f"in {entries * 4 / 1e6:.0f} MB"
    return found, [
        Row("L2 random read", "triton", f"bytes, {size}", times["read"], found.read, None),
        Row("L2 random add", "triton", f"pairs, {size}", times["added"], found.added, None),
        Row("copy", "torch", "bytes", times["copied"], found.copied, None),
    ]  # fmt: skip


def forced(backend: str, run: Run) -> Run:
    """Run with that backend."""

    def measured() -> object:
        with backends.force(backend):
            return run()

    return measured


def rows_of(
    op: str, size: str, count: int, runs: Mapping[str, Run], sizes: Sizes, bound: float | None
) -> Iterator[Row]:
    """Time them in turns; `bound` is the least seconds that memory allows the kernel."""
    times = in_turns(runs, sizes.repeats)
    for name, seconds in times.items():
        row = Row(op, name, size, seconds, count / seconds, times["reference"] / seconds)
        share = bound / seconds if bound is not None and name == "triton" else None
        yield replace(row, share_of_bound=share)


def compiled(run: Callable[..., Any], *inputs: object) -> Callable[..., Any] | None:
    """torch.compile of it; None where the compiler fails."""
    try:
        found = torch.compile(run, dynamic=False)
        found(*inputs)
    except Exception:
        return None
    return found


def grid(device: torch.device, sizes: Sizes, limit: Limits) -> Iterator[Row]:
    """The hash grid of instant-ngp in three dimensions."""
    levels = hash_grid.Levels.make(3, sizes.levels, 16, 128 ** (1 / 15), sizes.log2_table)
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(sizes.points, 3, generator=generator).to(device)
    table = (torch.rand(levels.entries * 2, generator=generator) * 2e-4 - 1e-4).to(device)
    table.requires_grad_()
    cotangent = torch.randn(sizes.points, 2 * sizes.levels, generator=generator).to(device)
    size = f"3-D L{sizes.levels} F2 T2^{sizes.log2_table}, {sizes.points} random points"

    def ours() -> Tensor:
        return hash_grid.hash_grid(x, table, levels, 2)

    def no_grad(run: Run) -> Run:
        return torch.no_grad()(run)

    plain = compiled(lambda: hash_grid.reference(x, table, levels, 2)) if x.is_cuda else None
    forward = {
        "reference": forced("reference", no_grad(ours)),
        "triton": forced("triton", no_grad(ours)),
    }
    both: dict[str, Run] = {}
    for name in ("reference", "triton"):
        graph = forced(name, ours)()
        both[name] = forced(name, _backward(graph, table, cotangent))
    if plain is not None:
        forward["compile"] = no_grad(plain)
        both["compile"] = _backward(plain(), table, cotangent)
    theirs = _tcnn_grid(sizes, device)
    if theirs is not None:
        forward["tcnn"] = no_grad(lambda: theirs(x))
        graph = theirs(x)
        both["tcnn"] = _backward(graph, next(theirs.parameters()), cotangent.to(graph.dtype))
    # Corners along x share a sector of eight fp16 pairs seven times in eight.
    sectors = 4 * sizes.levels * 9 / 8
    bound = sizes.points * sectors * 32 / limit.read
    yield from rows_of("hash-grid forward", size, sizes.points, forward, sizes, bound)
    bound = sizes.points * 8 * sizes.levels / limit.added
    yield from rows_of("hash-grid backward", size, sizes.points, both, sizes, bound)


def _backward(output: Any, leaf: Tensor, cotangent: Tensor) -> Run:
    return lambda: torch.autograd.grad(output, leaf, cotangent, retain_graph=True)


def _tcnn_grid(sizes: Sizes, device: torch.device) -> Any | None:
    """Tiny-cuda-nn's grid, where it is installed."""
    from polyfield.encodings.errors import InputError
    from polyfield.encodings.tcnn import TcnnHashGrid

    try:
        return TcnnHashGrid(levels=sizes.levels, log2_size=sizes.log2_table).build(3).to(device)
    except InputError:
        return None


def small_mlp(device: torch.device, sizes: Sizes, limit: Limits) -> Iterator[Row]:
    """Two hidden layers of 64: forward with backward. torch's own runs in fp16."""
    widths = [32, 64, 64, 16]
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(sizes.points, 32, generator=generator).to(device).requires_grad_()
    w = (torch.randn(mlp.size(widths, False), generator=generator) / 8).to(device).requires_grad_()
    cotangent = torch.randn(sizes.points, 16, generator=generator).to(device)
    halves = [t.detach().half().requires_grad_() for t in (x, w)]

    def ours() -> Run:
        return lambda: torch.autograd.grad(mlp.mlp(x, w, widths), [x, w], cotangent)

    def chain(x: Tensor, w: Tensor) -> Tensor:
        *hidden, (last, _) = mlp.layers(w, widths, False)
        for matrix, _ in hidden:
            x = functional.relu(functional.linear(x, matrix))
        return functional.linear(x, last)

    def theirs(run: Callable[..., Tensor]) -> Run:
        return lambda: torch.autograd.grad(run(*halves), halves, cotangent.half())

    runs = {
        "reference": theirs(chain),
        "triton": forced("triton", ours()),
        "fp32": forced("reference", ours()),
    }
    if x.is_cuda and (plain := compiled(chain, *halves)) is not None:
        runs["compile"] = theirs(plain)
    if (network := _tcnn_network(device)) is not None:
        parameters = [x, *network.parameters()]
        runs["tcnn"] = lambda: torch.autograd.grad(network(x), parameters, cotangent)
    moved = sizes.points * 4 * (32 + 16 + 32 + 16 + 32)
    size = f"32-64-64-16, {sizes.points} rows; reference in fp16"
    yield from rows_of(
        "mlp forward+backward", size, sizes.points, runs, sizes, moved / limit.copied
    )


def _tcnn_network(device: torch.device) -> Any | None:
    """Tiny-cuda-nn's fully fused network, where it is installed."""
    from polyfield.encodings.errors import InputError
    from polyfield.fields.tcnn import TcnnPerceptron

    try:
        return TcnnPerceptron(hidden=64, layers=2).build(32, 16).to(device)
    except InputError:
        return None


def networks(device: torch.device, sizes: Sizes, limit: Limits) -> Iterator[Row]:
    """KiloNeRF's first three layers for thousands of networks, against a loop and grouped_mm."""
    widths = [63, 32, 32, 33]
    for count in sizes.networks:
        generator = torch.Generator().manual_seed(0)
        number = torch.randint(count, (sizes.points,), generator=generator).to(device)
        offsets = bank.group(number, count, False)[1]
        x = (torch.rand(sizes.points, 3, generator=generator) * 2 - 1).to(device)
        w = torch.randn(count, bank.size(widths), generator=generator).to(device) / 6
        runs: dict[str, Run] = {}
        for name in ("reference", "triton"):
            run = torch.no_grad()(lambda: bank.bank(x, None, w, offsets, widths, 10))  # noqa: B023
            runs[name] = forced(name, run)
        if count <= 1000 and x.is_cuda:
            runs["grouped_mm"] = _grouped(x, w, offsets, widths)
        size = f"{count} networks 63-32-32-33, {sizes.points} points"
        moved = 4 * (sizes.points * (3 + 33) + w.numel())
        yield from rows_of("bank forward", size, sizes.points, runs, sizes, moved / limit.copied)


def _grouped(x: Tensor, w: Tensor, offsets: Tensor, widths: list[int]) -> Run:
    """The same in fp16 by torch's grouped products, padded to what they take."""
    from polyfield.fields.octaves import octaves

    ends = offsets[1:].to(torch.int32)
    stack = [
        (functional.pad(m, (0, -m.shape[2] % 8, 0, -m.shape[1] % 8)).half(),
         functional.pad(b, (0, -b.shape[1] % 8)).half())
        for m, b in bank.layers(w, widths)
    ]  # fmt: skip
    network = torch.repeat_interleave(torch.arange(len(w), device=x.device), offsets.diff())

    def run() -> Tensor:
        h = functional.pad(octaves(x, 10), (0, 1)).half()
        for at, (matrix, offset) in enumerate(stack):
            h = functional.grouped_mm(h, matrix, offs=ends) + offset[network]
            h = functional.relu(h) if at < len(stack) - 1 else h
        return h

    return torch.no_grad()(run)


def rays(device: torch.device, sizes: Sizes, limit: Limits) -> Iterator[Row]:
    """Marching through a ball of occupied cells, and blending what was found."""
    generator = torch.Generator().manual_seed(0)
    n, r = sizes.rays, 128
    axis = (torch.arange(r) + 0.5) / r - 0.5
    x, y, z = torch.meshgrid(axis, axis, axis, indexing="ij")
    occupied = ((x * x + y * y + z * z).sqrt() - 0.35).abs() < 0.02
    cells = (occupied.to(device), march.coarsen(occupied).to(device))
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
    runs = {name: forced(name, marched) for name in ("reference", "triton")}
    yield from rows_of("march", f"{n} rays, {count} samples", count, runs, sizes, None)
    values = torch.rand(count, 4, generator=generator).to(device).requires_grad_()
    density = (torch.rand(count, generator=generator) * 20).to(device).requires_grad_()
    length = ends - starts
    cotangents = [torch.ones(n, 4, device=device), torch.ones(n, device=device)]

    def blended() -> object:
        outputs = composite.composite(values, density, length, offsets)
        return torch.autograd.grad(outputs, [values, density], cotangents)

    runs = {name: forced(name, blended) for name in ("reference", "triton")}
    moved = count * 4 * (6 + 6 + 5)
    size = f"{n} rays, {count} samples, 4 channels"
    yield from rows_of("composite forward+backward", size, count, runs, sizes, moved / limit.copied)


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


KERNELS = {
    "hash-grid": grid,
    "mlp": small_mlp,
    "bank": networks,
    "rays": rays,
    "adam": optimizer,
}


def rows(
    device: torch.device, names: Sequence[str] = tuple(KERNELS), sizes: Sizes | None = None
) -> Iterator[Row]:
    """What memory does here, then the kernels of these names."""
    sizes = sizes or Sizes()
    found, measured = limits(device, sizes)
    yield from measured
    for name in names:
        yield from KERNELS[name](device, sizes, found)
