"""Tensors of a nerfstudio model -> those of our grids and perceptrons.

Facts of the program and of tiny-cuda-nn, none of their code. A checkpoint keeps modules under the
names they have in Python: `field.mlp_base...`, `proposal_networks.0...`; their form tells who
computed. tiny-cuda-nn: one vector `params`, of a grid, of a network, or of a network with the grid
behind it. A network's inputs are padded to its alignment: behind a grid of its own by zeros, by
themselves by ONES, whose columns are a bias. PyTorch: `hash_table` [levels 2^T, features] and
`layers.N.weight`, `.bias`; its harmonics are asked at (d + 1) / 2 itself, not at d. On the sphere
those too are sums of the harmonics of d, and that sum goes into the first layer.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor

from polyfield.encodings.floor_grid import FloorGrid
from polyfield.encodings.growth_grid import GrowthGrid
from polyfield.encodings.hash_grid import growth
from polyfield.encodings.kernels.spherical_harmonics import spherical_harmonics
from polyfield.errors import InputError
from polyfield.fields.kernels import mlp as kernel
from polyfield.renderers.imports.plain_pickle import Stored
from polyfield.renderers.imports.tcnn_params import PADDINGS, near, split
from polyfield.renderers.imports.torch_zip import TorchFile

Layer = tuple[Float[Tensor, "_o _i"], Float[Tensor, "_o"]]
ONLY = "only the program's own forms of its networks are read"
HARMONICS = 16


@dataclass(frozen=True)
class State:
    """The tensors of a model, by name; read when they are asked for."""

    file: TorchFile
    tensors: Mapping[str, Stored]

    def __contains__(self, name: str) -> bool:
        return name in self.tensors

    def starts(self, prefix: str) -> bool:
        """Whether there is anything below a name."""
        return any(name.startswith(prefix) for name in self.tensors)

    def raw(self, name: str, dim: int) -> Tensor:
        """A tensor as it is stored.

        Raises:
            InputError: there is none of so many dimensions.
        """
        stored = self.tensors.get(name)
        if stored is None or len(stored.shape) != dim:
            got = "none" if stored is None else f"shape {list(stored.shape)}"
            raise InputError(f"a tensor of {dim} dimensions for {name}"[:120], got[:80], ONLY)
        return self.file.read(stored)

    def get(self, name: str, dim: int) -> Tensor:
        """A tensor in float32, all its numbers finite."""
        found = self.raw(name, dim).float()
        if not bool(found.isfinite().all()):
            raise InputError(f"finite numbers for {name}"[:120], "others", "give one that trained")
        return found


def state_of(file: TorchFile) -> tuple[State, int]:
    """The model's tensors, and how many steps it had.

    Raises:
        InputError: a checkpoint of another program.
    """
    tree = file.tree
    pipeline = tree.get("pipeline") if isinstance(tree, dict) else None
    found = {
        name.removeprefix("_model.").removeprefix("module."): value
        for name, value in (pipeline.items() if isinstance(pipeline, dict) else ())
        if type(name) is str and name.startswith("_model.") and isinstance(value, Stored)
    }
    if not found:
        raise InputError("a checkpoint of nerfstudio", "another file of torch.save", "check it")
    step = tree.get("step")
    return State(file, found), step + 1 if type(step) is int and 0 <= step < 1 << 40 else 0


@dataclass(frozen=True)
class GridSpec:
    """What config.yml says of a grid."""

    levels: int
    features: int
    log2_size: int
    base: int
    finest: int

    @property
    def out_dim(self) -> int:
        """Features of all levels."""
        return self.levels * self.features


@dataclass(frozen=True)
class Part:
    """A grid and a perceptron."""

    grid: GrowthGrid | FloorGrid
    table: Float[Tensor, "p"]
    layers: Sequence[Layer]

    @property
    def values(self) -> Float[Tensor, "p"]:
        """Of the perceptron, as `MLP` with biases has them."""
        return flat(self.layers)


def flat(layers: Sequence[Layer]) -> Float[Tensor, "p"]:
    """Layers as one vector."""
    return torch.cat([part.reshape(-1) for layer in layers for part in layer])


def grid_and_network(state: State, name: str, spec: GridSpec, inner: Sequence[int]) -> Part:
    """A grid with the perceptron behind it.

    Args:
        state: the model.
        name: of the module that has both, such as `field.mlp_base`.
        spec: of the grid.
        inner: widths of the perceptron behind its inputs, outputs included.

    Raises:
        InputError: no form of the program's, or other sizes than config.yml says.
    """
    for key in (f"{name}.model.params", f"{name}.params"):
        if key in state:
            widths = [-(-spec.out_dim // 16) * 16, *inner]
            parts = split(state.get(key, 1), [widths], _growth_grid(spec), 3)
            layers = [(w, b) for w, b in _layers(parts.networks[0], widths)]
            first = layers[0][0][:, : spec.out_dim]
            return Part(parts.grid, parts.table, [(first, layers[0][1]), *layers[1:]])
    for grid, network in ((f"{name}.model.0", f"{name}.model.1"), (f"{name}.0", f"{name}.1")):
        if state.starts(f"{grid}.") and state.starts(f"{network}."):
            found, table = grid_of(state, grid, spec)
            return Part(found, table, network_of(state, network, [spec.out_dim, *inner]))
    raise InputError(f"a grid and a network for {name}", "none", ONLY)


def grid_of(
    state: State, name: str, spec: GridSpec
) -> tuple[GrowthGrid | FloorGrid, Float[Tensor, "p"]]:
    """A grid by itself."""
    if f"{name}.hash_table" in state:
        table = state.get(f"{name}.hash_table", 2)
        wanted = (spec.levels << spec.log2_size, spec.features)
        if table.shape != wanted:
            raise InputError(f"{list(wanted)} values for {name}", f"{list(table.shape)}", ONLY)
        grid = FloorGrid(spec.levels, spec.features, spec.log2_size, spec.base, spec.finest)
        return grid, table.reshape(-1)
    table, plain = state.get(f"{name}.tcnn_encoding.params", 1), _growth_grid(spec)
    for factor in near(plain.growth):
        fitting = replace(plain, growth=factor)
        if fitting.geometry(3).entries * spec.features == len(table):
            return fitting, table
    wanted_count = plain.geometry(3).entries * spec.features
    raise InputError(f"{wanted_count} values for {name}", str(len(table)), ONLY)


def network_of(state: State, name: str, widths: Sequence[int]) -> list[Layer]:
    """A perceptron by itself."""
    if f"{name}.layers.0.weight" in state:
        found = [
            (state.get(f"{name}.layers.{i}.weight", 2), state.get(f"{name}.layers.{i}.bias", 1))
            for i in range(len(widths) - 1)
        ]
        for (matrix, bias), i, o in zip(found, widths, widths[1:], strict=False):
            if matrix.shape != (o, i) or bias.shape != (o,):
                raise InputError(f"[{o}, {i}] weights for {name}", f"{list(matrix.shape)}", ONLY)
        return found
    key = f"{name}.tcnn_encoding.params"
    params = state.get(key if key in state else f"{name}.params", 1)
    for padding in PADDINGS:
        stored = [-(-widths[0] // padding) * padding, *widths[1:-1]]
        stored.append(-(-widths[-1] // padding) * padding)
        if kernel.size(stored, False) != len(params):
            continue
        layers = _layers(params, [*stored[:-1], widths[-1]])
        first, zero = layers[0]
        # What pads the inputs is 1: its columns are a bias.
        ones = first[:, widths[0] :].double().sum(1).float()
        return [(first[:, : widths[0]], zero + ones), *layers[1:]]
    raise InputError(
        f"a network of widths {list(widths)} for {name}", f"{len(params)} values", ONLY
    )


def linear_of(state: State, name: str) -> list[Layer]:
    """A single linear layer of PyTorch."""
    return [(state.get(f"{name}.weight", 2), state.get(f"{name}.bias", 1))]


def color_network(
    state: State, name: str, feature: int, inner: Sequence[int], appearance: Float[Tensor, "a"]
) -> list[Layer]:
    """The colour network on [harmonics of d, feature].

    Args:
        state: the model.
        name: of the module.
        feature: how many inputs the density network gives.
        inner: widths behind the inputs.
        appearance: what the program puts behind them, for every point; may be empty.
    """
    seen = HARMONICS + feature
    layers = network_of(state, name, [seen + len(appearance), *inner])
    first, bias = (part.double() for part in layers[0])
    bias = bias + first[:, seen:] @ appearance.double()
    sphere = first[:, :HARMONICS]
    if f"{name}.layers.0.weight" in state:
        sphere = sphere @ _shifted_harmonics()
    matrix = torch.cat([sphere, first[:, HARMONICS:seen]], 1)
    return [(matrix.float(), bias.float()), *layers[1:]]


def _growth_grid(spec: GridSpec) -> GrowthGrid:
    factor = growth(spec.levels, (spec.base, spec.finest))
    rounded = float(np.float32(factor))
    return GrowthGrid(spec.levels, spec.features, spec.log2_size, spec.base, rounded)


def _layers(params: Float[Tensor, "p"], widths: Sequence[int]) -> list[Layer]:
    """Layers without biases; what lies behind them is passed over."""
    views = kernel.layers(params, list(widths), False)
    return [(matrix, matrix.new_zeros(len(matrix))) for matrix, _ in views]


def _shifted_harmonics() -> Float64[Tensor, "16 16"]:
    """M with theirs((d + 1) / 2) = M ours(d) for all d of unit length.

    Theirs are the usual real ones written for x^2 + y^2 + z^2 = 1, all signs positive. In
    (d + 1) / 2 they are polynomials of degree 3 of d, and on the sphere the first 16 harmonics span
    those.
    """
    directions = torch.randn(256, 3, generator=torch.Generator().manual_seed(0)).double()
    directions = directions / directions.norm(dim=1, keepdim=True)
    x, y, z = ((directions + 1) / 2).unbind(1)

    def root(above: float, below: float) -> float:
        return math.sqrt(above / (below * math.pi))

    theirs = torch.stack(
        [
            torch.full_like(x, root(1, 4)),
            root(3, 4) * y,
            root(3, 4) * z,
            root(3, 4) * x,
            root(15, 4) * x * y,
            root(15, 4) * y * z,
            root(5, 16) * (3 * z**2 - 1),
            root(15, 4) * x * z,
            root(15, 16) * (x**2 - y**2),
            root(35, 32) * y * (3 * x**2 - y**2),
            root(105, 4) * x * y * z,
            root(21, 32) * y * (5 * z**2 - 1),
            root(7, 16) * z * (5 * z**2 - 3),
            root(21, 32) * x * (5 * z**2 - 1),
            root(105, 16) * z * (x**2 - y**2),
            root(35, 32) * x * (x**2 - 3 * y**2),
        ],
        1,
    )
    ours = spherical_harmonics(directions, 4).double()
    found: Tensor = torch.linalg.lstsq(ours, theirs).solution.T
    return found
