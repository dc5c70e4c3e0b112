"""`polyfield bench hash-grid`, `mlp` and `bank` on a GPU, beside torch.compile and tiny-cuda-nn."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from polyfield.apps.benchmarks.limits import Limits, Run, Sizes, forced, rows_of
from polyfield.apps.benchmarks.timing import Row
from polyfield.backends import optional
from polyfield.encodings.kernels import hash_grid
from polyfield.encodings.tcnn import TcnnHashGrid
from polyfield.fields.kernels import bank, mlp
from polyfield.fields.networks.octaves import octaves
from polyfield.fields.networks.tcnn import TcnnPerceptron


def compiled(run: Callable[..., Any], *inputs: object) -> Callable[..., Any] | None:
    """torch.compile of it; None, and a warning, where the compiler fails."""
    try:
        found = torch.compile(run, dynamic=False)
        found(*inputs)
    except Exception as error:
        warnings.warn(f"no row of torch.compile, which fails: {error!s:.200}", stacklevel=2)
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
    if device.type != "cuda" or optional.why_not(optional.TINYCUDANN):
        return None
    return TcnnHashGrid(levels=sizes.levels, log2_size=sizes.log2_table).build(3).to(device)


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
    if device.type != "cuda" or optional.why_not(optional.TINYCUDANN):
        return None
    return TcnnPerceptron(hidden=64, layers=2).build(32, 16).to(device)


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
