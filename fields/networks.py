"""The networks a coordinate field can have. A new network's line goes here."""

from polyfield.fields.mlp import Perceptron
from polyfield.fields.sine_skip import SineSkip

NetworkConfig = Perceptron | SineSkip
