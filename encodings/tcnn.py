"""The hash grid of tiny-cuda-nn, and its weights to and from our own hash grid.

Optional: it needs an NVIDIA GPU and the package `tinycudann`. Both grids follow the same rules
(kernels/hash_grid.py), and the parameters lie in the same order: the levels one after the other,
each [entries, features] row-major.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn

from polyfield.backends import optional
from polyfield.encodings.base import Encoding
from polyfield.encodings.hash_grid import HashGrid, growth
from polyfield.encodings.kernels.hash_grid import Levels
from polyfield.errors import InputError
from polyfield.ranges import OneOf, Range, check


@dataclass(frozen=True)
class TcnnHashGrid:
    """tiny-cuda-nn's hash grid: the choices of `HashGrid`, entries in fp16, on an NVIDIA GPU."""

    levels: Annotated[int, Range(1, 32)] = 16
    """L, number of grids."""
    features: Annotated[int, OneOf((1, 2, 4, 8))] = 2
    """F, values an entry: 1, 2, 4 or 8."""
    log2_size: Annotated[int, Range(1, 24)] = 19
    """Entries of a level are capped at 2^log2_size."""
    base_resolution: Annotated[int, Range(1, 1 << 20)] = 16
    """Resolution of the coarsest grid."""
    finest_resolution: Annotated[int, Range(1, 1 << 20)] = 2048
    """Resolution of the finest grid; each is finer than the last by the same factor."""
    interpolation: Literal["linear", "smoothstep"] = "linear"
    """Weights between corners. Smoothstep has a continuous gradient in the coordinates."""

    def build(self, in_dim: int) -> TcnnHashGridEncoding:
        """The module for d = in_dim in 2, 3, 4, on the current CUDA device.

        Raises:
            InputError: impossible values, or tiny-cuda-nn can't be used here.
        """
        check(self)
        levels = self.geometry(in_dim)
        tinycudann = optional.load(optional.TINYCUDANN)
        choices = {
            "otype": "HashGrid",
            "n_levels": self.levels,
            "n_features_per_level": self.features,
            "log2_hashmap_size": self.log2_size,
            "base_resolution": self.base_resolution,
            "per_level_scale": growth(self.levels, (self.base_resolution, self.finest_resolution)),
            "interpolation": self.interpolation.capitalize(),
        }
        native = tinycudann.Encoding(in_dim, choices, int(torch.randint(2**31, ())))
        return TcnnHashGridEncoding(native, levels, self.features)

    def geometry(self, in_dim: int) -> Levels:
        """The levels, as `HashGrid` has them: what `from_tcnn` and `to_tcnn` ask for."""
        if in_dim not in (2, 3, 4):
            raise InputError("2, 3 or 4 coordinates for TcnnHashGrid", str(in_dim), "use HashGrid")
        same = HashGrid(
            self.levels,
            self.features,
            self.log2_size,
            self.base_resolution,
            self.finest_resolution,
        )
        return same.geometry(in_dim)


class TcnnHashGridEncoding(Encoding):
    """x in [0,1]^d -> L * F features in float32, coarse levels first."""

    ordered = True

    def __init__(self, native: Any, levels: Levels, features: int) -> None:
        """Wrap `native`, a tinycudann.Encoding with these levels."""
        super().__init__()
        self.in_dim, self.out_dim = levels.dim, len(levels.scales) * features
        self.levels, self.features, self.native = levels, features, native

    def tables(self) -> list[nn.Parameter]:
        """The grid entries, float32."""
        return [self.native.params]

    def forward(self, x: Float[Tensor, "*n d"]) -> Float[Tensor, "*n c"]:
        """Features of x in [0,1]^d (clamped), on a CUDA device."""
        optional.on_cuda(optional.TINYCUDANN, x)
        flat = x.reshape(-1, self.in_dim).float().clamp(0, 1)
        values = self.native(flat).float() if len(flat) else flat.new_zeros(0, self.out_dim)
        return values.view(*x.shape[:-1], self.out_dim)

    def intermediate_features(self, x: Float[Tensor, "n d"]) -> tuple[Tensor, ...]:
        """The coarser third of the levels, two thirds, all of them."""
        values, levels = self(x), len(self.levels.scales)
        counts = dict.fromkeys(max(1, levels * part // 3) for part in (1, 2, 3))
        return tuple(values[:, : count * self.features] for count in counts)


def from_tcnn(params: Float[Tensor, "p"], levels: Levels, features: int) -> Float[Tensor, "p"]:
    """The table of our hash grid out of the parameters of tiny-cuda-nn's.

    Args:
        params: [levels.entries * features], fp16 or fp32: `params` of its Encoding; behind the
            network's in those of its NetworkWithInputEncoding, params[fields.tcnn.size(...):].
        levels: The geometry of both.
        features: F, values an entry.

    Returns:
        [levels.entries * features] float32, for `HashGridEncoding.table`.

    Raises:
        InputError: not as many values as that geometry has.
    """
    _check(params, levels, features, "parameters of tiny-cuda-nn's hash grid")
    return params.detach().to(torch.float32, copy=True)


def to_tcnn(
    table: Float[Tensor, "p"], levels: Levels, features: int, dtype: torch.dtype = torch.float32
) -> Float[Tensor, "p"]:
    """The parameters of tiny-cuda-nn's hash grid out of our table.

    Args:
        table: [levels.entries * features], `HashGridEncoding.table`.
        levels: The geometry of both.
        features: F, values an entry.
        dtype: float32, as its PyTorch module keeps them, or float16, as it computes with them.

    Returns:
        [levels.entries * features].

    Raises:
        InputError: not as many values as that geometry has.
    """
    _check(table, levels, features, "entries of a hash grid")
    return table.detach().to(dtype, copy=True)


def _check(values: Tensor, levels: Levels, features: int, kind: str) -> None:
    wanted = levels.entries * features
    if values.shape != (wanted,):
        raise InputError(
            f"a flat vector of {wanted} values, the {kind} with {len(levels.scales)} levels of "
            f"resolution {levels.resolutions[0]} to {levels.resolutions[-1]} and {features} "
            "features",
            f"shape {list(values.shape)}",
            "give it the levels, features, sizes and resolutions it was trained with",
        )
