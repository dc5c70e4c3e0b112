"""The encodings without children. A new encoding's line goes here."""

from polyfield.encodings.basis_grid import BasisGrid
from polyfield.encodings.dense_grid import DenseGrid
from polyfield.encodings.factored import CP, TriPlane, VectorMatrix
from polyfield.encodings.floor_grid import FloorGrid
from polyfield.encodings.frequency import Frequency
from polyfield.encodings.growth_grid import GrowthGrid
from polyfield.encodings.hash_grid import HashGrid
from polyfield.encodings.identity import Identity
from polyfield.encodings.random_fourier import RandomFourier
from polyfield.encodings.rbf import Rbf
from polyfield.encodings.spherical_harmonics import SphericalHarmonics
from polyfield.encodings.tcnn import TcnnHashGrid

PlainEncodingConfig = (
    BasisGrid
    | CP
    | DenseGrid
    | FloorGrid
    | Frequency
    | GrowthGrid
    | HashGrid
    | Identity
    | RandomFourier
    | Rbf
    | SphericalHarmonics
    | TcnnHashGrid
    | TriPlane
    | VectorMatrix
)
