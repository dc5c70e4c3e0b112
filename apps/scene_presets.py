"""Named starting points for scenes. A new preset is a function here and a line in the list below.

Numbers are those of the paper or released code; what a CPU's budget changes is said beside it.
"""

from __future__ import annotations

from collections.abc import Callable

from polyfield.apps.presets import SceneRun
from polyfield.encodings.hash_grid import HashGrid
from polyfield.encodings.rbf import Rbf
from polyfield.fields.fit import FitConfig
from polyfield.fields.radiance import Radiance
from polyfield.renderers.objectives import Photometric
from polyfield.renderers.occupancy import OccupancyGrid


def _hash() -> SceneRun:
    """Instant-ngp's network with a smaller grid, larger steps and small batches: a CPU's caches.

    Its own numbers are L8 F4 T2^19, 1024 steps on the diagonal, 128^3 cells and 2^18 samples.
    """
    grid = HashGrid(levels=8, features=4, log2_size=15, base_resolution=16, finest_resolution=512)
    return SceneRun(
        Radiance(position=grid),
        OccupancyGrid(resolution=64, steps=256, sweep=32, points=8192),
        Photometric(samples=16384, loss="mse"),
        FitConfig(rates={"table": 2e-2, "network": 2e-2}),
    )


def _rbf() -> SceneRun:
    """NeuRBF's kernels of scenes, beside half of the grid of `hash`: as many stored values.

    Kernels as released: five neighbours, no sines, no normaliser, alpha 0.3, 32 channels, rate
    2e-2. There they add to the colours of a factored field; here the density sees them too.
    """
    grid = HashGrid(levels=8, features=2, log2_size=15, base_resolution=16, finest_resolution=512)
    position = Rbf(kernels=11250, neighbours=5, waves=None, normalise=False, alpha=0.3, grid=grid)
    return SceneRun(
        Radiance(position=position),
        OccupancyGrid(resolution=64, steps=256, sweep=32, points=8192),
        Photometric(samples=16384, loss="mse"),
        FitConfig(rates={"table": 2e-2, "network": 2e-2}),
    )


_PRESETS: dict[str, Callable[[], SceneRun]] = {
    "hash": _hash,
    "rbf": _rbf,
}


def scene_presets() -> dict[str, SceneRun]:
    """Presets of `fit scene`, by name."""
    return {name: preset() for name, preset in _PRESETS.items()}
