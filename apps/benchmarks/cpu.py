"""`polyfield bench` on a CPU: kernels and an image's step against plain torch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from polyfield.apps.benchmarks.cpu_limits import limits
from polyfield.apps.benchmarks.timing import Row, alternate, ray_points, timed
from polyfield.backends import dispatch
from polyfield.encodings.domain import Box
from polyfield.encodings.hash_grid import HashGrid
from polyfield.fields.coordinate import Coordinate
from polyfield.fields.kernels import mlp
from polyfield.fields.networks.linear import Linear
from polyfield.scenes import open_image
from polyfield.scenes.base import ReadOptions
from polyfield.training.loop import Fit, FitConfig
from polyfield.training.objectives.regression import Regression

POINTS = 1 << 18
"""Rows of the kernel benchmarks."""
BATCH = 1 << 14
"""Points of an image step."""


def hash_grid() -> Iterator[Row]:
    """The 3-D grid of instant-ngp, and a 1-D one for sound."""
    size = f"3-D L16 F2 T2^19, {POINTS} points on rays"
    yield from _grid("hash-grid", HashGrid(), ray_points(POINTS, 3), size)
    x = torch.rand(BATCH, 1, generator=torch.Generator().manual_seed(0)).sort(0).values
    size = f"1-D L16 F2 T2^13 up to 2^18, {BATCH} sorted points"
    yield from _grid("line", HashGrid(log2_size=13, finest_resolution=1 << 18), x, size)


def _grid(op: str, config: HashGrid, x: Tensor, size: str) -> Iterator[Row]:
    """A grid forward, and backward into its table."""
    torch.manual_seed(0)
    encoding = config.build(x.shape[1])
    cotangent = torch.randn(len(x), encoding.out_dim)

    def forward() -> None:
        with torch.no_grad():
            encoding(x)

    runs: dict[str, Callable[[], object]] = {"reference": forward, "numba": forward}
    levels, features = encoding.levels, config.features
    # A line has two corners, space has eight.
    points = len(x) * 2 ** x.shape[1] // 8
    least = limits().grid(levels.sizes, features, points, adds=False)
    yield from timed(f"{op} forward", size, len(x), alternate(runs, 5), least)
    graphs = {}
    for name, backend in (("reference", "reference"), ("numba", "auto")):
        with dispatch.force(backend):
            graphs[name] = encoding(x)

    def backward(name: str) -> Callable[[], object]:
        return lambda: torch.autograd.grad(
            graphs[name], encoding.table, cotangent, retain_graph=True
        )

    runs = {name: backward(name) for name in graphs}
    least = limits().grid(levels.sizes, features, points, adds=True)
    yield from timed(f"{op} backward", size, len(x), alternate(runs, 5), least)


def small_mlp() -> Iterator[Row]:
    """A colour network: forward, and forward with backward."""
    torch.manual_seed(0)
    widths = [32, 64, 64, 3]
    x = torch.randn(POINTS, 32, requires_grad=True)
    weights = (torch.randn(mlp.size(widths, False)) * 0.1).requires_grad_()
    cotangent = torch.randn(POINTS, 3)

    def forward() -> None:
        with torch.no_grad():
            mlp.mlp(x, weights, widths)

    def both() -> None:
        torch.autograd.grad(mlp.mlp(x, weights, widths), [x, weights], cotangent)

    size = f"32-64-64-3, {POINTS} rows"
    for op, run in (("mlp forward", forward), ("mlp forward+backward", both)):
        least = limits().network(widths, POINTS, run is both)
        yield from timed(op, size, POINTS, alternate({"reference": run, "numba": run}, 9), least)


def wide_linear() -> Iterator[Row]:
    """A layer of 256 units, forward and backward; the reference is torch's own layer."""
    torch.manual_seed(0)
    layer, n = Linear(256, 256), 1 << 15
    x = torch.randn(n, 256, requires_grad=True)
    cotangent = torch.randn(n, 256)

    def run() -> None:
        torch.autograd.grad(layer(x), [x, *layer.parameters()], cotangent)

    runs = {"reference": run, "numba": run}
    size, least = f"256-256, {n} rows", limits().network([256, 256], n, True)
    yield from timed("linear forward+backward", size, n, alternate(runs, 9), least)


def image_step() -> Iterator[Row]:
    """One training step of an image; the reference is plain torch with torch's Adam."""
    picture = open_image("demo", ReadOptions())
    grid = HashGrid(levels=16, features=2, log2_size=15, finest_resolution=picture.width // 2)

    def field() -> Any:
        torch.manual_seed(0)
        return Coordinate(grid).build(Box(picture.bounds), picture.channels)

    ours = field()
    objective = Regression(BATCH).build(picture, ours, 0)
    fit = Fit(ours, objective, FitConfig(steps=10**9))
    theirs = field()
    plain = Regression(BATCH).build(picture, theirs, 0)
    adam = torch.optim.Adam(theirs.parameters(), 1e-2, betas=(0.9, 0.99), eps=1e-15)

    def reference() -> None:
        adam.zero_grad()
        plain(0, 0.0)[0].backward()
        adam.step()

    def fast() -> None:
        # A step is over in milliseconds: time ten, so that the clock's own noise is small.
        for _ in range(10):
            fit.step()

    times = alternate({"reference": reference, "numba": fast}, 9)
    times["numba"] /= 10
    size = f"2-D L16 F2 T2^15, 64x2, {BATCH} points"
    sizes = ours.encoding.levels.sizes
    least = sum(limits().grid(sizes, 2, BATCH // 2, adds) for adds in (False, True))
    least += limits().network([32, 64, 64, 3], BATCH, True)
    yield from timed("image-step", size, BATCH, times, least)


def bank() -> Iterator[Row]:
    """KiloNeRF's networks."""
    from polyfield.apps.benchmarks import bank

    return bank.rows()


def lookups() -> Iterator[Row]:
    """Planes, lines and voxels against grid_sample."""
    from polyfield.apps.benchmarks import grids

    yield from grids.lookups(POINTS)


def memory() -> Iterator[Row]:
    """What all shares are of."""
    yield from limits().rows


KERNELS: dict[str, Callable[[], Iterator[Row]]] = {
    "memory": memory,
    "hash-grid": hash_grid,
    "mlp": small_mlp,
    "linear": wide_linear,
    "bank": bank,
    "lookups": lookups,
    "image-step": image_step,
}
