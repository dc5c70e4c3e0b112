"""Named starting points for scenes. A new preset is a function here and a line in the list below.

Numbers are those of the paper or released code; what a CPU's budget changes is said beside it.
"""

from __future__ import annotations

from collections.abc import Callable

from jaxtyping import Int64
from torch import Tensor

from polyfield.apps.tasks.presets import ScenePreset
from polyfield.encodings.basis_grid import BasisGrid
from polyfield.encodings.dense_grid import DenseGrid
from polyfield.encodings.factored import CP, TriPlane, VectorMatrix
from polyfield.encodings.hash_grid import HashGrid
from polyfield.encodings.rbf import Rbf
from polyfield.fields.deep_radiance import DeepRadiance
from polyfield.fields.factored_radiance import FactoredRadiance
from polyfield.fields.kernel_radiance import KernelRadiance
from polyfield.fields.kilo import KiloBank
from polyfield.fields.modulated_radiance import ModulatedRadiance
from polyfield.fields.plain_nerf import PlainNerf
from polyfield.fields.radiance import Radiance
from polyfield.fields.voxels import Voxels
from polyfield.renderers.occupancy import OccupancyGrid
from polyfield.renderers.radiance_model import TaggedRadiance
from polyfield.training.loop import FitConfig
from polyfield.training.objectives.photometric import Photometric


def _hash() -> ScenePreset:
    """Instant-ngp's network with a smaller grid, larger steps and small batches: a CPU's caches.

    Its own numbers are L8 F4 T2^19, 1024 steps on the diagonal, 128^3 cells and 2^18 samples.
    Samples of fog are left out of batches, so that these hold more rays.
    """
    grid = HashGrid(levels=8, features=4, log2_size=17, base_resolution=16, finest_resolution=512)
    return ScenePreset(
        Radiance(position=grid),
        OccupancyGrid(resolution=64, steps=256, sweep=32, points=8192, corners=64, thin=3e-3),
        Photometric(samples=16384, loss="mse"),
        # Full rates at once can drive every colour into the flat part of its sigmoid.
        FitConfig(rates={"table": 3e-2, "network": 2e-2}, warm_up=0.02),
    )


def _hash_large() -> ScenePreset:
    """Instant-ngp's network and nearly its grid, for images of some 600 pixels and more.

    Its own numbers are those in `hash`: half of its table, half of its steps and an eighth of its
    samples are what a CPU has time for.
    """
    grid = HashGrid(levels=8, features=4, log2_size=18, base_resolution=16, finest_resolution=1024)
    return ScenePreset(
        Radiance(position=grid),
        OccupancyGrid(resolution=128, steps=512, sweep=32, points=32768),
        Photometric(samples=32768, loss="mse"),
        FitConfig(rates={"table": 3e-2, "network": 2e-2}, warm_up=0.02),
    )


def _cam() -> ScenePreset:
    """CAM's modulated NeRF, shrunk to a minute of a CPU; ten times the rate for the grids.

    Its own numbers are 8 layers of 256 (colour 128), planes of 512^2 and a rate of 5e-4 for 50000
    steps, times 0.33 at 1/2, 3/4, 5/6 and 9/10.
    """
    field = ModulatedRadiance(hidden=64, layers=4, skip=2, color_hidden=32, planes=32)
    fit = FitConfig(rates={"network": 2e-3, "modulation": 2e-2}, final=0.1)
    return ScenePreset(
        field,
        OccupancyGrid(resolution=64, steps=256, sweep=32, points=8192),
        Photometric(samples=16384, loss="mse"),
        fit,
    )


def _gnf() -> ScenePreset:
    """Gaussian kernels and spherical harmonics on smaller grids, not tiled, in small batches.

    Published: six tiled grids of resolution 32 to 128, 30,000 steps of 4096 rays, rate 0.02.
    """
    grid = BasisGrid((4, 4, 4, 2, 2, 2), (16, 24, 32, 48, 64, 80), (1.0,) * 6)
    return ScenePreset(
        KernelRadiance(position=grid),
        OccupancyGrid(resolution=64, steps=256, sweep=32, points=8192),
        Photometric(samples=16384, loss="mse"),
        FitConfig(rates={"table": 2e-2, "network": 2e-2}),
    )


def _dense() -> ScenePreset:
    """The hash preset's networks on a dense grid of about as many cells as there are in a view."""
    grid = DenseGrid(levels=4, features=4, base_resolution=16, finest_resolution=96)
    return ScenePreset(
        Radiance(position=grid),
        OccupancyGrid(resolution=64, steps=256, sweep=32, points=8192),
        Photometric(samples=16384, loss="mse"),
        FitConfig(rates={"table": 2e-2, "network": 1e-2}),
    )


def _triplane() -> ScenePreset:
    """Summed planes of 32 features (EG3D's number) before instant-ngp's networks.

    Released numbers are 32^2 (Cardace et al.) and 256^2 (EG3D) vertices.
    """
    return ScenePreset(
        Radiance(position=TriPlane(features=32, resolution=128)),
        OccupancyGrid(resolution=64, steps=256, sweep=32, points=8192),
        Photometric(samples=16384, loss="mse"),
        FitConfig(rates={"table": 2e-2, "network": 1e-2}),
    )


def _vm() -> ScenePreset:
    """TensoRF's VM-192 at one resolution, with half its network, higher rates and small batches.

    Its own numbers are 128^3 to 300^3 voxels while training, 4096 rays, a network of width 128,
    rates of 2e-2 and 1e-3. Space starts empty: the first sweep takes its time, so that what is
    there has grown before its cells are looked at.
    """
    color = VectorMatrix(48, 128, "concat")
    return ScenePreset(
        FactoredRadiance(VectorMatrix(16, 128), color, hidden=64),
        OccupancyGrid(resolution=64, steps=256, sweep=128, points=8192),
        Photometric(samples=8192, loss="mse"),
        FitConfig(rates={"table": 4e-2, "network": 2e-3}, final=0.1),
    )


def _cp() -> ScenePreset:
    """TensoRF's CP with fewer colour components at one resolution, and half its network.

    Its own numbers are 96 and 288 components and up to 500 vertices; see `vm` for the others.
    """
    return ScenePreset(
        FactoredRadiance(CP(96, 200), CP(192, 200), hidden=64),
        OccupancyGrid(resolution=64, steps=256, sweep=128, points=8192),
        Photometric(samples=8192, loss="mse"),
        FitConfig(rates={"table": 2e-2, "network": 2e-3}, final=0.1),
    )


def _voxels() -> ScenePreset:
    """Plenoxels on smaller grids, with Adam instead of RMSProp, without total variation.

    Its own grids have 256^3 and 512^3 cells. Rates rise at first, as its rate of density does; the
    first sweep takes its time, as in `vm`. All grids are there early, and rates are low: in 120
    seconds on lego 25.2 dB, against 23.6 with `grown` of 0.4 and a rate of 2e-2.
    """
    return ScenePreset(
        Voxels(cells=96, levels=3, grown=0.2, density=0.5),
        OccupancyGrid(resolution=64, steps=256, sweep=256, points=8192),
        Photometric(samples=16384, loss="mse"),
        FitConfig(rates={"table": 1e-2}, warm_up=0.05, final=0.1),
    )


def _rbf() -> ScenePreset:
    """NeuRBF's kernels of scenes beside a small grid: together a quarter of the values of `hash`.

    The kernels store 0.36 million values, the grid 0.44 million; the grid of `hash` stores 3.06.
    Kernels as released: five neighbours, no sines, no normaliser, alpha 0.3, 32 channels, rate
    2e-2. There they add to the colours of a factored field; here the density sees them too.
    """
    grid = HashGrid(levels=8, features=2, log2_size=15, base_resolution=16, finest_resolution=512)
    position = Rbf(kernels=11250, neighbours=5, waves=None, normalise=False, alpha=0.3, grid=grid)
    return ScenePreset(
        Radiance(position=position),
        OccupancyGrid(resolution=64, steps=256, sweep=32, points=8192),
        Photometric(samples=16384, loss="mse"),
        FitConfig(rates={"table": 2e-2, "network": 2e-2}),
    )


def _mlp() -> ScenePreset:
    """PVD's deep network before the heads of `hash`, so with 32 outputs in place of 28.

    Its own numbers are 40,000 steps of 8192 rays at 1e-3, falling to a tenth. A CPU has ten million
    samples in two minutes: half the steps along a ray, batches so small that there are many, and a
    rate that comes further with them.
    """
    return ScenePreset(
        DeepRadiance(out=32),
        OccupancyGrid(64, 128, threshold=0.02, sweep=64, points=4096, corners=0),
        Photometric(samples=2048, loss="mse"),
        FitConfig(rates={"network": 4e-3}, warm_up=0.02, final=0.1),
    )


def _nerf() -> ScenePreset:
    """NeRF's network, once, on a CPU's budget as `mlp`.

    KiloNeRF's teacher takes 600,000 steps of 1024 rays at 5e-4.
    """
    return ScenePreset(
        PlainNerf(),
        OccupancyGrid(64, 128, threshold=0.02, sweep=128, points=4096, corners=0),
        Photometric(samples=2048, loss="mse"),
        FitConfig(rates={"network": 4e-3}, warm_up=0.02, final=0.1),
    )


def _kilo() -> ScenePreset:
    """KiloNeRF's bank with half of the cells an axis, fewer octaves in one and a higher rate.

    Published: 16 cells and 10 octaves; distilled from NeRF at a rate of 1e-3, then a million steps
    of 8192 rays. At 200 pixels six octaves show all there is, and higher rates come further in
    seconds.
    """
    return ScenePreset(
        KiloBank(cells=8, octaves=6),
        OccupancyGrid(resolution=64, steps=256, sweep=256, points=8192),
        Photometric(samples=16384, loss="mse"),
        FitConfig(rates={"table": 2e-2}, warm_up=0.02, final=0.1),
    )


_PRESETS: dict[str, Callable[[], ScenePreset]] = {
    "hash": _hash,
    "hash-large": _hash_large,
    "cam": _cam,
    "gnf": _gnf,
    "rbf": _rbf,
    "dense": _dense,
    "triplane": _triplane,
    "vm": _vm,
    "cp": _cp,
    "voxels": _voxels,
    "mlp": _mlp,
    "nerf": _nerf,
    "kilo": _kilo,
}


def scene_presets() -> dict[str, ScenePreset]:
    """Presets of `fit scene`, by name."""
    return {name: preset() for name, preset in _PRESETS.items()}


LARGE = 600
"""Pixels of an image's longer side from which on the grid of `hash` is too small for it."""


def larger_preset(field: TaggedRadiance, sizes: Int64[Tensor, "n 2"]) -> str | None:
    """The line that offers `hash-large` to who has the field of `hash` and large images.

    Args:
        field: what is about to be trained.
        sizes: width and height of each training image, as it is read.

    Returns:
        None where that field is another, or the image of median longer side is small.
    """
    longer = sizes.amax(1)
    middle = longer.argsort(stable=True)[(len(longer) - 1) // 2]
    if field != _hash().field or longer[middle] < LARGE:
        return None
    width, height = sizes[middle].tolist()
    return (
        f"images of {width}x{height}: --preset hash-large has a larger grid for so many pixels"
        " (slower a step)"
    )


BY_CELLS = ("kilo",)
"""Students that learn KiloNeRF's way unless told otherwise: the networks of a bank see nothing of
each other, and most of them little along a few rays."""
