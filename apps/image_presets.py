"""Named starting points for pictures. A new preset is a function here and a line in the list below.

Numbers are those of the paper or released code; what a CPU's budget changes is said beside it.
"""

from __future__ import annotations

from collections.abc import Callable

from polyfield.apps.presets import ImageRun
from polyfield.encodings.dense_grid import DenseGrid
from polyfield.encodings.hash_grid import HashGrid
from polyfield.fields.coordinate import Coordinate
from polyfield.renderers.objectives import Regression


def _hash() -> ImageRun:
    """Instant-ngp's picture network with a table that fits a CPU's caches."""
    grid = HashGrid(levels=16, features=2, log2_size=16, base_resolution=16, finest_resolution=512)
    return ImageRun(Coordinate(grid), Regression(batch=16384))


def _dense() -> ImageRun:
    """The hash preset without hashing, and so with a coarser finest grid."""
    grid = DenseGrid(levels=8, features=2, base_resolution=16, finest_resolution=384)
    return ImageRun(Coordinate(grid), Regression(batch=16384))


_PRESETS: dict[str, Callable[[], ImageRun]] = {
    "hash": _hash,
    "dense": _dense,
}


def image_presets() -> dict[str, ImageRun]:
    """Presets of `fit image`, by name."""
    return {name: preset() for name, preset in _PRESETS.items()}
