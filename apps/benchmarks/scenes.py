"""`polyfield bench scene-step`, `render` and `scene-30db`: the whole program on a scene.

On a CPU the `hash` preset; on a GPU instant-ngp's own numbers, which fill it: L16 F2 T2^19, 1024
steps on the diagonal, 128^3 cells, 2^18 samples a step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from statistics import median
from typing import Any

import torch

from polyfield.apps.benchmarks.cpu_limits import limits
from polyfield.apps.benchmarks.timing import Row, alternate
from polyfield.apps.tasks.scene import Scene
from polyfield.apps.tasks.scene_scores import measure_scene
from polyfield.encodings.hash_grid import HashGrid
from polyfield.fields.radiance import Radiance
from polyfield.renderers.occupancy import OccupancyGrid
from polyfield.renderers.radiance_model import RadianceModel, SceneInfo
from polyfield.scenes import open_capture
from polyfield.scenes.base import ReadOptions
from polyfield.training.loop import Fit, FitConfig, nothing
from polyfield.training.objectives.photometric import Behind, Photometric
from polyfield.training.watchers.console import Reporter

TRAINING = 15.0
"""Seconds a scene trains before its steps and images are timed."""
BUDGETS = (1.0, 2.0, 3.0, 5.0, 10.0, 20.0, 60.0, 120.0)
"""Seconds tried one after the other until a fit reaches GOAL."""
GOAL = 30.0
"""PSNR of the test views, dB."""


def _numbers(device: torch.device) -> Scene:
    preset = Scene.presets()["hash"]
    if device.type == "cpu":
        return preset
    return replace(
        preset,
        field=Radiance(position=HashGrid()),
        sampler=OccupancyGrid(),
        objective=Photometric(samples=1 << 18, loss="mse", max_rays=1 << 18),
        fit=replace(preset.fit, rates={"table": 1e-2, "network": 1e-2}),
    )


def _fast(device: torch.device) -> str:
    return "numba" if device.type == "cpu" else "triton"


def _fitted(
    data: str, device: torch.device, seconds: float, whole: bool
) -> tuple[RadianceModel, Fit, Any]:
    """A scene after so many seconds: the beginning of a fit, or a whole one with its schedule.

    The beginning leaves the sampler as it is in the middle of training.
    """
    torch.manual_seed(0)
    capture = open_capture(data, ReadOptions())
    numbers = _numbers(device)
    info = SceneInfo(
        capture.bounds, capture.unbounded, capture.color_space, (1.0, 1.0, 1.0), capture.frame
    )
    model = RadianceModel(numbers.field, numbers.sampler, info).to(device)
    scene = capture.scene("train").to(device)
    objective = numbers.objective.build(scene, model, Behind(None), 0)
    config, finish = FitConfig(seconds=seconds, rates=numbers.fit.rates), nothing
    if whole:
        config, finish = replace(numbers.fit, seconds=seconds, steps=None), _settling(model)
    fit = Fit(model.field, objective, config, finish=finish)
    fit.warm_up()
    fit.run()
    return model, fit, capture


def _settling(model: RadianceModel) -> Callable[[], None]:
    """What a fit of a scene ends with."""
    return lambda: model.renderer.sampler.settle(model.field.density)


def scene_step(data: str, device: torch.device) -> Iterator[Row]:
    """Training steps of a scene that has found its surfaces: the whole loop."""
    fast = _fast(device)
    _, fit, _ = _fitted(data, device, TRAINING, False)
    seconds, samples = fit.progress.seconds, fit.progress.samples
    size = f"{data}, first {TRAINING:.0f} s"
    yield Row("scene-training", fast, size, seconds, samples / seconds, None)
    counts: dict[str, list[float]] = {"reference": [], fast: []}

    def step(name: str) -> Callable[[], object]:
        def run() -> None:
            fit.step()
            counts[name].append(fit.progress.numbers["samples"])

        return run

    times = alternate({name: step(name) for name in counts}, 5)
    rates = {name: median(counts[name]) / times[name] for name in counts}
    for name, rate in rates.items():
        ratio, taken = rate / rates["reference"], median(counts[name])
        share = _least(int(taken)) / times[name] if device.type == "cpu" else None
        size = f"{data}, {taken:.0f} samples"
        yield Row("scene-step", name, size, times[name], rate, ratio, share)


def _least(samples: int) -> float:
    """Least seconds that a CPU's memory and products allow for a step of the `hash` preset.

    What a step can't do without: reads of the grid's corners, additions to them, and the products
    of both networks and of their gradients.
    """
    field = Scene.presets()["hash"].field
    assert isinstance(field, Radiance)
    grid = field.position
    assert isinstance(grid, HashGrid)
    entries, features = grid.geometry(3).sizes, grid.features
    least = 0.0
    for adds in (False, True):
        least += limits().grid(entries, features, samples, adds)
    harmonics = 16
    for widths in (
        [grid.levels * features, *[field.hidden] * field.density_layers, field.feature],
        [field.feature + harmonics, *[field.hidden] * field.color_layers, 3],
    ):
        least += limits().network(widths, samples, backward=True)
    return least


def render(data: str, device: torch.device) -> Iterator[Row]:
    """A view of a trained scene at two sizes."""
    fast = _fast(device)
    model, _, capture = _fitted(data, device, TRAINING, False)
    _settling(model)()
    camera = capture.cameras(capture.splits[-1])[0]
    for edge in (200, 800):
        small = camera.resized(edge, edge * camera.height // camera.width)
        times = alternate({fast: lambda c=small: model.render(c)}, 5)  # type: ignore[misc]
        pixels = small.width * small.height
        seconds = times[fast]
        size = f"{data}, {small.width}x{small.height}"
        yield Row("render", fast, size, seconds, pixels / seconds, None)


def scene_30db(data: str, device: torch.device) -> Iterator[Row]:
    """Whole fits of growing length, until one reaches GOAL on the test views."""
    for seconds in BUDGETS:
        model, fit, capture = _fitted(data, device, seconds, True)
        measured = measure_scene(model, capture, "test", Reporter(quiet=True))
        psnr = float(measured.metrics["psnr"])
        size = f"{data}, {psnr:.2f} dB"
        yield Row("scene-30db", _fast(device), size, seconds, fit.progress.samples / seconds, None)
        if psnr >= GOAL:
            return
