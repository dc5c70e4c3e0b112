"""The networks a coordinate field can have. A new network's line goes here."""

from polyfield.fields.mlp import Perceptron

NetworkConfig = Perceptron
