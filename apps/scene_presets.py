"""Named starting points for scenes. A new preset is a function here and a line in the list below.

Numbers are those of the paper or released code; what a CPU's budget changes is said beside it.
"""

from __future__ import annotations

from collections.abc import Callable

from polyfield.apps.presets import SceneRun
from polyfield.encodings.dense_grid import DenseGrid
from polyfield.encodings.factored import CP, TriPlane, VectorMatrix
from polyfield.encodings.hash_grid import HashGrid
from polyfield.fields.factored_radiance import FactoredRadiance
from polyfield.fields.fit import FitConfig
from polyfield.fields.radiance import Radiance
from polyfield.fields.voxels import Voxels
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


def _dense() -> SceneRun:
    """The hash preset's networks on a dense grid of about as many cells as there are in a view."""
    grid = DenseGrid(levels=4, features=4, base_resolution=16, finest_resolution=96)
    return SceneRun(
        Radiance(position=grid),
        OccupancyGrid(resolution=64, steps=256, sweep=32, points=8192),
        Photometric(samples=16384, loss="mse"),
        FitConfig(rates={"table": 2e-2, "network": 1e-2}),
    )


def _triplane() -> SceneRun:
    """Summed planes of 32 features (EG3D's number) before instant-ngp's networks.

    Released numbers are 32^2 (Cardace et al.) and 256^2 (EG3D) vertices.
    """
    return SceneRun(
        Radiance(position=TriPlane(features=32, resolution=128)),
        OccupancyGrid(resolution=64, steps=256, sweep=32, points=8192),
        Photometric(samples=16384, loss="mse"),
        FitConfig(rates={"table": 2e-2, "network": 1e-2}),
    )


def _vm() -> SceneRun:
    """TensoRF's VM-192 at one resolution, with half its network, higher rates and small batches.

    Its own numbers are 128^3 to 300^3 voxels while training, 4096 rays, a network of width 128,
    rates of 2e-2 and 1e-3. Space starts empty: the first sweep takes its time, so that what is
    there has grown before its cells are looked at.
    """
    color = VectorMatrix(48, 128, "concat")
    return SceneRun(
        FactoredRadiance(VectorMatrix(16, 128), color, hidden=64),
        OccupancyGrid(resolution=64, steps=256, sweep=128, points=8192),
        Photometric(samples=8192, loss="mse"),
        FitConfig(rates={"table": 4e-2, "network": 2e-3}, final=0.1),
    )


def _cp() -> SceneRun:
    """TensoRF's CP with fewer colour components at one resolution, and half its network.

    Its own numbers are 96 and 288 components and up to 500 vertices; see `vm` for the others.
    """
    return SceneRun(
        FactoredRadiance(CP(96, 200), CP(192, 200), hidden=64),
        OccupancyGrid(resolution=64, steps=256, sweep=128, points=8192),
        Photometric(samples=8192, loss="mse"),
        FitConfig(rates={"table": 2e-2, "network": 2e-3}, final=0.1),
    )


def _voxels() -> SceneRun:
    """Plenoxels on smaller grids, with Adam instead of RMSProp, without total variation.

    Its own grids have 256^3 and 512^3 cells. Rates rise at first, as its rate of density does; the
    first sweep takes its time, as in `vm`.
    """
    return SceneRun(
        Voxels(cells=96, levels=3, density=0.5),
        OccupancyGrid(resolution=64, steps=256, sweep=256, points=8192),
        Photometric(samples=16384, loss="mse"),
        FitConfig(rates={"table": 2e-2}, warm_up=0.05, final=0.1),
    )


_PRESETS: dict[str, Callable[[], SceneRun]] = {
    "hash": _hash,
    "dense": _dense,
    "triplane": _triplane,
    "vm": _vm,
    "cp": _cp,
    "voxels": _voxels,
}


def scene_presets() -> dict[str, SceneRun]:
    """Presets of `fit scene`, by name."""
    return {name: preset() for name, preset in _PRESETS.items()}
