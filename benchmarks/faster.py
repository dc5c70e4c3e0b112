"""Every claim about the first minute, quality and speed, presets on a CPU, and several processes.

python benchmarks/faster.py DATA OUT [--before POLYFIELD] [--only WORD ...] [--list]

A row is kept in OUT/rows.json as it ends, and skipped when it is there. Budgets are steps; what is
timed takes turns in one process or in two. `--before` is the `polyfield` of an older version, for
rows that compare with it. All but `preset`, `quality` and `large` want a machine that does nothing
else. DATA holds nerf_synthetic/lego, nerf/fox and so on, which the rows of quality are about; all
others are about the built-in image and scene. Runs of `quality`, `speed view` and `large` are kept
in OUT/runs and not fitted again: without its line in rows.json a row is measured anew from them.
Another version of polyfield wants another OUT.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import kept_rows
import large_scene
import scene_quality
import scene_speed
import torch
from two_versions import OURS, Versions

from polyfield import environment
from polyfield.apps.tasks.image_presets import image_presets
from polyfield.fields.coordinate import Coordinate
from polyfield.fields.networks.mlp import Perceptron
from polyfield.fields.networks.rbf_net import GaussianKernels

FIRST, LATER = 3, 5
"""Pairs of first and of later runs."""
PIXELS, WHOLE = 3_000_000, 120
"""Pixels a preset is trained on; steps of one that draws the whole image each time."""
INPUTS, ROWS, TIMES = 32, 1 << 14, 7
"""Of the networks that are timed: features, rows of a batch, passes of which the fastest counts."""
STEPS = 1000
"""Of a fit in two processes and in one."""


class Evidence:
    """The rows, and where they are kept."""

    def __init__(self, data: Path, out: Path, before: str | None) -> None:
        self.data, self.out, self.before = data, out, before
        self.versions = Versions(out, before)
        out.mkdir(parents=True, exist_ok=True)

    def rows(self) -> Iterator[kept_rows.Row]:
        """Names of all rows, and what measures them."""
        if self.before is not None:
            yield "first run", partial(self.compiling, FIRST, True)
            yield "later run", partial(self.compiling, LATER, False)
        for name, preset in image_presets().items():
            network = getattr(preset.field, "network", None)
            if isinstance(preset.field, Coordinate) and network is not None:
                yield f"network {name}", partial(self.network, network)
        for name in image_presets():
            yield f"preset {name}", partial(self.preset, name)
        yield "two processes", self.processes
        yield from scene_speed.rows(self.versions)
        yield from scene_quality.rows(self.data, self.versions)
        yield from large_scene.rows(self.versions)

    def compiling(self, pairs: int, afresh: bool) -> dict[str, Any]:
        """Seconds of compiling in `fit scene demo`, in turns with the version before."""
        commands = {"ours": OURS, "before": str(self.before)}
        found: dict[str, list[float]] = {name: [] for name in commands}
        for turn in range(pairs + (not afresh)):
            for name in sorted(commands, reverse=turn % 2 == 1):
                cache = self.out / f"cache-{name}"
                if afresh or turn == 0:
                    shutil.rmtree(cache, ignore_errors=True)
                found[name].append(self._compiling(commands[name], cache))
        if not afresh:
            found = {name: seconds[1:] for name, seconds in found.items()}
        ratios = [a / b for a, b in zip(found["ours"], found["before"], strict=True)]
        return {**found, "ratio": statistics.median(ratios)}

    def _compiling(self, command: str, cache: Path) -> float:
        run = self.out / "runs" / "compiling"
        words = ["fit", "scene", "demo", "--steps", "1", "--quiet", "--overwrite"]
        env = {**os.environ, "NUMBA_CACHE_DIR": str(cache)}
        subprocess.run([command, *words, "--out", str(run)], check=True, env=env)
        return float(json.loads((run / "metrics.json").read_text())["seconds"]["compiling"])

    def network(self, config: Any) -> dict[str, Any]:
        """Time of a row, forward and backward, beside the perceptron's of its size; one thread."""
        hidden, layers = getattr(config, "hidden", None), getattr(config, "layers", None)
        if isinstance(config, GaussianKernels):
            hidden, layers = config.units, 1
        plain = Perceptron(hidden=hidden, layers=layers, bias=True)
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            ours, theirs = _fastest([_pass(config), _pass(plain)])
        finally:
            torch.set_num_threads(threads)
        micro = {"microseconds": ours / ROWS * 1e6, "perceptron": theirs / ROWS * 1e6}
        return {"size": [hidden, layers], **micro, "ratio": ours / theirs}

    def preset(self, name: str) -> dict[str, Any]:
        """PSNR of the built-in image at 192x128."""
        batch = image_presets()[name].objective.batch
        steps = WHOLE if batch == 0 else -(-PIXELS // batch)
        run = self.out / "runs" / f"preset-{name}"
        words = ["fit", "image", "demo", "--preset", name, "--downscale", "2", "--overwrite"]
        words += ["--quiet", "--steps", str(steps), "--out", str(run)]
        subprocess.run([OURS, *words], check=True)
        found = json.loads((run / "metrics.json").read_text())
        return {key: found[key] for key in ("psnr", "steps", "samples", "seconds_training")}

    def processes(self) -> dict[str, Any]:
        """Two processes of one thread against one, the same batch."""
        found = {}
        for count in (1, 2):
            run = self.out / "runs" / f"processes-{count}"
            launch = ["torch.distributed.run", "--standalone", "--nproc-per-node", str(count), "-m"]
            words = ["polyfield", "fit", "scene", "demo", "--steps", str(STEPS), "--quiet"]
            words += ["--out", str(run), "--overwrite", "--device", "cpu"]
            command = [sys.executable, "-m", *(launch if count > 1 else []), *words]
            command += ["--threads", "1"] if count == 1 else []
            subprocess.run(command, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
            metrics = json.loads((run / "metrics.json").read_text())
            found[str(count)] = {key: metrics[key] for key in ("psnr", "seconds_training")}
        one, two = found["1"], found["2"]
        speed = one["seconds_training"] / two["seconds_training"]
        return {**found, "speed": speed, "decibels": two["psnr"] - one["psnr"]}


def _pass(config: Any) -> Callable[[], None]:
    """A forward and a backward pass of a network."""
    torch.manual_seed(0)
    network = config.build(INPUTS, 3)
    x, along = torch.rand(ROWS, INPUTS) * 2 - 1, torch.randn(ROWS, 3)
    x.requires_grad_()

    def once() -> None:
        network.zero_grad()
        x.grad = None
        network(x).backward(along)

    return once


def _fastest(passes: Sequence[Callable[[], None]]) -> list[float]:
    """Seconds of each, the fastest of several that take turns."""
    found = [float("inf")] * len(passes)
    for _ in range(TIMES):
        for i, once in enumerate(passes):
            began = time.perf_counter()
            once()
            found[i] = min(found[i], time.perf_counter() - began)
    return found


def main() -> None:
    """The command line."""
    environment.prepare()
    ask = kept_rows.parser(__doc__)
    ask.add_argument("--before", help="the polyfield of an older version")
    given = ask.parse_args()
    evidence = Evidence(given.data.absolute(), given.out.absolute(), given.before)
    kept_rows.measure(evidence.rows(), given)


if __name__ == "__main__":
    main()
