"""Fields.

World points (and directions) -> a signal or radiance. The unions below are the lists of them all.
"""

from polyfield.fields.base import RadianceField, RadianceSample, SignalField
from polyfield.fields.coordinate import Coordinate
from polyfield.fields.factored_radiance import FactoredRadiance
from polyfield.fields.radiance import Radiance
from polyfield.fields.voxels import Voxels

SignalFieldConfig = Coordinate
RadianceFieldConfig = FactoredRadiance | Radiance | Voxels
FieldConfig = SignalFieldConfig | RadianceFieldConfig

__all__ = [
    "FieldConfig",
    "RadianceField",
    "RadianceFieldConfig",
    "RadianceSample",
    "SignalField",
    "SignalFieldConfig",
]
