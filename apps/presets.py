"""What a preset is: everything a human chooses about a run.

Presets are plain Python, so that type checkers see them: those of scenes are in scene_presets.py,
those of pictures in image_presets.py. `--config` and flags change a copy.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from polyfield.fields.fit import FitConfig
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
