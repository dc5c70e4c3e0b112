"""Field + rays -> pixels."""

from polyfield.renderers.nerfacc import NerfaccGrid
from polyfield.renderers.occupancy import OccupancyGrid
from polyfield.renderers.radiance_model import RadianceModel, SamplerConfig
from polyfield.renderers.samplers import Uniform
from polyfield.renderers.signal_model import SignalModel

__all__ = [
    "NerfaccGrid",
    "OccupancyGrid",
    "RadianceModel",
    "SamplerConfig",
    "SignalModel",
    "Uniform",
]
