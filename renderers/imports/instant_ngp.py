"""Snapshots of instant-ngp (`.msgpack`, `.ingp`): its default scenes and images.

Facts of the program, none of its code. Scenes: a network of density, one of colour, then the grid
(tcnn_params.py); the grid is asked within the box (`aabb`), whose edge is `aabb_scale` unit cubes;
colours are a logistic, densities an exponential, per unit cube. The cells of its grid of densities
are in ngp_cells.py, its cameras in ngp_cameras.py.
UNCERTAIN, for want of files at hand: `background_color` is taken as it is, in the colours' space,
without its alpha; crops (`render_aabb`) empty the cells whose middles lie outside.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from jaxtyping import Float64

from polyfield.encodings.growth_grid import GrowthGrid
from polyfield.errors import InputError
from polyfield.fields.coordinate import Coordinate
from polyfield.fields.networks.mlp import Perceptron
from polyfield.fields.ngp_radiance import NgpRadiance
from polyfield.renderers.imports.imported import Imported
from polyfield.renderers.imports.ngp_cameras import NgpFrame, cameras_of
from polyfield.renderers.imports.ngp_cells import CELLS, densities
from polyfield.renderers.imports.snapshot import Tree, looks_like_one, read_snapshot
from polyfield.renderers.imports.tcnn_params import split, vector
from polyfield.renderers.occupancy import OccupancyGrid
from polyfield.renderers.radiance_model import RadianceModel, SceneInfo
from polyfield.renderers.signal_model import SignalInfo, SignalModel
from polyfield.scenes.similarity import Similarity

FINEST = 2048
"""Cells along a unit cube of the finest level of scenes, where the file says no factor."""
STEPS = 1024
"""Steps on the diagonal of a unit cube."""
CONE = 1 / 256
"""Growth of the step with distance, in boxes of more than a cube."""
LARGEST = 128
"""Unit cubes along a box at most."""
MOST = 1 << 16
"""Pixels along an image at most."""
ONLY = "only the default configurations are read"


@dataclass(frozen=True)
class InstantNgp:
    """Reads snapshots."""

    name: ClassVar[str] = "instant-ngp"

    def found_at(self, path: Path, start: bytes) -> bool:
        """Compressed data, or a map of MessagePack."""
        return looks_like_one(start)

    def open(self, path: Path, size: tuple[int, int] | None, data: Path | None) -> Imported:
        """Read a scene or an image."""
        if data is not None:
            raise InputError("no --data for a snapshot", str(data), "it has its own cameras")
        tree = read_snapshot(path)
        snapshot = tree.part("snapshot")
        # Its kind is not written by old versions; scenes have a grid of densities.
        mode = snapshot.text("mode", "nerf" if "density_grid_binary" in snapshot else "image")
        readers = {"nerf": _scene, "image": _image}
        if mode.lower() not in readers:
            raise InputError(
                f"a snapshot of a scene or an image in {path}", f"one of {mode!r}"[:40], ONLY
            )
        return readers[mode.lower()](tree, size)


def _scene(tree: Tree, size: tuple[int, int] | None) -> Imported:
    """A scene, with its cameras."""
    if size is not None:
        raise InputError("no --size for a scene", f"{size[0]} x {size[1]}", "leave it out")
    snapshot = tree.part("snapshot")
    nerf = snapshot.part("nerf")
    dataset = nerf.part("dataset")
    _check_plain(tree, nerf, dataset)
    box = _box(snapshot, "aabb")
    edges = box[1] - box[0]
    cubes = dataset.whole("aabb_scale", 1, LARGEST, nerf.whole("aabb_scale", 1, LARGEST, 1))
    if not np.allclose(edges, cubes, rtol=1e-5) or cubes & (cubes - 1):
        raise InputError("a box of aabb_scale cubes, a power of 2", f"{edges} of {cubes}", ONLY)
    frame = NgpFrame(
        dataset.number("scale"),
        np.array(dataset.numbers("offset", 3)),
        bool(dataset.values.get("from_mitsuba", False)),
    )
    field = _field(tree, float(cubes), not frame.mitsuba)
    parts = split(
        vector(snapshot.data("params_binary"), snapshot.text("params_type", "__half"), "params"),
        _widths(field),
        field.position,
        3,
    )
    field = replace(field, position=parts.grid)
    bounds = torch.from_numpy(frame.users_box(box))
    similarity = Similarity.of_box(bounds)
    sampler = OccupancyGrid(
        resolution=CELLS, steps=STEPS * cubes, cone=0.0 if cubes == 1 else CONE, limit=STEPS
    )
    info = SceneInfo(
        similarity.normalised(bounds).float(), False, "srgb", _background(snapshot), similarity
    )
    model = RadianceModel(field, sampler, info)
    model.field.load_state_dict(
        {
            **model.field.state_dict(),
            "position.table": parts.table,
            "density_network.weights": parts.networks[0],
            "color_network.weights": parts.networks[1],
        }
    )
    crop = _box(snapshot, "render_aabb") if "render_aabb" in snapshot else box
    cells, warnings = densities(snapshot, cubes, box, crop)
    # Per unit cube there, per length of our frame here: the box is so many cubes, and 2 long.
    value = cells.permute(2, 0, 1) if not frame.mitsuba else cells
    model.renderer.sampler.adopt(value * (cubes / model.field.domain.length))
    found, names, told = cameras_of(dataset, frame)
    return Imported(
        model.eval(),
        InstantNgp.name,
        snapshot.whole("training_step", 0, 1 << 40, 0),
        found,
        names,
        [*warnings, *told, *_passed_over(snapshot)],
    )


def _image(tree: Tree, size: tuple[int, int] | None) -> Imported:
    """An image; its colours are sRGB. Its file doesn't say how large it was."""
    if size is None:
        raise InputError(
            "--size WIDTH HEIGHT for an image of instant-ngp, whose file doesn't say",
            "none",
            "give that of the image it was trained on",
        )
    if not all(1 <= n <= MOST for n in size):
        raise InputError(f"--size from 1 to {MOST}", f"{size[0]} x {size[1]}", "change it")
    snapshot, network = tree.part("snapshot"), tree.part("network")
    _check_network(network, ("None",))
    grid = _grid(tree.part("encoding"), max(size) / 2)
    hidden, layers = _size(network)
    values = vector(
        snapshot.data("params_binary"), snapshot.text("params_type", "__half"), "params"
    )
    widths = [grid.levels * grid.features, *[hidden] * layers, 3]
    parts = split(values, [widths], grid, 2)
    field = Coordinate(parts.grid, Perceptron(hidden, layers))
    whole = (float(size[0]), float(size[1]))
    model = SignalModel(field, SignalInfo("image", size, whole, 3, {"color_space": "srgb"}))
    model.field.load_state_dict(
        {
            **model.field.state_dict(),
            "encoding.table": parts.table,
            "network.weights": parts.networks[0],
        }
    )
    return Imported(model.eval(), InstantNgp.name, snapshot.whole("training_step", 0, 1 << 40, 0))


def _check_plain(tree: Tree, nerf: Tree, dataset: Tree) -> None:
    """Raise for what changes the pixels and is not expressed.

    Raises:
        InputError: HDR, latents of images, other activations or directions.
    """
    if dataset.values.get("is_hdr", False):
        raise InputError("a scene of 8-bit images", "an HDR one", ONLY)
    if dataset.whole("n_extra_learnable_dims", 0, 1 << 16, 0):
        raise InputError("a scene without latent vectors of images", "one with them", ONLY)
    for key, wanted in (("rgb_activation", "Logistic"), ("density_activation", "Exponential")):
        said = nerf.values.get(key, wanted)
        if type(said) is str and said.lower() != wanted.lower():
            raise InputError(f"{wanted} for {key}", repr(said)[:40], ONLY)
    direction = tree.part("dir_encoding")
    kind = direction.text("otype")
    if kind == "Composite":
        first: Any = next(iter(direction.items("nested")), {})
        direction = Tree(first if isinstance(first, dict) else {}, f"{direction.place}.nested")
        kind = direction.text("otype")
    if kind != "SphericalHarmonics" or direction.whole("degree", 1, 8, 4) != 4:
        raise InputError("SphericalHarmonics of degree 4 for dir_encoding", f"{kind!r}"[:40], ONLY)


def _field(tree: Tree, cubes: float, cycled: bool) -> NgpRadiance:
    """The field of a scene, its factor between levels as the program works it out."""
    density, color = tree.part("network"), tree.part("rgb_network")
    for network in (density, color):
        _check_network(network, ("None",))
    (hidden, layers), (color_hidden, color_layers) = _size(density), _size(color)
    return NgpRadiance(
        _grid(tree.part("encoding"), FINEST, cubes),
        4,
        hidden,
        layers,
        color_hidden,
        color_layers,
        density.whole("n_output_dims", 16, 16, 16),
        cycled,
        cubes,
    )


def _widths(field: NgpRadiance) -> list[list[int]]:
    grid = field.position.levels * field.position.features
    seen = field.feature + field.degree**2
    return [
        [grid, *[field.hidden] * field.density_layers, field.feature],
        [seen, *[field.color_hidden] * field.color_layers, 3],
    ]


def _grid(encoding: Tree, finest: float, cubes: float = 1.0) -> GrowthGrid:
    """The grid, with its factor in float32.

    Args:
        encoding: its configuration.
        finest: cells along a unit cube at the finest level, where that doesn't say.
        cubes: along the box.

    Raises:
        InputError: another encoding, or one whose features need padding.
    """
    kind = encoding.text("otype")
    hashed = kind == "HashGrid" or (kind == "Grid" and encoding.text("type", "Hash") == "Hash")
    if not hashed or encoding.text("interpolation", "Linear") != "Linear":
        raise InputError("a HashGrid with linear weights for encoding", f"{kind!r}"[:40], ONLY)
    levels = encoding.whole("n_levels", 1, 32, 16)
    features = encoding.whole("n_features_per_level", 1, 8, 2)
    if levels * features % 16:
        raise InputError("a multiple of 16 features for encoding", f"{levels * features}", ONLY)
    log2 = encoding.whole("log2_hashmap_size", 1, 24, 15)
    base = encoding.whole("base_resolution", 1, 1 << 20, 16)
    growth = encoding.number("per_level_scale", 0.0)
    if growth <= 0:
        finest = encoding.number("desired_resolution", finest) * cubes
        if finest < base:
            raise InputError(f"a finest level of {base} cells or more", f"{finest:g}", ONLY)
        ratio = np.log(np.float32(finest) / np.float32(base))
        growth = float(np.exp(ratio / np.float32(levels - 1))) if levels > 1 else 1.0
    if not 1 <= growth <= 1024:
        raise InputError("a factor from 1 to 1024 between levels", f"{growth:g}", ONLY)
    return GrowthGrid(levels, features, log2, base, growth)


def _check_network(network: Tree, outputs: tuple[str, ...]) -> None:
    """Raise unless it is the usual perceptron.

    Raises:
        InputError: another one.
    """
    kind = network.text("otype", "FullyFusedMLP")
    inner = network.text("activation", "ReLU")
    last = network.text("output_activation", "None")
    if kind not in ("FullyFusedMLP", "CutlassMLP") or inner != "ReLU" or last not in outputs:
        wanted = f"a FullyFusedMLP or CutlassMLP with ReLU for {network.place}"
        raise InputError(wanted, f"{kind}, {inner}, {last}"[:60], ONLY)


def _size(network: Tree) -> tuple[int, int]:
    """Width and number of the hidden layers."""
    hidden = network.whole("n_neurons", 16, 1024, 128)
    return hidden, network.whole("n_hidden_layers", 1, 64, 5)


def _box(snapshot: Tree, key: str) -> Float64[np.ndarray, "2 3"]:
    """A box in the program's coordinates.

    Raises:
        InputError: it is none.
    """
    part = snapshot.part(key)
    box = np.array([part.numbers("min", 3), part.numbers("max", 3)])
    if not (box[0] < box[1]).all():
        raise InputError(f"a box for {part.place}", f"{box.tolist()}"[:60], "save it again")
    return box


def _background(snapshot: Tree) -> tuple[float, float, float]:
    """The colour behind everything; black where the file doesn't say."""
    if "background_color" not in snapshot:
        return 0.0, 0.0, 0.0
    red, green, blue, _ = snapshot.numbers("background_color", 4)
    return red, green, blue


def _passed_over(snapshot: Tree) -> list[str]:
    """What else changes the pixels of the program's own window."""
    found = []
    local = snapshot.values.get("render_aabb_to_local")
    if isinstance(local, list) and _turned(local):
        found.append("the crop box is turned: it is taken along the axes")
    if "envmap" in snapshot or "envmap" in snapshot.part("nerf"):
        found.append("the environment map is left out")
    return found


def _turned(rows: list[object]) -> bool:
    try:
        return not np.allclose(np.array(rows, np.float64), np.eye(3))
    except (ValueError, TypeError):
        return True
