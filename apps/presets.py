"""Named starting points: which architecture, and the numbers that go with it.

A preset is plain Python, so that type checkers see it. `--config` and flags change a copy.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Annotated

from polyfield.fields import RadianceFieldConfig, SignalFieldConfig
from polyfield.fields.coordinate import Coordinate
from polyfield.fields.fit import FitConfig
from polyfield.fields.radiance import Radiance
from polyfield.fields.serialize import TAGGED
from polyfield.renderers.objectives import Photometric, Regression
from polyfield.renderers.occupancy import OccupancyGrid
from polyfield.renderers.samplers import Uniform

SamplerConfig = OccupancyGrid | Uniform
"""Every sampler."""


@dataclass(frozen=True)
class SceneRun:
    """Everything a human chooses about training a scene."""

    field: Annotated[RadianceFieldConfig, TAGGED]
    """The radiance field."""
    sampler: Annotated[SamplerConfig, TAGGED] = dataclasses.field(default_factory=OccupancyGrid)
    """Where along a ray the field is asked."""
    objective: Photometric = dataclasses.field(default_factory=Photometric)
    """What is minimised."""
    fit: FitConfig = dataclasses.field(default_factory=FitConfig)
    """Budget, rates and schedule."""


@dataclass(frozen=True)
class ImageRun:
    """Everything a human chooses about training a picture."""

    field: Annotated[SignalFieldConfig, TAGGED]
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
