"""Checkpoints of nerfstudio: its nerfacto and its instant-ngp.

Facts of the program at 50e0e3c (2025-07), none of its code: models/nerfacto.py and instant_ngp.py.
Nerfacto samples by proposal networks (renderers/proposals/), instant-ngp through nerfacc's grid
(nerfstudio_cells.py). Rendering, nerfacto's rays begin at the eye, whatever near_plane says, and an
image's appearance is the mean of all, or zeros. Behind everything is a colour, black where training
had random ones, or what the last sample of the ray says.
UNCERTAIN, for want of files at hand: outputs of CUTLASS networks are padded to 16 or to 8; the
float32 rounding of resolutions of the grid of PyTorch alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from polyfield.errors import InputError
from polyfield.fields.nerfacto_radiance import NerfactoRadiance
from polyfield.renderers.imports.imported import Imported
from polyfield.renderers.imports.nerfstudio_cells import take_over
from polyfield.renderers.imports.nerfstudio_files import looks_like_one, read_config, training_at
from polyfield.renderers.imports.nerfstudio_params import (
    GridSpec,
    Part,
    State,
    color_network,
    flat,
    grid_and_network,
    grid_of,
    linear_of,
    state_of,
)
from polyfield.renderers.imports.nerfstudio_place import Place, capture_at, data_path, place_of
from polyfield.renderers.imports.snapshot import Tree
from polyfield.renderers.imports.torch_zip import TorchFile
from polyfield.renderers.occupancy import OccupancyGrid, OccupancySampler
from polyfield.renderers.proposals.network import ProposalNetwork
from polyfield.renderers.proposals.sampler import Proposals
from polyfield.renderers.radiance_model import RadianceModel, SamplerConfig, SceneInfo
from polyfield.scenes.path_formats.nerfstudio import placed

FEATURE = 15
"""Outputs of the density network beside the density; no option of the program."""
CELLS, MOST_STEPS = 128, 1 << 16
COLORS = {"black": 0.0, "white": 1.0, "random": 0.0, "last_sample": 0.0}
KINDS: Mapping[str, Literal["nerfacto", "instant-ngp"]] = {
    "NerfactoModel": "nerfacto",
    "DepthNerfactoModel": "nerfacto",
    "NGPModel": "instant-ngp",
}
"""Its classes that are read."""
SMALL = 1e-9
"""Largest motion of a camera that counts as none."""


@dataclass(frozen=True)
class Nerfstudio:
    """Reads trainings."""

    name: ClassVar[str] = "nerfstudio"

    def found_at(self, path: Path, start: bytes) -> bool:
        """The folder of a training, its config.yml, or a zip."""
        return looks_like_one(path, start)

    def open(self, path: Path, size: tuple[int, int] | None, data: Path | None) -> Imported:
        """Read a training."""
        if size is not None:
            raise InputError("no --size for a scene", f"{size[0]} x {size[1]}", "leave it out")
        files = training_at(path)
        config = read_config(files.config)
        with TorchFile(files.checkpoint) as file:
            state, steps = state_of(file)
            return _imported(config, state, steps, files.config, data)


def _imported(config: Tree, state: State, steps: int, file: Path, given: Path | None) -> Imported:
    tree = config.part("pipeline").part("model")
    kind = KINDS.get(tree.text("_target", "").rpartition(".")[2])
    if kind is None:
        raise InputError(
            f"a model of nerfstudio's {', '.join(KINDS)}",
            repr(tree.values.get("_target"))[:80],
            "only these are read",
        )
    warnings = _check_heads(state)
    data = data_path(config, given)
    told = ["no cameras, for its data isn't there: give --data FOLDER to render or distil it"]
    try:
        where = placed(file, data)
    except InputError as error:
        if data is None or given is not None:
            raise
        data, where = None, placed(file, None)
        told = [f"no cameras, for its data can't be read: {error}"[:250]]
    capture = None
    if data is not None:
        capture, told = capture_at(data, config, given is not None)
    contracted = not _switch(tree, "disable_scene_contraction", False)
    aabb = state.get("field.aabb", 2)
    if aabb.shape != (2, 3):
        raise InputError("a box for field.aabb", f"shape {list(aabb.shape)}", "check it")
    place = place_of(where, aabb, contracted)
    build = {"nerfacto": _nerfacto, "instant-ngp": _instant_ngp}[kind]
    model = build(tree, state, place, aabb)
    if model.renderer.sampler.opaque_end:
        told.append(
            "the last sample of a ray takes the light that is left (last_sample) when it is drawn,"
            " not when it is distilled: students are taught its densities"
        )
    return Imported(
        model.eval(),
        f"nerfstudio {kind}",
        steps,
        warnings=[*warnings, *where.warnings, *told],
        capture=capture,
        data=None if data is None or capture is None else data,
    )


def _check_heads(state: State) -> list[str]:
    """What is left out.

    Raises:
        InputError: heads that change what a scene is.
    """
    if state.starts("field.mlp_semantics"):
        raise InputError("a model of colours", "one with a head of semantics", "train without it")
    warnings = []
    if state.starts("field.mlp_pred_normals"):
        warnings.append("its head of predicted normals is left out: ours follow from the density")
    if state.starts("field.mlp_transient"):
        warnings.append("its transient parts are left out, as the program does when it draws")
    pose = "camera_optimizer.pose_adjustment"
    if pose in state:
        moved = state.get(pose, 2)
        if moved.numel() and float(moved.abs().max()) > SMALL:
            far = float(moved[:, :3].norm(dim=1).max())
            warnings.append(
                f"its camera optimiser moved training cameras, by up to {far:.3g} of its units: the"
                " run has the data's own poses"
            )
    return warnings


def _nerfacto(tree: Tree, state: State, place: Place, aabb: Tensor) -> RadianceModel:
    """A nerfacto: its field and its proposal networks."""
    level = _positive(tree, "average_init_density", 1.0)
    seen = _appearance(state, _switch(tree, "use_average_appearance_embedding", True))
    part, field, color = _field(tree, state, place, level, seen)
    count = tree.whole("num_proposal_iterations", 1, 8, 2)
    shared = _switch(tree, "use_same_proposal_network", False)
    said = tree.items("proposal_net_args_list")
    if not said or not all(isinstance(entry, dict) for entry in said):
        raise InputError("proposal_net_args_list of maps", "another", "check config.yml")
    found = [
        _proposal(Tree(said[min(i, len(said) - 1)], f"proposal_net_args_list[{i}]"), state, i)
        for i in range(1 if shared else count)
    ]
    rounds = [_count(n) for n in tree.items("num_proposal_samples_per_ray")]
    if len(rounds) < count:
        raise InputError(f"{count} num_proposal_samples_per_ray", str(len(rounds)), "check it")
    kind = tree.text("proposal_initial_sampler", "piecewise")
    if kind not in ("piecewise", "uniform"):
        raise InputError(
            "piecewise or uniform for proposal_initial_sampler", repr(kind)[:40], "check it"
        )
    behind = _background(tree, "last_sample")
    sampler = Proposals(
        tuple(network for network, _ in found),
        tuple(rounds[:count]),
        tree.whole("num_nerf_samples_per_ray", 1, 1 << 12, 48),
        _positive(tree, "far_plane", 1000.0),
        "uniform" if kind == "uniform" else "piecewise",
        level,
        behind == "last_sample",
        place.placement,
    )
    model = _model(field, sampler, place, behind)
    _load(model, part, color)
    networks = {}
    for i, (_, own) in enumerate(found):
        networks[f"networks.{i}.position.table"] = own.table
        networks[f"networks.{i}.network.weights"] = own.values
    theirs = model.renderer.sampler
    theirs.load_state_dict({**theirs.state_dict(), **networks})
    return model


def _instant_ngp(tree: Tree, state: State, place: Place, aabb: Tensor) -> RadianceModel:
    """Nerfstudio's instant-ngp: the same field behind nerfacc's grid."""
    # Its field always takes zeros for the appearance, whatever config.yml says.
    part, field, color = _field(tree, state, place, 1.0, _appearance(state, False))
    diagonal = float((aabb[1] - aabb[0]).double().norm())
    given = tree.values.get("render_step_size")
    step = diagonal / 1000 if given is None else _positive(tree, "render_step_size", 1.0)
    whole = math.sqrt(3) * place.placement.extent * (2 if place.placement.contracted else 1)
    sampler = OccupancyGrid(
        resolution=CELLS,
        steps=min(max(round(whole / step), 1), MOST_STEPS),
        cone=min(max(tree.number("cone_angle", 0.004), 0.0), 1.0),
        limit=1 << 14,
    )
    model = _model(field, sampler, place, _background(tree, "random"))
    _load(model, part, color)
    ours = model.renderer.sampler
    assert isinstance(ours, OccupancySampler)
    take_over(state, ours, place.placement.build(model.field.domain), aabb, step)
    return model


def _model(
    field: NerfactoRadiance, sampler: SamplerConfig, place: Place, behind: str
) -> RadianceModel:
    color = COLORS[behind]
    unbounded = place.placement.contracted
    info = SceneInfo(place.bounds, unbounded, "srgb", (color,) * 3, place.frame)
    return RadianceModel(field, sampler, info)


def _field(
    tree: Tree, state: State, place: Place, level: float, appearance: Float[Tensor, "a"]
) -> tuple[Part, NerfactoRadiance, Float[Tensor, "c"]]:
    """The field's grid and density network, its config, and the values of its colour network."""
    hidden = tree.whole("hidden_dim", 1, 8192, 64)
    color_hidden = tree.whole("hidden_dim_color", 1, 8192, 64)
    spec = _spec(tree, 16, 2048, 19)
    part = grid_and_network(state, "field.mlp_base", spec, [hidden, 1 + FEATURE])
    color = color_network(
        state, "field.mlp_head", FEATURE, [color_hidden, color_hidden, 3], appearance
    )
    field = NerfactoRadiance(
        part.grid, 4, hidden, 1, color_hidden, 2, FEATURE, level, place.placement
    )
    return part, field, flat(color)


def _load(model: RadianceModel, part: Part, color: Float[Tensor, "c"]) -> None:
    values = {
        "position.table": part.table,
        "density_network.weights": part.values,
        "color_network.weights": color,
    }
    model.field.load_state_dict({**model.field.state_dict(), **values})


def _appearance(state: State, is_mean: bool) -> Float[Tensor, "a"]:
    """What the program takes for the appearance of a new view: the mean of all, or zeros."""
    name = "field.embedding_appearance.embedding.weight"
    if name not in state:
        return torch.zeros(0)
    every = state.get(name, 2)
    return every.mean(0) if is_mean and len(every) else every.new_zeros(every.shape[1])


def _proposal(tree: Tree, state: State, number: int) -> tuple[ProposalNetwork, Part]:
    """A proposal network and its values."""
    name, spec = f"proposal_networks.{number}", _spec(tree, 8, 1024, 18)
    if _switch(tree, "use_linear", False):
        grid, table = grid_of(state, f"{name}.encoding", spec)
        part = Part(grid, table, linear_of(state, f"{name}.linear"))
        return ProposalNetwork(grid, 1, 0), part
    hidden = tree.whole("hidden_dim", 1, 8192, 64)
    layers = tree.whole("num_layers", 1, 64, 2) - 1
    part = grid_and_network(state, f"{name}.mlp_base", spec, [*[hidden] * layers, 1])
    return ProposalNetwork(part.grid, hidden, layers), part


def _spec(tree: Tree, levels: int, finest: int, log2: int) -> GridSpec:
    found = GridSpec(
        tree.whole("num_levels", 1, 32, levels),
        tree.whole("features_per_level", 1, 8, 2),
        tree.whole("log2_hashmap_size", 1, 24, log2),
        tree.whole("base_res", 1, 1 << 20, 16),
        tree.whole("max_res", 1, 1 << 20, finest),
    )
    if found.features not in (1, 2, 4, 8) or found.finest < found.base:
        got = f"{found.features} features, {found.base} to {found.finest} cells"
        raise InputError(f"grids of 1, 2, 4 or 8 features in {tree.place}", got, "check it")
    return found


def _switch(tree: Tree, key: str, default: bool) -> bool:
    found = tree.values.get(key, default)
    if type(found) is not bool:
        raise InputError(f"true or false for {tree.place}.{key}", repr(found)[:40], "check it")
    return found


def _positive(tree: Tree, key: str, default: float) -> float:
    found = tree.number(key, default)
    if not 1e-6 <= found <= 1e6:
        raise InputError(
            f"a number from 1e-6 to 1e6 for {tree.place}.{key}", f"{found:g}", "check it"
        )
    return found


def _count(value: Any) -> int:
    if type(value) is not int or not 1 <= value <= 1 << 12:
        raise InputError("counts from 1 to 4096 of samples", repr(value)[:40], "check config.yml")
    return value


def _background(tree: Tree, default: str) -> str:
    found = tree.text("background_color", default)
    if found not in COLORS:
        raise InputError(f"{', '.join(COLORS)} for background_color", repr(found)[:40], "change it")
    return found
