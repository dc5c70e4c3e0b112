"""Named starting points: which architecture, and the numbers that go with it.

A preset is plain Python, so that type checkers see it. `--config` and flags change a copy.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

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


def scene_presets() -> dict[str, SceneRun]:
    """Presets of `fit scene`."""
    return {"hash": SceneRun(Radiance())}


def image_presets() -> dict[str, ImageRun]:
    """Presets of `fit image`."""
    return {"hash": ImageRun(Coordinate())}
