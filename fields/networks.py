"""The networks a coordinate field can have. A new network's line goes here.

Perceptron, TcnnPerceptron, Relu and GaussianKernels take any features. The others are published for
coordinates in [-1,1]: behind the encoding `Identity`, set its option `centered`.
"""

from polyfield.fields.fan import Fan
from polyfield.fields.finer import Finer
from polyfield.fields.gauss import Gauss
from polyfield.fields.kan import ChebyshevKan, SplineKan
from polyfield.fields.mlp import Perceptron
from polyfield.fields.rbf_net import GaussianKernels
from polyfield.fields.relu import Relu
from polyfield.fields.sine_skip import SineSkip
from polyfield.fields.siren import Siren
from polyfield.fields.spder import Spder
from polyfield.fields.tcnn import TcnnPerceptron
from polyfield.fields.wire import Wire

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
