"""Named starting points for pictures. A new preset is a function here and a line in the list below.

Numbers are those of the paper or released code; what a CPU's budget changes is said beside it.
"""

from __future__ import annotations

from collections.abc import Callable

from polyfield.apps.presets import ImageRun
from polyfield.encodings.hash_grid import HashGrid
from polyfield.encodings.rbf import Rbf
from polyfield.fields.coordinate import Coordinate
from polyfield.fields.fit import FitConfig
from polyfield.fields.sine_skip import SineSkip
from polyfield.renderers.objectives import Regression


def _hash() -> ImageRun:
    """Instant-ngp's picture network with a table that fits a CPU's caches."""
    grid = HashGrid(levels=16, features=2, log2_size=16, base_resolution=16, finest_resolution=512)
    return ImageRun(Coordinate(grid), Regression(batch=16384))


def _rbf() -> ImageRun:
    """NeuRBF with as many stored values as `hash`, centres and shapes counted.

    Its own numbers are for 35000 steps of 2^18 pixels: rates 5e-3 for grid and weights and 1e-2 for
    the network, falling to 1/100; a grid of two levels that ends at half of the longer side (384
    here), and as many kernels as a reference grid has room for. In seconds, a grid of more levels,
    calmer steps of the network, rates that fall less and small batches come further.
    """
    grid = HashGrid(levels=8, features=2, log2_size=16, base_resolution=16, finest_resolution=384)
    return ImageRun(
        Coordinate(Rbf(kernels=11250, grid=grid), SineSkip()),
        Regression(batch=8192),
        FitConfig(rates={"table": 5e-3, "network": 3e-3}, final=0.05),
    )


_PRESETS: dict[str, Callable[[], ImageRun]] = {
    "hash": _hash,
    "rbf": _rbf,
}


def image_presets() -> dict[str, ImageRun]:
    """Presets of `fit image`, by name."""
    return {name: preset() for name, preset in _PRESETS.items()}
