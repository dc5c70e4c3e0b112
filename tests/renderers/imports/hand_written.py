"""A snapshot of instant-ngp written by hand, and its field by a plain reference of the paper."""

from __future__ import annotations

import math
import zlib
from pathlib import Path
from typing import Any

import msgpack
import numpy as np

PRIMES = (1, 2654435761, 805459861)
CELLS = 128
LEVELS, FEATURES, LOG2, BASE, WIDTH = 8, 4, 10, 16, 64
SCALE, OFFSET = 0.33, (0.5, 0.4, 0.6)


def resolutions(growth: float, levels: int = LEVELS) -> list[tuple[float, int]]:
    """Scale and resolution of each level, in float32."""
    step, found = np.log2(np.float32(growth)), []
    for level in range(levels):
        scale = np.exp2(np.float32(level) * step) * np.float32(BASE) - np.float32(1)
        found.append((float(scale), math.ceil(scale) + 1))
    return found


def entries(resolution: int, dim: int, log2: int) -> int:
    """Of a level."""
    return min((resolution**dim + 7) // 8 * 8, 1 << log2)


def random_params(widths: list[list[int]], growth: float, dim: int, **grid: int) -> np.ndarray:
    """Numbers of both networks, outputs padded to 16, and of the grid; half precision."""
    generator = np.random.default_rng(0)
    parts = []
    for *inner, last in widths:
        sizes = [*inner, (last + 15) // 16 * 16]
        for i, o in zip(sizes, sizes[1:], strict=False):
            parts.append(generator.normal(size=o * i) * math.sqrt(1.5 / i))
    for _, resolution in resolutions(growth, grid.get("levels", LEVELS)):
        count = entries(resolution, dim, grid.get("log2", LOG2)) * grid.get("features", FEATURES)
        parts.append(generator.normal(size=count) * 0.5)
    return np.concatenate(parts).astype("<f2")


def grid_of(x: np.ndarray, table: np.ndarray, growth: float, **grid: int) -> np.ndarray:
    """Features of points [n, d] of [0,1]^d, one level after the other, corner by corner."""
    levels, features = grid.get("levels", LEVELS), grid.get("features", FEATURES)
    n, dim = x.shape
    found, at = [], 0
    for scale, resolution in resolutions(growth, levels):
        count = entries(resolution, dim, grid.get("log2", LOG2))
        level = table[at : at + count * features].reshape(count, features).astype(np.float64)
        at += count * features
        # Rounded once, as a fused multiply-add does.
        place = (x.astype(np.float64) * scale + 0.5).astype(np.float32).astype(np.float64)
        cell = np.floor(place).astype(np.int64)
        part = place - cell
        total = np.zeros((n, features))
        for corner in range(1 << dim):
            weight, index = np.ones(n), np.zeros(n, np.uint64)
            for axis in range(dim):
                bit = corner >> axis & 1
                weight *= part[:, axis] if bit else 1 - part[:, axis]
                c = (cell[:, axis] + bit).astype(np.uint64)
                if resolution**dim > count:
                    index ^= c * np.uint64(PRIMES[axis]) & np.uint64(0xFFFFFFFF)
                else:
                    index += c * np.uint64(resolution**axis)
            total += weight[:, None] * level[(index % np.uint64(count)).astype(np.int64)]
        found.append(total)
    return np.concatenate(found, 1)


def network_of(x: np.ndarray, params: np.ndarray, widths: list[int]) -> tuple[np.ndarray, int]:
    """A perceptron, and how many numbers it has."""
    sizes, at = [*widths[:-1], (widths[-1] + 15) // 16 * 16], 0
    for layer, (i, o) in enumerate(zip(sizes, sizes[1:], strict=False)):
        matrix = params[at : at + o * i].reshape(o, i).astype(np.float64)
        at += o * i
        x = x @ matrix.T
        if layer < len(sizes) - 2:
            x = np.maximum(x, 0)
    return x[:, : widths[-1]], at


def harmonics(d: np.ndarray) -> np.ndarray:
    """Sloan 2008, the real spherical harmonics of four bands, with the Condon-Shortley phase."""
    x, y, z = d.T
    pi = math.pi
    return np.stack(
        [
            np.full_like(x, math.sqrt(1 / (4 * pi))),
            -math.sqrt(3 / (4 * pi)) * y,
            math.sqrt(3 / (4 * pi)) * z,
            -math.sqrt(3 / (4 * pi)) * x,
            math.sqrt(15 / (4 * pi)) * x * y,
            -math.sqrt(15 / (4 * pi)) * y * z,
            math.sqrt(5 / (16 * pi)) * (3 * z * z - 1),
            -math.sqrt(15 / (4 * pi)) * x * z,
            math.sqrt(15 / (16 * pi)) * (x * x - y * y),
            -math.sqrt(35 / (32 * pi)) * y * (3 * x * x - y * y),
            math.sqrt(105 / (4 * pi)) * x * y * z,
            -math.sqrt(21 / (32 * pi)) * y * (5 * z * z - 1),
            math.sqrt(7 / (16 * pi)) * z * (5 * z * z - 3),
            -math.sqrt(21 / (32 * pi)) * x * (5 * z * z - 1),
            math.sqrt(105 / (16 * pi)) * z * (x * x - y * y),
            -math.sqrt(35 / (32 * pi)) * x * (x * x - 3 * y * y),
        ],
        1,
    )


def scene_widths() -> list[list[int]]:
    """Of the network of density and of that of colour."""
    return [[LEVELS * FEATURES, WIDTH, 16], [32, WIDTH, WIDTH, 3]]


def scene_growth(cubes: int) -> float:
    """As the program works it out."""
    return float(np.exp(np.log(np.float32(2048 * cubes / BASE)) / np.float32(LEVELS - 1)))


def place_of(points: np.ndarray, cubes: int) -> np.ndarray:
    """Where in the box, [0,1]^3 in the program's axes, points of the user's are."""
    cube = (points * SCALE + OFFSET)[:, [1, 2, 0]]
    return (cube - (0.5 - cubes / 2)) / cubes


def seen(
    place: np.ndarray, directions: np.ndarray, params: np.ndarray, cubes: int
) -> tuple[np.ndarray, np.ndarray]:
    """Density per length of the user's, and colour: at places in the box, along the user's."""
    (density, color), values = scene_widths(), params.astype(np.float64)
    first = sum(i * o for i, o in zip(density, density[1:], strict=False))
    second = first + 32 * WIDTH + WIDTH * WIDTH + WIDTH * 16
    features = grid_of(place, values[second:], scene_growth(cubes))
    v, _ = network_of(features, values[:first], density)
    view = harmonics(directions[:, [1, 2, 0]])
    raw, _ = network_of(np.concatenate([v, view], 1), values[first:second], color)
    return np.exp(v[:, 0]) * SCALE, 1 / (1 + np.exp(-raw))


def morton(x: int, y: int, z: int) -> int:
    """Bits of x, y and z in turn, x lowest."""
    found = 0
    for bit in range(7):
        found |= (x >> bit & 1) << 3 * bit
        found |= (y >> bit & 1) << 3 * bit + 1
        found |= (z >> bit & 1) << 3 * bit + 2
    return found


def pose() -> np.ndarray:
    """Of a camera of the user's, in OpenGL axes: at (3, -2, 1), looking at zero."""
    at = np.array([3.0, -2.0, 1.0])
    back = at / np.linalg.norm(at)
    right = np.cross([0.0, 0.0, 1.0], back)
    right /= np.linalg.norm(right)
    found = np.eye(4)
    found[:3] = np.stack([right, np.cross(back, right), back, at], 1)
    return found


def theirs(matrix: np.ndarray) -> list[list[float]]:
    """A pose as the program keeps it: y and z turned round, scaled, moved, axes y z x."""
    found = matrix[:3].copy()
    found[:, 1:3] *= -1
    found[:, 3] = found[:, 3] * SCALE + OFFSET
    return found[[1, 2, 0]].tolist()


def scene_tree(cubes: int = 1, cells: np.ndarray | None = None) -> dict[str, Any]:
    """A scene of so many unit cubes."""
    growth = scene_growth(cubes)
    if cells is None:
        cells = np.ones((cubes.bit_length(), CELLS**3))
    box = {"min": [0.5 - cubes / 2] * 3, "max": [0.5 + cubes / 2] * 3}
    bent = {"k1": 0.1, "k2": 0.0, "p1": 0.0, "p2": 0.0}
    lens = {"resolution": [40, 30], "focal_length": [50.0, 51.0], "principal_point": [0.5, 0.4]}
    return {
        "encoding": {
            "otype": "HashGrid", "n_levels": LEVELS, "n_features_per_level": FEATURES,
            "log2_hashmap_size": LOG2, "base_resolution": BASE,
        },
        "dir_encoding": {
            "otype": "Composite",
            "nested": [
                {"n_dims_to_encode": 3, "otype": "SphericalHarmonics", "degree": 4},
                {"otype": "Identity"},
            ],
        },
        "network": {
            "otype": "FullyFusedMLP", "activation": "ReLU", "output_activation": "None",
            "n_neurons": WIDTH, "n_hidden_layers": 1,
        },
        "rgb_network": {
            "otype": "FullyFusedMLP", "activation": "ReLU", "output_activation": "None",
            "n_neurons": WIDTH, "n_hidden_layers": 2,
        },
        "snapshot": {
            "version": 1,
            "mode": "nerf",
            "params_type": "__half",
            "params_binary": random_params(scene_widths(), growth, 3).tobytes(),
            "training_step": 35000,
            "density_grid_size": CELLS,
            "density_grid_binary": cells.astype("<f2").tobytes(),
            "aabb": box,
            "background_color": [1.0, 0.5, 0.25, 1.0],
            "nerf": {
                "aabb_scale": cubes,
                "dataset": {
                    "aabb_scale": cubes, "scale": SCALE, "offset": list(OFFSET),
                    "from_mitsuba": False, "is_hdr": False, "n_extra_learnable_dims": 0,
                    "paths": ["images/a.png", "images/b.png"],
                    "xforms": [{"start": theirs(pose()), "end": theirs(pose())}] * 2,
                    "metadata": [lens, {**lens, "lens": bent}],
                },
            },
        },
    }  # fmt: skip


IMAGE = {"levels": 16, "features": 2, "log2": 12}
SIZE = (300, 200)


def image_growth() -> float:
    """Its finest level has as many cells as half of the longer side has pixels."""
    return float(np.exp(np.log(np.float32(SIZE[0] / 2 / BASE)) / np.float32(15)))


def image_tree() -> dict[str, Any]:
    """An image."""
    params = random_params([[32, WIDTH, WIDTH, 3]], image_growth(), 2, **IMAGE)
    return {
        "encoding": {
            "otype": "HashGrid", "n_levels": 16, "n_features_per_level": 2,
            "log2_hashmap_size": 12, "base_resolution": BASE,
        },
        "network": {
            "otype": "FullyFusedMLP", "activation": "ReLU", "output_activation": "None",
            "n_neurons": WIDTH, "n_hidden_layers": 2,
        },
        "snapshot": {
            "mode": "image", "params_type": "__half", "params_binary": params.tobytes(),
            "training_step": 1000,
        },
    }  # fmt: skip


def write(path: Path, tree: dict[str, Any]) -> Path:
    """As the program does: compressed where the name ends so."""
    content = msgpack.packb(tree, use_bin_type=True)
    if path.suffix == ".ingp":
        engine = zlib.compressobj(wbits=31)
        content = engine.compress(content) + engine.flush()
    path.write_bytes(content)
    return path
