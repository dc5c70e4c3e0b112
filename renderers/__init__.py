"""Field + rays -> pixels."""

from polyfield.renderers.model import RadianceModel, SamplerConfig, SignalModel
from polyfield.renderers.nerfacc import NerfaccGrid
from polyfield.renderers.occupancy import OccupancyGrid
from polyfield.renderers.samplers import Uniform

__all__ = [
    "NerfaccGrid",
    "OccupancyGrid",
    "RadianceModel",
    "SamplerConfig",
    "SignalModel",
    "Uniform",
]
