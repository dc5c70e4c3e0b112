"""`polyfield bench bank`: KiloNeRF's networks for Lego, against a loop over them in plain torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from polyfield.apps.benchmarks.timing import Row, alternate, timed
from polyfield.fields.kernels.bank import bank, group, layers, size
from polyfield.fields.networks.octaves import octaves

NETWORKS = 9 * 16 * 10
"""Of KiloNeRF's Lego."""
TRUNK, COLOR = [63, 32, 32, 33], [59, 32, 3]
CALLS = 5
"""Calls of the kernel in a row: one is over in milliseconds."""


def _loop(
    x: Tensor, directions: Tensor, networks: list[list[Tensor]], offsets: Tensor
) -> tuple[Tensor, Tensor]:
    """Density and colour, network after network.

    Matrices are at hand, and what can be done for all rows at once is; networks without rows are
    skipped.
    """
    position, view = octaves(x, 10), octaves(directions, 4)
    ends = offsets.tolist()
    density, rgb = [], []
    for network, begin, end in zip(networks, ends, ends[1:], strict=False):
        if begin == end:
            continue
        w0, b0, w1, b1, w2, b2, w3, b3, w4, b4 = network
        h = torch.addmm(b0, position[begin:end], w0).relu_()
        h = torch.addmm(b2, torch.addmm(b1, h, w1).relu_(), w2)
        density.append(h[:, 32])
        h = torch.cat([h[:, :32], view[begin:end]], -1)
        rgb.append(torch.addmm(b4, torch.addmm(b3, h, w3).relu_(), w4))
    return torch.cat(density), torch.cat(rgb)


def _kernel(
    x: Tensor, directions: Tensor, parameters: list[Tensor], offsets: Tensor
) -> tuple[Tensor, Tensor]:
    """The same with two calls of the op."""
    y = bank(x, None, parameters[0], offsets, TRUNK, 10)
    return y[:, 32], bank(directions, y, parameters[1], offsets, COLOR, 4)


def _measure(n: int, generator: torch.Generator) -> Iterator[Row]:
    """Forward, and forward with the gradient of all parameters, for n points sorted by network."""
    stacked = [torch.randn(NETWORKS, size(w), generator=generator) / 6 for w in (TRUNK, COLOR)]
    split = [
        [tensor.clone().requires_grad_() for pair in own for tensor in pair]
        for own in (
            layers(trunk, TRUNK) + layers(color, COLOR)
            for trunk, color in zip(*stacked, strict=True)
        )
    ]
    leaves = [tensor for own in split for tensor in own]
    for tensor in stacked:
        tensor.requires_grad_()
    offsets = group(torch.randint(NETWORKS, (n,), generator=generator), NETWORKS, True)[1]
    x = torch.rand(n, 3, generator=generator) * 2 - 1
    directions = torch.nn.functional.normalize(torch.randn(n, 3, generator=generator), dim=-1)
    cotangents = [torch.randn(n, generator=generator), torch.randn(n, 3, generator=generator)]

    def loop() -> tuple[Tensor, Tensor]:
        return _loop(x, directions, split, offsets)

    def kernel() -> tuple[Tensor, Tensor]:
        return _kernel(x, directions, stacked, offsets)

    def forward(run: Callable[[], object], calls: int) -> Callable[[], object]:
        def measured() -> None:
            with torch.no_grad():
                for _ in range(calls):
                    run()

        return measured

    def both(
        run: Callable[[], tuple[Tensor, Tensor]], parameters: list[Tensor], calls: int
    ) -> Callable[[], object]:
        def measured() -> None:
            for _ in range(calls):
                torch.autograd.grad(run(), parameters, cotangents, allow_unused=True)

        return measured

    label = f"{NETWORKS} networks, {n} points"
    for op, runs in (
        ("bank forward", {"reference": forward(loop, 1), "numba": forward(kernel, CALLS)}),
        (
            "bank forward+backward",
            {"reference": both(loop, leaves, 1), "numba": both(kernel, stacked, CALLS)},
        ),
    ):
        times = alternate(runs, 5)
        times["numba"] /= CALLS
        yield from timed(op, label, n, times)


def rows() -> Iterator[Row]:
    """A batch of training, and a batch of rendering."""
    generator = torch.Generator().manual_seed(0)
    for n in (1 << 14, 1 << 18):
        yield from _measure(n, generator)
