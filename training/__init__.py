"""Training: the one loop, its objectives, what watches it, the folder of a run, distillation."""

from polyfield.training.distillation.methods import KiloNerf, Pvd, PvdActive, Values
from polyfield.training.fit import RunOptions
from polyfield.training.loop import FitConfig, FitError
from polyfield.training.objectives.photometric import Photometric
from polyfield.training.objectives.regression import Regression

__all__ = [
    "FitConfig",
    "FitError",
    "KiloNerf",
    "Photometric",
    "Pvd",
    "PvdActive",
    "Regression",
    "RunOptions",
    "Values",
]
