"""`polyfield bench`: time the kernels and whole steps against plain torch, in one process.

Each row is the median of several runs after a warm-up; kernel and reference take turns, so that a
machine whose speed drifts slows both. No test asserts a time: these rows are the place for it.
"""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import torch
import tyro

from polyfield import devices
from polyfield.apps import config_cli
from polyfield.apps.benchmarks import cpu, scenes
from polyfield.apps.benchmarks import gpu as gpu_rows
from polyfield.apps.benchmarks.timing import Row
from polyfield.backends import gpu
from polyfield.config import nearest
from polyfield.errors import InputError
from polyfield.files import write_json
from polyfield.machine import use_threads, versions

ON_REQUEST = "scene-30db"
"""Not run unless named: on a CPU it takes minutes."""


@dataclass(frozen=True)
class Flags:
    """Time kernels and steps, fast against plain torch, in one process."""

    names: Annotated[tuple[str, ...], tyro.conf.Positional, tyro.conf.arg(metavar="NAME")] = ()
    """Benchmarks by name; all but scene-30db if none given.

    On a CPU: memory, hash-grid, mlp, linear, bank, lookups, image-step. On a GPU: memory,
    hash-grid, mlp, bank, rays, adam. On both: scene-step, render, scene-30db.
    """
    json: Annotated[Path | None, tyro.conf.arg(metavar="FILE")] = None
    """Also write the rows there."""
    data: str = "demo"
    """Scene of scene-step, render and scene-30db."""
    threads: int | None = None
    """CPU threads; default as PyTorch chooses, one per core."""
    device: str = "auto"
    """auto, cpu or cuda[:N]."""
    overwrite: bool = False
    """Write FILE even if it is there."""
    quiet: bool = False
    """Print nothing."""


def runs(data: str, device: torch.device) -> Mapping[str, Callable[[], Iterator[Row]]]:
    """The benchmarks there are, by name."""
    scenes_rows = {
        "scene-step": lambda: scenes.scene_step(data, device),
        "render": lambda: scenes.render(data, device),
        "scene-30db": lambda: scenes.scene_30db(data, device),
    }
    if device.type == "cpu":
        return {**cpu.KERNELS, **scenes_rows}
    kernels = {name: lambda n=name: gpu_rows.rows(n, device) for name in gpu_rows.KERNELS}
    return {**kernels, **scenes_rows}


def bench(names: Sequence[str] = (), data: str = "demo", device: str = "auto") -> Iterator[Row]:
    """Run benchmarks by name; rows come as they are measured.

    Args:
        names: All but scene-30db if there are none.
        data: Scene of those that need one.
        device: auto, cpu or cuda[:N].

    Raises:
        InputError: no benchmark of that name, no such device.
    """
    found = runs(data, devices.resolve(device))
    for name in names:
        if name not in found:
            raise InputError(
                f"one of {', '.join(found)}", repr(name), nearest(name, tuple(found), "pick one")
            )
    for name in names or [name for name in found if name != ON_REQUEST]:
        yield from found[name]()


def _line(row: Row) -> str:
    ratio = "" if row.ratio_to_reference is None else f"{row.ratio_to_reference:.1f}x"
    share = "" if row.share_of_bound is None else f"{row.share_of_bound:.0%}"
    return (
        f"{row.op:<28}{row.backend:<11}{row.seconds * 1e3:>10.2f}"
        f"{row.per_second / 1e6:>10.2f}{ratio:>8}{share:>7}  {row.size}"
    )


def main(arguments: Sequence[str]) -> None:
    """The command line."""
    given = config_cli.parse(Flags, arguments, "bench")
    if given.json is not None and given.json.exists() and not given.overwrite:
        raise InputError(
            f"no file at {given.json}", "one", "give --overwrite, or another name to --json"
        )
    threads, device = use_threads(given.threads), devices.resolve(given.device)
    found = []
    for row in bench(given.names, given.data, str(device)):
        found.append(row)
        if not given.quiet:
            if len(found) == 1:
                print(
                    f"{'op':<28}{'backend':<11}{'ms':>10}{'M/s':>10}{'ratio':>8}{'bound':>7}  size"
                )
            print(_line(row), flush=True)
    if given.json is not None:
        processor = f"{platform.processor() or platform.machine()}, CPU"
        name = processor if device.type == "cpu" else gpu.describe(device.index or 0)
        heads = {"device": name, "threads": threads, "versions": versions()}
        write_json(given.json, {**heads, "rows": [asdict(row) for row in found]})
