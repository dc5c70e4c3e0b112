"""Named starting points for scenes. A new preset is a function here and a line in the list below.

Numbers are those of the paper or released code; what a CPU's budget changes is said beside it.
"""

from __future__ import annotations

from collections.abc import Callable

from polyfield.apps.presets import SceneRun
from polyfield.encodings.basis_grid import BasisGrid
from polyfield.encodings.hash_grid import HashGrid
from polyfield.fields.fit import FitConfig
from polyfield.fields.kernel_radiance import KernelRadiance
from polyfield.fields.modulated_radiance import ModulatedRadiance
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
        # Full rates at once can drive every colour into the flat part of its sigmoid.
        FitConfig(rates={"table": 2e-2, "network": 2e-2}, warm_up=0.02),
    )


def _cam() -> SceneRun:
    """CAM's modulated NeRF, shrunk to a minute of a CPU; ten times the rate for the grids.

    Its own numbers are 8 layers of 256 (colour 128), planes of 512^2 and a rate of 5e-4 for 50000
    steps, times 0.33 at 1/2, 3/4, 5/6 and 9/10.
    """
    field = ModulatedRadiance(hidden=64, layers=4, skip=2, color_hidden=32, planes=32)
    fit = FitConfig(rates={"network": 2e-3, "modulation": 2e-2}, final=0.1)
    return SceneRun(
        field,
        OccupancyGrid(resolution=64, steps=256, sweep=32, points=8192),
        Photometric(samples=16384, loss="mse"),
        fit,
    )


def _gnf() -> SceneRun:
    """Gaussian kernels and spherical harmonics on smaller grids, not tiled, in small batches.

    Published: six tiled grids of resolution 32 to 128, 30,000 steps of 4096 rays, rate 0.02.
    """
    grid = BasisGrid((4, 4, 4, 2, 2, 2), (16, 24, 32, 48, 64, 80), (1.0,) * 6)
    return SceneRun(
        KernelRadiance(position=grid),
        OccupancyGrid(resolution=64, steps=256, sweep=32, points=8192),
        Photometric(samples=16384, loss="mse"),
        FitConfig(rates={"table": 2e-2, "network": 2e-2}),
    )


_PRESETS: dict[str, Callable[[], SceneRun]] = {
    "hash": _hash,
    "cam": _cam,
    "gnf": _gnf,
}


def scene_presets() -> dict[str, SceneRun]:
    """Presets of `fit scene`, by name."""
    return {name: preset() for name, preset in _PRESETS.items()}
