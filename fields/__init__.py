"""Fields.

World points (and directions) -> a signal or radiance. The unions below are the lists of them all.
"""

from polyfield.fields.baked import Baked
from polyfield.fields.base import RadianceField, RadianceSample, SignalField
from polyfield.fields.coordinate import Coordinate
from polyfield.fields.deep_radiance import DeepRadiance
from polyfield.fields.deferred import Deferred
from polyfield.fields.factored_radiance import FactoredRadiance
from polyfield.fields.functional import Functional
from polyfield.fields.kernel_radiance import KernelRadiance
from polyfield.fields.kilo import KiloBank
from polyfield.fields.modulated import Modulated
from polyfield.fields.modulated_radiance import ModulatedRadiance
from polyfield.fields.nerfacto_radiance import NerfactoRadiance
from polyfield.fields.ngp_radiance import NgpRadiance
from polyfield.fields.plain_nerf import PlainNerf
from polyfield.fields.radiance import Radiance
from polyfield.fields.voxels import Voxels

SignalFieldConfig = Coordinate | Functional | Modulated
RadianceFieldConfig = (
    Baked
    | DeepRadiance
    | Deferred
    | FactoredRadiance
    | KernelRadiance
    | KiloBank
    | ModulatedRadiance
    | NerfactoRadiance
    | NgpRadiance
    | PlainNerf
    | Radiance
    | Voxels
)
FieldConfig = SignalFieldConfig | RadianceFieldConfig
BakedConfig = Baked | Deferred
"""Those of bytes, that a page draws."""

__all__ = [
    "Baked",
    "BakedConfig",
    "Coordinate",
    "DeepRadiance",
    "Deferred",
    "FactoredRadiance",
    "FieldConfig",
    "Functional",
    "KernelRadiance",
    "KiloBank",
    "Modulated",
    "ModulatedRadiance",
    "NerfactoRadiance",
    "NgpRadiance",
    "PlainNerf",
    "Radiance",
    "RadianceField",
    "RadianceFieldConfig",
    "RadianceSample",
    "SignalField",
    "SignalFieldConfig",
    "Voxels",
]
