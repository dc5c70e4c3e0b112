"""The networks a coordinate field can have. A new network's line goes here.

Perceptron, TcnnPerceptron, Relu and GaussianKernels take any features. The others are published for
coordinates in [-1,1]: behind the encoding `Identity`, set its option `centered`.
"""

from polyfield.fields.networks.fan import Fan
from polyfield.fields.networks.finer import Finer
from polyfield.fields.networks.gauss import Gauss
from polyfield.fields.networks.kan import ChebyshevKan, SplineKan
from polyfield.fields.networks.mlp import Perceptron
from polyfield.fields.networks.rbf_net import GaussianKernels
from polyfield.fields.networks.relu import Relu
from polyfield.fields.networks.sine_skip import SineSkip
from polyfield.fields.networks.siren import Siren
from polyfield.fields.networks.spder import Spder
from polyfield.fields.networks.tcnn import TcnnPerceptron
from polyfield.fields.networks.wire import Wire

NetworkConfig = (
    Perceptron
    | Relu
    | Siren
    | Spder
    | Wire
    | Gauss
    | Finer
    | Fan
    | SplineKan
    | ChebyshevKan
    | GaussianKernels
    | SineSkip
    | TcnnPerceptron
)

__all__ = [
    "ChebyshevKan",
    "Fan",
    "Finer",
    "Gauss",
    "GaussianKernels",
    "NetworkConfig",
    "Perceptron",
    "Relu",
    "SineSkip",
    "Siren",
    "Spder",
    "SplineKan",
    "TcnnPerceptron",
    "Wire",
]
