"""Coordinate encodings.

[*n, d] in [0,1]^d -> features [*n, c]. `EncodingConfig` is the list of them all.
"""

from polyfield.encodings.base import Encoding
from polyfield.encodings.basis_grid import BasisGrid
from polyfield.encodings.composite import Composite
from polyfield.encodings.dense_grid import DenseGrid
from polyfield.encodings.factored import CP, TriPlane, VectorMatrix
from polyfield.encodings.floor_grid import FloorGrid
from polyfield.encodings.frequency import Frequency
from polyfield.encodings.growth_grid import GrowthGrid
from polyfield.encodings.hash_grid import HashGrid
from polyfield.encodings.identity import Identity
from polyfield.encodings.plain import PlainEncodingConfig
from polyfield.encodings.random_fourier import RandomFourier
from polyfield.encodings.rbf import Rbf
from polyfield.encodings.sape import Sape
from polyfield.encodings.spherical_harmonics import SphericalHarmonics
from polyfield.encodings.tcnn import TcnnHashGrid

EncodingConfig = PlainEncodingConfig | Composite | Sape

__all__ = [
    "CP",
    "BasisGrid",
    "Composite",
    "DenseGrid",
    "Encoding",
    "EncodingConfig",
    "FloorGrid",
    "Frequency",
    "GrowthGrid",
    "HashGrid",
    "Identity",
    "RandomFourier",
    "Rbf",
    "Sape",
    "SphericalHarmonics",
    "TcnnHashGrid",
    "TriPlane",
    "VectorMatrix",
]
