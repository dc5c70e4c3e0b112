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

    Its own rates are 5e-3 for grid and weights and 1e-2 for the network over 35000 steps of 2^18
    pixels, falling to 1/100; kernels take what a reference grid leaves; the grid beside them ends
    at half of the longer side (here 384) and is not capped.
    """
    grid = HashGrid(levels=2, features=2, log2_size=16, base_resolution=16, finest_resolution=384)
    return ImageRun(
        Coordinate(Rbf(kernels=16640, grid=grid), SineSkip()),
        Regression(batch=16384),
        FitConfig(rates={"table": 5e-3, "network": 1e-2}),
    )


_PRESETS: dict[str, Callable[[], ImageRun]] = {
    "hash": _hash,
    "rbf": _rbf,
}


def image_presets() -> dict[str, ImageRun]:
    """Presets of `fit image`, by name."""
    return {name: preset() for name, preset in _PRESETS.items()}
