"""Named starting points: which architecture, and the numbers that go with it.

A preset is plain Python, so that type checkers see it. `--config` and flags change a copy.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from polyfield.encodings.hash_grid import HashGrid
from polyfield.fields.coordinate import Coordinate
from polyfield.fields.fit import FitConfig
from polyfield.fields.radiance import Radiance
from polyfield.renderers.model import TaggedRadiance, TaggedSampler, TaggedSignal
from polyfield.renderers.objectives import Photometric, Regression
from polyfield.renderers.occupancy import OccupancyGrid


@dataclass(frozen=True)
class SceneRun:
    """Everything a human chooses about training a scene."""

    field: TaggedRadiance
    """The radiance field."""
    sampler: TaggedSampler = dataclasses.field(default_factory=OccupancyGrid)
    """Where along a ray the field is asked."""
    objective: Photometric = dataclasses.field(default_factory=Photometric)
    """What is minimised."""
    fit: FitConfig = dataclasses.field(default_factory=FitConfig)
    """Budget, rates and schedule."""


@dataclass(frozen=True)
class ImageRun:
    """Everything a human chooses about training a picture."""

    field: TaggedSignal
    """The field."""
    objective: Regression = dataclasses.field(default_factory=Regression)
    """What is minimised."""
    fit: FitConfig = dataclasses.field(default_factory=FitConfig)
    """Budget, rates and schedule."""


def _hash_scene() -> SceneRun:
    """Instant-ngp's network with a smaller grid, larger steps and small batches: a CPU's caches.

    Its own numbers are L8 F4 T2^19, 1024 steps on the diagonal, 128^3 cells and 2^18 samples.
    """
    grid = HashGrid(levels=8, features=4, log2_size=15, base_resolution=16, finest_resolution=512)
    return SceneRun(
        Radiance(position=grid),
        OccupancyGrid(resolution=64, steps=256, sweep=32, points=8192),
        Photometric(samples=16384, loss="mse"),
        FitConfig(rates={"table": 2e-2, "network": 2e-2}),
    )


def _hash_image() -> ImageRun:
    """Instant-ngp's picture network with a table that fits a CPU's caches."""
    grid = HashGrid(levels=16, features=2, log2_size=16, base_resolution=16, finest_resolution=512)
    return ImageRun(Coordinate(grid), Regression(batch=16384))


def scene_presets() -> dict[str, SceneRun]:
    """Presets of `fit scene`."""
    return {"hash": _hash_scene()}


def image_presets() -> dict[str, ImageRun]:
    """Presets of `fit image`."""
    return {"hash": _hash_image()}
