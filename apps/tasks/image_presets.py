"""Named starting points for images. A new preset is a function here and a line in the list below.

Numbers are those of the paper or released code; what a CPU's budget changes is said beside it.
"""

from __future__ import annotations

from collections.abc import Callable

from polyfield.apps.tasks.presets import SignalPreset
from polyfield.encodings.basis_grid import BasisGrid
from polyfield.encodings.dense_grid import DenseGrid
from polyfield.encodings.frequency import Frequency
from polyfield.encodings.hash_grid import HashGrid
from polyfield.encodings.identity import Identity
from polyfield.encodings.random_fourier import RandomFourier
from polyfield.encodings.rbf import Rbf
from polyfield.encodings.sape import Sape
from polyfield.fields.coordinate import Coordinate
from polyfield.fields.functional import Form, Functional
from polyfield.fields.modulated import Modulated
from polyfield.fields.networks import NetworkConfig
from polyfield.fields.networks.fan import Fan
from polyfield.fields.networks.finer import Finer
from polyfield.fields.networks.gauss import Gauss
from polyfield.fields.networks.kan import SplineKan
from polyfield.fields.networks.mlp import Perceptron
from polyfield.fields.networks.rbf_net import GaussianKernels
from polyfield.fields.networks.relu import Relu
from polyfield.fields.networks.sine_skip import SineSkip
from polyfield.fields.networks.siren import Siren
from polyfield.fields.networks.spder import Spder
from polyfield.fields.networks.wire import Wire
from polyfield.training.loop import FitConfig
from polyfield.training.objectives.regression import Regression


def _hash() -> SignalPreset:
    """Instant-ngp's image network with a table that fits a CPU's caches."""
    grid = HashGrid(levels=16, features=2, log2_size=16, base_resolution=16, finest_resolution=512)
    return SignalPreset(Coordinate(grid), Regression(batch=16384))


def _constant(rate: float) -> FitConfig:
    """Adam as it comes, at one rate."""
    return FitConfig(rates={"network": rate}, final=1.0, beta2=0.999, eps=1e-8)


def _fourier() -> SignalPreset:
    """Tancik et al.'s features and network, without its sigmoid.

    Their 2000 steps of all pixels take a CPU half an hour; these are small batches.
    """
    network = Perceptron(hidden=256, layers=3, bias=True)
    return SignalPreset(
        Coordinate(RandomFourier(), network), Regression(batch=4096), _constant(1e-3)
    )


def _sape() -> SignalPreset:
    """SAPE's image task: sigma 20, 128^2 cells, eps 1e-3; 32 blocks in place of 256.

    Its 5000 steps of all pixels are small batches too. Layers start as tiny-cuda-nn's do, not as
    PyTorch's; so do those it is compared with in the benchmarks.
    """
    network = Perceptron(hidden=256, layers=3, bias=True)
    return SignalPreset(Coordinate(Sape(), network), Regression(batch=4096), _constant(1e-3))


def _cam() -> SignalPreset:
    """CAM's image network: grids at ten times the rate, both falling at 1/2 and 3/4 of the time.

    Its 2000 steps of all pixels are small batches too.
    """
    fit = FitConfig(
        rates={"network": 1e-3, "modulation": 1e-2},
        final=1.0,
        drops=(0.5, 0.75),
        beta2=0.999,
        eps=1e-8,
    )
    return SignalPreset(Modulated(), Regression(batch=4096), fit)


def _adam(rate: float) -> FitConfig:
    """Adam as PyTorch has it, the rate falling to a tenth."""
    return FitConfig(rates={"network": rate}, final=0.1, beta2=0.999, eps=1e-8)


def _network(network: NetworkConfig, rate: float) -> SignalPreset:
    """A network on coordinates in [-1,1].

    Published with steps on the whole image, of which a CPU does one in seconds: 4096 pixels and
    many steps are better in the same time.
    """
    return SignalPreset(
        Coordinate(Identity(centered=True), network), Regression(batch=4096), _adam(rate)
    )


def _mlp() -> SignalPreset:
    """Positional encoding and a ReLU network of Tancik et al. 2020's size and rate."""
    return SignalPreset(Coordinate(Frequency(10), Relu()), Regression(batch=4096), _adam(1e-3))


def _siren() -> SignalPreset:
    """SIREN; 1e-4 on the whole image, small batches take a larger rate."""
    return _network(Siren(), 5e-4)


def _spder() -> SignalPreset:
    """SPDER; 1e-4 on the whole image, small batches take a larger rate."""
    return _network(Spder(), 2e-4)


def _wire() -> SignalPreset:
    """WIRE, with the constants advised for representing images."""
    return _network(Wire(), 5e-3)


def _gauss() -> SignalPreset:
    """Gaussian activations."""
    return _network(Gauss(), 1e-3)


def _finer() -> SignalPreset:
    """FINER, the rate of its image script."""
    return _network(Finer(), 5e-4)


def _fan() -> SignalPreset:
    """Fourier analysis layers; no image is published. Without octaves they see no detail."""
    return SignalPreset(Coordinate(Frequency(10), Fan()), Regression(batch=4096), _adam(3e-3))


def _kan() -> SignalPreset:
    """Efficient-kan; no image is published. Its grid of 5 cells shows no detail, 20 do."""
    return _network(SplineKan(cells=20), 1e-2)


def _gnf() -> SignalPreset:
    """Gaussian kernels on grids that are not tiled.

    Published: tiles, rates of 1e-2, 15,000 steps of 2^18 pixels with L1. Telling tiles apart takes
    longer than a CPU has: 16 dB against 30 after 300 steps. Initial noise of size 1 goes in few
    steps if these are large.
    """
    grid = BasisGrid(frequencies=(1.0,) * 6)
    rates = {"table": 1e-1, "network": 2e-2}
    return SignalPreset(
        Coordinate(grid, GaussianKernels()),
        Regression(batch=16384),
        FitConfig(rates=rates, final=0.1),
    )


def _finr(form: Form, rank: int) -> SignalPreset:
    """Two networks and a contraction, steps on the whole image: that is the method's point.

    Published: rank 128 and width 256 as here, rate 1e-3 of ReLU networks. SIREN, one of its choices
    of network, comes further in as many steps. The second network of a train has rank^2 outputs:
    rank 32.
    """
    field = Functional(form, rank, Identity(centered=True), Siren(layers=3))
    return SignalPreset(field, Regression(batch=0), _adam(2e-4))


def _dense() -> SignalPreset:
    """The hash preset without hashing, and so with a coarser finest grid."""
    grid = DenseGrid(levels=8, features=2, base_resolution=16, finest_resolution=384)
    return SignalPreset(Coordinate(grid), Regression(batch=16384))


def _rbf() -> SignalPreset:
    """NeuRBF with as many stored values as `hash`, centres and shapes counted.

    Its own numbers are for 35000 steps of 2^18 pixels: rates 5e-3 for grid and weights and 1e-2 for
    the network, falling to 1/100; a grid of two levels that ends at half of the longer side (384
    here), and as many kernels as a reference grid has room for. In seconds, a grid of more levels,
    calmer steps of the network, rates that fall less and small batches come further.
    """
    grid = HashGrid(levels=8, features=2, log2_size=16, base_resolution=16, finest_resolution=384)
    return SignalPreset(
        Coordinate(Rbf(kernels=11250, grid=grid), SineSkip()),
        Regression(batch=8192),
        FitConfig(rates={"table": 5e-3, "network": 3e-3}, final=0.05),
    )


_PRESETS: dict[str, Callable[[], SignalPreset]] = {
    "hash": _hash,
    "fourier": _fourier,
    "sape": _sape,
    "cam": _cam,
    "mlp": _mlp,
    "siren": _siren,
    "spder": _spder,
    "wire": _wire,
    "gauss": _gauss,
    "finer": _finer,
    "fan": _fan,
    "kan": _kan,
    "gnf": _gnf,
    "finr-cp": lambda: _finr("cp", 128),
    "finr-tt": lambda: _finr("tt", 32),
    "finr-tucker": lambda: _finr("tucker", 128),
    "dense": _dense,
    "rbf": _rbf,
}


def image_presets() -> dict[str, SignalPreset]:
    """Presets of `fit image`, by name."""
    return {name: preset() for name, preset in _PRESETS.items()}
