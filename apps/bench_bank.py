"""`polyfield bench bank`: KiloNeRF's networks for Lego, against a loop over them in plain torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from polyfield.apps.bench import Row, _alternate, _rows
from polyfield.fields.kernels.bank import bank, group, layers, size
from polyfield.fields.octaves import octaves

NETWORKS = 9 * 16 * 10
"""Of KiloNeRF's Lego."""
TRUNK, COLOR = [63, 32, 32, 33], [59, 32, 3]


def _loop(
    x: Tensor, directions: Tensor, trunk: Tensor, color: Tensor, offsets: Tensor
) -> tuple[Tensor, Tensor]:
    """Density and colour, network after network.

    Everything that can be done for all rows at once is done so; networks without rows are skipped.
    """
    position, view = octaves(x, 10), octaves(directions, 4)
    ends = offsets.tolist()
    networks = zip(trunk.unbind(), color.unbind(), ends, ends[1:], strict=False)
    density, rgb = [], []
    for own, tail, begin, end in networks:
        if begin == end:
            continue
        first, second, head = layers(own, TRUNK)
        mix, last = layers(tail, COLOR)
        h = torch.addmm(first[1], position[begin:end], first[0]).relu_()
        h = torch.addmm(second[1], h, second[0]).relu_()
        h = torch.addmm(head[1], h, head[0])
        density.append(h[:, 32])
        h = torch.cat([h[:, :32], view[begin:end]], -1)
        h = torch.addmm(mix[1], h, mix[0]).relu_()
        rgb.append(torch.addmm(last[1], h, last[0]))
    return torch.cat(density), torch.cat(rgb)


def _fast(
    x: Tensor, directions: Tensor, trunk: Tensor, color: Tensor, offsets: Tensor
) -> tuple[Tensor, Tensor]:
    y = bank(x, None, trunk, offsets, TRUNK, 10)
    return y[:, 32], bank(directions, y, color, offsets, COLOR, 4)


def rows() -> Iterator[Row]:
    """Forward, and forward with backward; points come sorted by network on both sides."""
    generator = torch.Generator().manual_seed(0)
    trunk = (torch.randn(NETWORKS, size(TRUNK), generator=generator) / 6).requires_grad_()
    color = (torch.randn(NETWORKS, size(COLOR), generator=generator) / 6).requires_grad_()
    for n in (1 << 14, 1 << 18):
        network = torch.randint(NETWORKS, (n,), generator=generator)
        offsets = group(network, NETWORKS, True)[1]
        x = torch.rand(n, 3, generator=generator) * 2 - 1
        directions = torch.nn.functional.normalize(torch.randn(n, 3, generator=generator), dim=-1)
        inputs = (x, directions, trunk, color, offsets)
        cotangents = (
            torch.randn(n, generator=generator),
            torch.randn(n, 3, generator=generator),
        )

        def forward(run: Callable[..., object], given: tuple[Tensor, ...] = inputs) -> object:
            with torch.no_grad():
                return run(*given)

        def both(
            run: Callable[..., tuple[Tensor, Tensor]],
            given: tuple[Tensor, ...] = inputs,
            grads: tuple[Tensor, ...] = cotangents,
        ) -> object:
            return torch.autograd.grad(run(*given), [trunk, color], grads)

        size_ = f"{NETWORKS} networks, {n} points"
        for op, run in (("bank forward", forward), ("bank forward+backward", both)):
            times = _alternate(
                {"reference": lambda r=run: r(_loop), "numba": lambda r=run: r(_fast)},  # type: ignore[misc]
                5,
            )
            yield from _rows(op, size_, n, times)
