"""The encodings without children. A new encoding's line goes here."""

from polyfield.encodings.frequency import Frequency
from polyfield.encodings.hash_grid import HashGrid
from polyfield.encodings.identity import Identity
from polyfield.encodings.rbf import Rbf
from polyfield.encodings.spherical_harmonics import SphericalHarmonics

PlainEncodingConfig = Frequency | HashGrid | Identity | Rbf | SphericalHarmonics
