"""What a preset is: everything a human chooses about a run.

Presets are plain Python, so that type checkers see them: those of scenes are in scene_presets.py,
those of pictures in image_presets.py. `--config` and flags change a copy.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from polyfield.renderers.model import TaggedRadiance, TaggedSampler, TaggedSignal
from polyfield.renderers.occupancy import OccupancyGrid
from polyfield.training.loop import FitConfig
from polyfield.training.objectives.photometric import Photometric
from polyfield.training.objectives.regression import Regression


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
