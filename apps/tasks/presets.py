"""What a preset chooses: the trees of a task. Plain Python, so that type checkers see it."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from polyfield.renderers.occupancy import OccupancyGrid
from polyfield.renderers.radiance_model import TaggedRadiance, TaggedSampler
from polyfield.renderers.signal_model import TaggedSignal
from polyfield.training.loop import FitConfig
from polyfield.training.objectives.photometric import Photometric
from polyfield.training.objectives.regression import Regression


@dataclass(frozen=True)
class ScenePreset:
    """A radiance field, where rays ask it, and how it learns."""

    field: TaggedRadiance
    sampler: TaggedSampler = dataclasses.field(default_factory=OccupancyGrid)
    objective: Photometric = dataclasses.field(default_factory=Photometric)
    fit: FitConfig = dataclasses.field(default_factory=FitConfig)


@dataclass(frozen=True)
class SignalPreset:
    """A field of a signal, and how it learns."""

    field: TaggedSignal
    objective: Regression = dataclasses.field(default_factory=Regression)
    fit: FitConfig = dataclasses.field(default_factory=FitConfig)
