"""A training of nerfstudio written by hand, and its pixels by a plain reference of its formulas."""

from __future__ import annotations

import importlib.util
import json
import math
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

_spec = importlib.util.spec_from_file_location("hand", Path(__file__).with_name("hand_written.py"))
hand = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(hand)

BASE, FINEST, LEVELS, LOG2 = 4, 40, 8, 9
HIDDEN, APPEARANCE, IMAGES = 16, 8, 3
PROPOSALS = ({"levels": 5, "finest": 16}, {"levels": 5, "finest": 24})
ROUNDS, SAMPLES = (32, 16), 12


@dataclass(frozen=True)
class Kind:
    """What is written."""

    form: str = "tcnn"
    model: str = "nerfacto"
    contracted: bool = True
    behind: str = "last_sample"
    mean: bool = True
    level: float = 0.5
    linear: bool = False
    aabb: tuple[float, ...] = (-1.0, -1.2, -0.8, 1.0, 1.5, 0.9)


def turned() -> tuple[np.ndarray, float]:
    """The dataparser's transform [3, 4] and scale."""
    a, b = 0.4, -0.9
    first = np.array([[math.cos(a), -math.sin(a), 0], [math.sin(a), math.cos(a), 0], [0, 0, 1]])
    second = np.array([[1, 0, 0], [0, math.cos(b), -math.sin(b)], [0, math.sin(b), math.cos(b)]])
    return np.concatenate([first @ second, [[3.0], [-2.0], [5.0]]], 1), 0.27


def growth(levels: int, finest: int) -> float:
    return math.exp((math.log(finest) - math.log(BASE)) / (levels - 1))


def _random(*shape: int, by: float = 1.0) -> torch.Tensor:
    return torch.randn(*shape, generator=_generator) * by


_generator = torch.Generator()


def _tcnn_network(i: int, inner: list[int]) -> torch.Tensor:
    """Weights, inputs and outputs padded to 16."""
    sizes = [(i + 15) // 16 * 16, *inner[:-1], (inner[-1] + 15) // 16 * 16]
    return torch.cat([_random(o * n, by=n**-0.5) for n, o in zip(sizes, sizes[1:], strict=False)])


def _tcnn_values(levels: int, finest: int) -> torch.Tensor:
    count = sum(hand.entries(r, 3, LOG2) for _, r in resolutions(levels, finest))
    return _random(count * 2)


def resolutions(levels: int, finest: int) -> list[tuple[float, int]]:
    step, found = np.log2(np.float32(growth(levels, finest))), []
    for level in range(levels):
        scale = np.exp2(np.float32(level) * step) * np.float32(BASE) - np.float32(1)
        found.append((float(scale), math.ceil(scale) + 1))
    return found


def _torch_network(name: str, i: int, inner: list[int]) -> dict[str, torch.Tensor]:
    found, sizes = {}, [i, *inner]
    for n, (a, b) in enumerate(zip(sizes, sizes[1:], strict=False)):
        found[f"{name}.layers.{n}.weight"] = _random(b, a, by=a**-0.5)
        found[f"{name}.layers.{n}.bias"] = _random(b, by=0.3)
    return found


def state_of(kind: Kind) -> OrderedDict[str, torch.Tensor]:
    """A model's tensors as the program names them."""
    _generator.manual_seed(1)
    found: dict[str, torch.Tensor] = {"device_indicator_param": torch.empty(0)}
    found["field.aabb"] = torch.tensor(kind.aabb).view(2, 3)
    found["field.embedding_appearance.embedding.weight"] = _random(IMAGES, APPEARANCE)
    head, seen = [HIDDEN, HIDDEN, 3], 16 + 15 + APPEARANCE
    features = 2 * LEVELS
    if kind.form == "torch":
        found["field.mlp_base.model.0.hash_table"] = _random(LEVELS << LOG2, 2)
        found |= _torch_network("field.mlp_base.model.1", features, [HIDDEN, 16])
        found |= _torch_network("field.mlp_head", seen, head)
    elif kind.form == "tcnn":
        parts = [_tcnn_network(features, [HIDDEN, 16]), _tcnn_values(LEVELS, FINEST)]
        found["field.mlp_base.model.params"] = torch.cat(parts)
        found["field.mlp_head.tcnn_encoding.params"] = _tcnn_network(seen, head)
    else:  # older versions
        found["field.mlp_base.0.tcnn_encoding.params"] = _tcnn_values(LEVELS, FINEST)
        found["field.mlp_base.1.tcnn_encoding.params"] = _tcnn_network(features, [HIDDEN, 16])
        found["field.mlp_head.tcnn_encoding.params"] = _tcnn_network(seen, head)
    if kind.model == "nerfacto":
        found["camera_optimizer.pose_adjustment"] = torch.zeros(IMAGES, 6)
        for i, spec in enumerate(PROPOSALS):
            name, levels = f"proposal_networks.{i}", spec["levels"]
            base = f"{name}.encoding" if kind.linear else f"{name}.mlp_base.0"
            if kind.form == "torch":
                found[f"{base}.hash_table"] = _random(levels << LOG2, 2)
            else:
                found[f"{base}.tcnn_encoding.params"] = _tcnn_values(levels, spec["finest"])
            if kind.linear:
                found[f"{name}.linear.weight"] = _random(1, 2 * levels)
                found[f"{name}.linear.bias"] = _random(1)
            elif kind.form == "torch":
                found |= _torch_network(f"{name}.mlp_base.1", 2 * levels, [HIDDEN, 1])
            else:
                params = _tcnn_network(2 * levels, [HIDDEN, 1])
                found[f"{name}.mlp_base.1.tcnn_encoding.params"] = params
    else:
        occupied = torch.rand(2, 32, 32, 32, generator=_generator) < 0.05
        found["occupancy_grid.binaries"] = occupied
        found["occupancy_grid.occs"] = occupied.flatten().float() * 0.3
        found["occupancy_grid.resolution"] = torch.tensor([32, 32, 32], dtype=torch.int32)
    return OrderedDict((f"_model.{name}", value) for name, value in found.items())


def config_of(kind: Kind, data: str | None = None) -> str:
    """A config.yml, with the program's tags."""
    target = {"nerfacto": "nerfacto.NerfactoModel", "ngp": "instant_ngp.NGPModel"}[kind.model]
    own = f"""
    background_color: {kind.behind}
    disable_scene_contraction: {str(not kind.contracted).lower()}
    max_res: {FINEST}
    base_res: {BASE}
    num_levels: {LEVELS}
    log2_hashmap_size: {LOG2}
    hidden_dim: {HIDDEN}
    hidden_dim_color: {HIDDEN}"""
    if kind.model == "nerfacto":
        entries = "".join(
            f"""
    - hidden_dim: {HIDDEN}
      log2_hashmap_size: {LOG2}
      num_levels: {spec["levels"]}
      base_res: {BASE}
      max_res: {spec["finest"]}
      use_linear: {str(kind.linear).lower()}"""
            for spec in PROPOSALS
        )
        own += f"""
    average_init_density: {kind.level}
    use_average_appearance_embedding: {str(kind.mean).lower()}
    far_plane: 1000.0
    num_nerf_samples_per_ray: {SAMPLES}
    num_proposal_iterations: 2
    num_proposal_samples_per_ray: !!python/tuple
    - {ROUNDS[0]}
    - {ROUNDS[1]}
    proposal_initial_sampler: piecewise
    use_same_proposal_network: false
    proposal_net_args_list:{entries}"""
    else:
        own += """
    cone_angle: 0.0
    grid_levels: 2
    render_step_size: 0.02"""
    parts = [p for p in (data or "nowhere/at/all").split("/") if p]
    root = ["/"] if data else []
    path = "".join(f"\n- {json.dumps(p)}" for p in [*root, *parts])
    return f"""!!python/object:nerfstudio.engine.trainer.TrainerConfig
_target: &id001 !!python/name:nerfstudio.engine.trainer.Trainer ''
data: &id002 !!python/object/apply:pathlib.PosixPath{path}
method_name: {kind.model}
pipeline: !!python/object:nerfstudio.pipelines.base_pipeline.VanillaPipelineConfig
  datamanager: !!python/object:nerfstudio.data.datamanagers.VanillaDataManagerConfig
    data: *id002
    dataparser: !!python/object:nerfstudio.data.dataparsers.nerfstudio_dataparser.Config
      data: *id002
      eval_mode: fraction
      train_split_fraction: 0.5
  model: !!python/object:nerfstudio.models.Config
    _target: !!python/name:nerfstudio.models.{target} ''
    collider_params: !!python/object/apply:nerfstudio.configs.config_utils.to_immutable_dict
    - far_plane: 6.0{own}
"""


def write(folder: Path, kind: Kind, data: str | None = None, **more: torch.Tensor) -> Path:
    """The folder of a training."""
    (folder / "nerfstudio_models").mkdir(parents=True)
    (folder / "config.yml").write_text(config_of(kind, data))
    transform, scale = turned()
    parsed = {"transform": transform.tolist(), "scale": scale}
    (folder / "dataparser_transforms.json").write_text(json.dumps(parsed))
    state = state_of(kind)
    state.update({f"_model.{name.replace('__', '.')}": value for name, value in more.items()})
    state._metadata = OrderedDict({"": {"version": 1}})  # as a module's own has
    model = torch.nn.Linear(2, 2)
    optimiser = torch.optim.Adam(model.parameters(), lr=float(np.float64(1e-2)))
    model(torch.ones(1, 2)).sum().backward()
    optimiser.step()
    tree: dict[str, Any] = {
        "step": 29999,
        "pipeline": state,
        "optimizers": {"fields": optimiser.state_dict()},
        "schedulers": {"fields": {"_last_lr": [np.float64(1e-3)], "lr_lambdas": [None]}},
        "scalers": {"scale": 65536.0, "_growth_tracker": 7},
    }
    torch.save(tree, folder / "nerfstudio_models" / "step-000029999.ckpt")
    return folder


# The reference, in float64.


def _corners(place: np.ndarray, row_of: Any, table: np.ndarray) -> np.ndarray:
    """Linear weights of the eight corners; row_of says the table's row of whole coordinates."""
    low = np.floor(place).astype(np.int64)
    part, total = place - low, np.zeros((len(place), 2))
    for corner in range(8):
        bits = np.array([corner >> axis & 1 for axis in range(3)])
        weight = np.where(bits, part, 1 - part).prod(1)
        total += weight[:, None] * table[row_of((low + bits).astype(np.uint64))]
    return total


def _hashed(c: np.ndarray) -> np.ndarray:
    found = c[:, 0] ^ c[:, 1] * np.uint64(2654435761) ^ c[:, 2] * np.uint64(805459861)
    return (found & np.uint64((1 << 32) - 1)).astype(np.int64)


def _grid(u: np.ndarray, values: torch.Tensor, levels: int, finest: int) -> np.ndarray:
    """Both forms: PyTorch's, [rows, 2], and tiny-cuda-nn's, flat."""
    table, found, at = values.double().numpy().reshape(-1, 2), [], 0
    for level, (scale, resolution) in enumerate(resolutions(levels, finest)):
        if values.dim() == 2:
            cells = math.floor(np.float32(BASE) * np.float32(growth(levels, finest)) ** level)
            rows = table[level << LOG2 : level + 1 << LOG2]
            found.append(_corners(u * cells, lambda c: _hashed(c) % (1 << LOG2), rows))
            continue
        count = hand.entries(resolution, 3, LOG2)
        rows, at = table[at : at + count], at + count

        def row(c: np.ndarray, r: int = resolution, n: int = count) -> np.ndarray:
            dense = c[:, 0] + c[:, 1] * np.uint64(r) + c[:, 2] * np.uint64(r * r)
            return (_hashed(c) if r**3 > n else dense.astype(np.int64)) % n

        found.append(_corners(u * scale + 0.5, row, rows))
    return np.concatenate(found, 1)


def _tcnn_mlp(x: np.ndarray, params: np.ndarray, inner: list[int], pad: float) -> np.ndarray:
    wide = (x.shape[1] + 15) // 16 * 16
    x = np.concatenate([x, np.full((len(x), wide - x.shape[1]), pad)], 1)
    sizes = [*inner[:-1], (inner[-1] + 15) // 16 * 16]
    at = 0
    for n, o in enumerate(sizes):
        matrix = params[at : at + o * x.shape[1]].reshape(o, x.shape[1]).astype(np.float64)
        at += matrix.size
        x = x @ matrix.T
        x = np.maximum(x, 0) if n < len(sizes) - 1 else x
    assert at == len(params)
    return x[:, : inner[-1]]


def _mlp(state: Any, name: str, x: np.ndarray, inner: list[int]) -> np.ndarray:
    if f"{name}.tcnn_encoding.params" in state:
        return _tcnn_mlp(x, state[f"{name}.tcnn_encoding.params"].numpy(), inner, 1.0)
    for n in range(len(inner)):
        matrix, bias = (
            state[f"{name}.layers.{n}.{w}"].double().numpy() for w in ("weight", "bias")
        )
        x = x @ matrix.T + bias
        x = np.maximum(x, 0) if n < len(inner) - 1 else x
    return x


def to_model(x: np.ndarray) -> np.ndarray:
    """The user's points in the program's coordinates."""
    transform, scale = turned()
    return scale * (x @ transform[:, :3].T + transform[:, 3])


def unit(kind: Kind, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates of the grid, and whether they are inside."""
    if kind.contracted:
        norm = np.abs(y).max(1, keepdims=True)
        with np.errstate(divide="ignore"):
            y = np.where(norm < 1, y, (2 - 1 / norm) * (y / norm))
        u = (y + 2) / 4
    else:
        low, high = np.array(kind.aabb).reshape(2, 3)
        u = (y - low) / (high - low)
    inside = ((u > 0) & (u < 1)).all(1)
    return u * inside[:, None], inside


def seen(kind: Kind, u: np.ndarray, inside: np.ndarray, d: np.ndarray) -> tuple[Any, Any]:
    """Density per unit of the program's, and colour, of directions d in its axes."""
    state = {name.removeprefix("_model."): value for name, value in state_of(kind).items()}
    if kind.form == "torch":
        h = _grid(u, state["field.mlp_base.model.0.hash_table"], LEVELS, FINEST)
        h = _mlp(state, "field.mlp_base.model.1", h, [HIDDEN, 16])
    elif kind.form == "tcnn":
        params = state["field.mlp_base.model.params"]
        count = 2 * LEVELS * HIDDEN + HIDDEN * 16
        h = _grid(u, params[count:], LEVELS, FINEST)
        h = _tcnn_mlp(h, params[:count].numpy(), [HIDDEN, 16], 0.0)
    else:
        h = _grid(u, state["field.mlp_base.0.tcnn_encoding.params"], LEVELS, FINEST)
        h = _mlp(state, "field.mlp_base.1", h, [HIDDEN, 16])
    level = kind.level if kind.model == "nerfacto" else 1.0
    density = level * np.exp(h[:, 0]) * inside
    every = state["field.embedding_appearance.embedding.weight"].double().numpy()
    is_mean = kind.mean and kind.model == "nerfacto"
    appearance = every.mean(0) if is_mean else np.zeros(APPEARANCE)
    view = theirs((d + 1) / 2) if kind.form == "torch" else hand.harmonics(d)
    inputs = np.concatenate([view, h[:, 1:], np.tile(appearance, (len(d), 1))], 1)
    rgb = 1 / (1 + np.exp(-_mlp(state, "field.mlp_head", inputs, [HIDDEN, HIDDEN, 3])))
    return density, rgb


def theirs(v: np.ndarray) -> np.ndarray:
    """Harmonics of the program's own, of any vector: x^2 + y^2 + z^2 taken as 1."""
    x, y, z = v.T
    return np.stack(
        [
            np.full_like(x, 0.28209479177387814),
            0.4886025119029199 * y, 0.4886025119029199 * z, 0.4886025119029199 * x,
            1.0925484305920792 * x * y, 1.0925484305920792 * y * z,
            0.9461746957575601 * z * z - 0.31539156525252,
            1.0925484305920792 * x * z, 0.5462742152960396 * (x * x - y * y),
            0.5900435899266435 * y * (3 * x * x - y * y), 2.890611442640554 * x * y * z,
            0.4570457994644658 * y * (5 * z * z - 1), 0.3731763325901154 * z * (5 * z * z - 3),
            0.4570457994644658 * x * (5 * z * z - 1), 1.445305721320277 * z * (x * x - y * y),
            0.5900435899266435 * x * (x * x - 3 * y * y),
        ],
        1,
    )  # fmt: skip


def _weights(density: np.ndarray, t: np.ndarray) -> np.ndarray:
    thickness = density * np.diff(t, axis=1)
    before = np.cumsum(thickness, 1) - thickness
    return (1 - np.exp(-thickness)) * np.exp(-before)


def pixels(kind: Kind, origins: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """Colours of rays [r, 3] of the user's frame, as nerfacto renders them."""
    transform, _ = turned()
    o, d = to_model(origins), directions @ transform[:, :3].T
    far = 1 - 1 / (2 * 1000.0)

    def to_t(s: np.ndarray) -> np.ndarray:
        s = s * far
        return np.where(s < 0.5, 2 * s, 1 / (2 - 2 * s))

    state = {name.removeprefix("_model."): value for name, value in state_of(kind).items()}
    s = np.tile(np.linspace(0, 1, ROUNDS[0] + 1), (len(o), 1))
    for i, count in enumerate((ROUNDS[1], SAMPLES)):
        t, spec, name = to_t(s), PROPOSALS[i], f"proposal_networks.{i}"
        y = o[:, None] + d[:, None] * ((t[:, 1:] + t[:, :-1]) / 2)[..., None]
        u, inside = unit(kind, y.reshape(-1, 3))
        base = f"{name}.encoding" if kind.linear else f"{name}.mlp_base.0"
        last = "hash_table" if kind.form == "torch" else "tcnn_encoding.params"
        h = _grid(u, state[f"{base}.{last}"], spec["levels"], spec["finest"])
        if kind.linear:
            h = h @ state[f"{name}.linear.weight"].double().numpy().T
            h = h + state[f"{name}.linear.bias"].double().numpy()
        else:
            h = _mlp(state, f"{name}.mlp_base.1", h, [HIDDEN, 1])
        density = (kind.level * np.exp(h[:, 0]) * inside).reshape(t.shape[0], -1)
        weights = _weights(density, t) + 0.01
        cdf = np.concatenate([np.zeros((len(o), 1)), np.cumsum(weights, 1)], 1)
        cdf /= cdf[:, -1:]
        at = (np.arange(count + 1) + 0.5) / (count + 1)
        s = np.stack([np.interp(at, c, row) for c, row in zip(cdf, s, strict=True)])
    t = to_t(s)
    y = o[:, None] + d[:, None] * ((t[:, 1:] + t[:, :-1]) / 2)[..., None]
    u, inside = unit(kind, y.reshape(-1, 3))
    density, rgb = seen(kind, u, inside, np.repeat(d, SAMPLES, 0))
    rgb = rgb.reshape(len(o), SAMPLES, 3)
    weights = _weights(density.reshape(len(o), SAMPLES), t)
    color = (weights[..., None] * rgb).sum(1)
    left = 1 - weights.sum(1, keepdims=True)
    behind = {"last_sample": rgb[:, -1], "white": 1.0, "black": 0.0, "random": 0.0}[kind.behind]
    return color + left * behind
