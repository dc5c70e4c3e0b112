"""`polyfield bench`: time the kernels and whole steps against plain torch, in one process.

Each row is the median of several runs after a warm-up; kernel and reference take turns, so that a
machine whose speed drifts slows both. No test asserts a time: these rows are the place for it.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Annotated, Any

import torch
import tyro

from polyfield.apps import flags
from polyfield.apps.machine import use_threads, versions
from polyfield.apps.scene_presets import scene_presets
from polyfield.apps.timing import Row, alternate, ray_points, timed
from polyfield.encodings.domain import Box
from polyfield.encodings.errors import InputError
from polyfield.encodings.files import write_json
from polyfield.encodings.hash_grid import HashGrid
from polyfield.encodings.kernels import backends
from polyfield.fields.coordinate import Coordinate
from polyfield.fields.fit import Fit, FitConfig
from polyfield.fields.kernels import mlp
from polyfield.fields.linear import Linear
from polyfield.fields.serialize import nearest
from polyfield.renderers.model import RadianceModel, World
from polyfield.renderers.objectives import Regression
from polyfield.scenes import open_capture, open_picture
from polyfield.scenes.base import ReadOptions

POINTS = 1 << 18
"""Rows of the kernel benchmarks."""
BATCH = 1 << 14
"""Points of an image step."""
TRAINING = 15.0
"""Seconds a scene trains before its steps and pictures are timed."""


def hash_grid() -> Iterator[Row]:
    """The 3-D grid of instant-ngp: forward, and backward into the table."""
    torch.manual_seed(0)
    encoding = HashGrid().build(3)
    x = ray_points(POINTS, 3)
    cotangent = torch.randn(POINTS, encoding.out_dim)
    size = f"3-D L16 F2 T2^19, {POINTS} points on rays"

    def forward() -> None:
        with torch.no_grad():
            encoding(x)

    yield from timed(
        "hash-grid forward",
        size,
        POINTS,
        alternate({"reference": forward, "numba": forward}, 5),
    )
    graphs = {}
    for name, backend in (("reference", "reference"), ("numba", "auto")):
        with backends.force(backend):
            graphs[name] = encoding(x)

    def backward(name: str) -> Callable[[], object]:
        return lambda: torch.autograd.grad(
            graphs[name], encoding.table, cotangent, retain_graph=True
        )

    runs = {name: backward(name) for name in graphs}
    yield from timed("hash-grid backward", size, POINTS, alternate(runs, 5))


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
        yield from timed(op, size, POINTS, alternate({"reference": run, "numba": run}, 9))


def wide_linear() -> Iterator[Row]:
    """A layer of 256 units, forward and backward; the reference is torch's own layer."""
    torch.manual_seed(0)
    layer, n = Linear(256, 256), 1 << 15
    x = torch.randn(n, 256, requires_grad=True)
    cotangent = torch.randn(n, 256)

    def run() -> None:
        torch.autograd.grad(layer(x), [x, *layer.parameters()], cotangent)

    runs = {"reference": run, "numba": run}
    yield from timed("linear forward+backward", f"256-256, {n} rows", n, alternate(runs, 9))


def image_step() -> Iterator[Row]:
    """One training step of a picture; the reference is plain torch with torch's Adam."""
    picture = open_picture("demo", ReadOptions())
    grid = HashGrid(levels=16, features=2, log2_size=15, finest_resolution=picture.width // 2)

    def field() -> Any:
        torch.manual_seed(0)
        return Coordinate(grid).build(Box(picture.bounds), picture.channels)

    ours = field()
    objective = Regression(BATCH).build(picture, ours, 0)
    fit = Fit(ours, objective, FitConfig(steps=1 << 30))
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
    yield from timed("image-step", f"2-D L16 F2 T2^15, 64x2, {BATCH} points", BATCH, times)


def _trained(data: str) -> tuple[RadianceModel, Fit, Any]:
    """A scene after TRAINING seconds."""
    torch.manual_seed(0)
    capture = open_capture(data, ReadOptions())
    preset = scene_presets()["hash"]
    world = World(capture.bounds, capture.unbounded, capture.color_space, (1.0, 1.0, 1.0))
    model = RadianceModel(preset.field, preset.sampler, world)
    objective = preset.objective.build(capture.scene("train"), model.field, model.renderer, None, 0)
    fit = Fit(model.field, objective, FitConfig(seconds=TRAINING, rates=preset.fit.rates))
    fit.warm_up()
    fit.run()
    return model, fit, capture


def scene_step(data: str) -> Iterator[Row]:
    """Training steps of a scene that has found its surfaces: the whole loop."""
    _, fit, _ = _trained(data)
    seconds, samples = fit.progress.seconds, fit.progress.samples
    size = f"{data}, first {TRAINING:.0f} s"
    yield Row("scene-training", "numba", size, seconds, samples / seconds, None)
    counts: dict[str, list[float]] = {"reference": [], "numba": []}

    def step(name: str) -> Callable[[], object]:
        def run() -> None:
            fit.step()
            counts[name].append(fit.progress.numbers["samples"])

        return run

    times = alternate({name: step(name) for name in counts}, 5)
    rates = {name: median(counts[name]) / times[name] for name in counts}
    for name, rate in rates.items():
        ratio = rate / rates["reference"]
        size = f"{data}, {median(counts[name]):.0f} samples"
        yield Row("scene-step", name, size, times[name], rate, ratio)


def render(data: str) -> Iterator[Row]:
    """A view of a trained scene at two sizes."""
    model, _, capture = _trained(data)
    camera = capture.cameras(capture.splits[-1])[0]
    for edge in (200, 800):
        small = camera.resized(edge, edge * camera.height // camera.width)
        times = alternate({"numba": lambda c=small: model.render(c)}, 5)  # type: ignore[misc]
        pixels = small.width * small.height
        seconds = times["numba"]
        size = f"{data}, {small.width}x{small.height}"
        yield Row("render", "numba", size, seconds, pixels / seconds, None)


def bank() -> Iterator[Row]:
    """KiloNeRF's networks."""
    from polyfield.apps import bench_bank

    return bench_bank.rows()


def lookups() -> Iterator[Row]:
    """Planes, lines and voxels against grid_sample."""
    from polyfield.apps import bench_grids

    yield from bench_grids.lookups()


KERNELS: dict[str, Callable[[], Iterator[Row]]] = {
    "hash-grid": hash_grid,
    "mlp": small_mlp,
    "linear": wide_linear,
    "bank": bank,
    "lookups": lookups,
    "image-step": image_step,
}
SCENES: dict[str, Callable[[str], Iterator[Row]]] = {"scene-step": scene_step, "render": render}
NAMES = (*KERNELS, *SCENES)


@dataclass(frozen=True)
class Flags:
    """Time kernels and steps, fast against plain torch, in one process."""

    names: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="NAME")] = ()
    """hash-grid, mlp, linear, bank, lookups, image-step, scene-step, render; all if none given."""
    json: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """Also write the rows there."""
    data: str = "demo"
    """Scene of scene-step and render."""
    threads: int | None = None
    """CPU threads; default as PyTorch chooses, one per core."""
    overwrite: bool = False
    """Write FILE even if it is there."""
    quiet: bool = False
    """Print nothing."""


def bench(names: Sequence[str] = NAMES, data: str = "demo") -> Iterator[Row]:
    """Run benchmarks by name; rows come as they are measured.

    Raises:
        InputError: no benchmark of that name.
    """
    for name in names:
        if name not in NAMES:
            raise InputError(
                f"one of {', '.join(NAMES)}", repr(name), nearest(name, NAMES, "pick one of these")
            )
    for name in names:
        yield from KERNELS[name]() if name in KERNELS else SCENES[name](data)


def main(arguments: Sequence[str]) -> None:
    """The command line."""
    given = flags.parse(Flags, arguments, "bench")
    if given.json is not None and given.json.exists() and not given.overwrite:
        raise InputError(
            f"no file at {given.json}", "one", "give --overwrite, or another name to --json"
        )
    threads = use_threads(given.threads)
    found = []
    head = f"{'op':<22}{'backend':<11}{'ms':>10}{'M/s':>9}{'ratio':>8}  size"
    for row in bench(given.names or NAMES, given.data):
        found.append(row)
        if not given.quiet:
            if len(found) == 1:
                print(head)
            ratio = "" if row.ratio_to_reference is None else f"{row.ratio_to_reference:.1f}x"
            print(
                f"{row.op:<22}{row.backend:<11}{row.seconds * 1e3:>10.2f}"
                f"{row.per_second / 1e6:>9.2f}{ratio:>8}  {row.size}",
                flush=True,
            )
    if given.json is not None:
        write_json(
            given.json,
            {
                "device": f"{platform.processor() or platform.machine()}, CPU",
                "threads": threads,
                "versions": versions(),
                "rows": [asdict(row) for row in found],
            },
        )
