"""Fields.

World points (and directions) -> a signal or radiance. The unions below are the lists of them all.
"""

from polyfield.fields.base import RadianceField, RadianceSample, SignalField
from polyfield.fields.coordinate import Coordinate
from polyfield.fields.functional import Functional
from polyfield.fields.kernel_radiance import KernelRadiance
from polyfield.fields.modulated import Modulated
from polyfield.fields.modulated_radiance import ModulatedRadiance
from polyfield.fields.radiance import Radiance

SignalFieldConfig = Coordinate | Functional | Modulated
RadianceFieldConfig = KernelRadiance | ModulatedRadiance | Radiance
FieldConfig = SignalFieldConfig | RadianceFieldConfig

__all__ = [
    "FieldConfig",
    "RadianceField",
    "RadianceFieldConfig",
    "RadianceSample",
    "SignalField",
    "SignalFieldConfig",
]
