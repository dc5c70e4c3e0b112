"""Named starting points for pictures. A new preset is a function here and a line in the list below.

Numbers are those of the paper or released code; what a CPU's budget changes is said beside it.
"""

from __future__ import annotations

from collections.abc import Callable

from polyfield.apps.presets import ImageRun
from polyfield.encodings.hash_grid import HashGrid
from polyfield.encodings.random_fourier import RandomFourier
from polyfield.encodings.sape import Sape
from polyfield.fields.coordinate import Coordinate
from polyfield.fields.fit import FitConfig
from polyfield.fields.mlp import Perceptron
from polyfield.fields.modulated import Modulated
from polyfield.renderers.objectives import Regression


def _hash() -> ImageRun:
    """Instant-ngp's picture network with a table that fits a CPU's caches."""
    grid = HashGrid(levels=16, features=2, log2_size=16, base_resolution=16, finest_resolution=512)
    return ImageRun(Coordinate(grid), Regression(batch=16384))


def _constant(rate: float) -> FitConfig:
    """Adam as it comes, at one rate."""
    return FitConfig(rates={"network": rate}, final=1.0, beta2=0.999, eps=1e-8)


def _fourier() -> ImageRun:
    """Tancik et al.'s features and network, without its sigmoid.

    Their 2000 steps of all pixels take a CPU half an hour; these are small batches.
    """
    network = Perceptron(hidden=256, layers=3, bias=True)
    return ImageRun(Coordinate(RandomFourier(), network), Regression(batch=4096), _constant(1e-3))


def _sape() -> ImageRun:
    """SAPE's picture task: sigma 20, 128^2 cells, eps 1e-3; 32 blocks in place of 256.

    Its 5000 steps of all pixels are small batches too.
    """
    network = Perceptron(hidden=256, layers=3, bias=True)
    return ImageRun(Coordinate(Sape(), network), Regression(batch=4096), _constant(1e-3))


def _cam() -> ImageRun:
    """CAM's picture network: grids at ten times the rate, both falling at 1/2 and 3/4 of the time.

    Its 2000 steps of all pixels are small batches too.
    """
    fit = FitConfig(
        rates={"network": 1e-3, "modulation": 1e-2},
        final=1.0,
        drops=(0.5, 0.75),
        beta2=0.999,
        eps=1e-8,
    )
    return ImageRun(Modulated(), Regression(batch=4096), fit)


_PRESETS: dict[str, Callable[[], ImageRun]] = {
    "hash": _hash,
    "fourier": _fourier,
    "sape": _sape,
    "cam": _cam,
}


def image_presets() -> dict[str, ImageRun]:
    """Presets of `fit image`, by name."""
    return {name: preset() for name, preset in _PRESETS.items()}
