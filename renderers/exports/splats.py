"""A model as Gaussian splats: a start for an optimiser of splats, not a finished model.

Each splat is a disc on a point that the training views see, as wide as the gap to its neighbours.
Nothing is optimised: programs show a soft likeness. Source: Kerbl et al. 2023 (3DGS), the layout of
their .ply; antimatter15/splat, the layout of .splat.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

import numpy as np
from jaxtyping import Float32, Float64

from polyfield import extras
from polyfield.files import write_whole
from polyfield.ranges import Range
from polyfield.renderers.exports.ply import normals, ply
from polyfield.renderers.exports.points import Points, chosen, displayed, fused
from polyfield.renderers.exports.source import Source, Tell
from polyfield.renderers.exports.writing import writing

SH0 = 0.28209479177387814
"""The spherical harmonic of degree 0."""
OPACITY = 0.9
NEIGHBOURS = 3
"""Whose mean distance is the width of a disc ..."""
FLAT = 0.1
"""... and so much of it its thickness."""


@dataclass(frozen=True)
class Splats:
    """Points as discs: where training of Gaussian splats may begin, without optimisation."""

    name: ClassVar[str] = "splats"
    endings: ClassVar[tuple[str, ...]] = (".ply", ".splat")
    count: Annotated[int, Range(1, 1 << 26)] = 200_000
    """Most splats."""
    views: Annotated[int, Range(1, 1 << 16)] = Points.views
    """Most views that are drawn for them, evenly spread."""
    bounds: tuple[float, float, float, float, float, float] | None = None
    """Box that is exported, xmin ymin zmin xmax ymax zmax, the data's own frame; default the
    scene's, and some around one without end."""

    def write(self, source: Source, path: Path, tell: Tell) -> str:
        """Draw, fuse, write."""
        model = source.radiant(self.name)
        cloud = fused(model, chosen(source, self.views, self.name), self.bounds, self.count, tell)
        found = _Discs(
            cloud.points.astype(np.float32),
            cloud.normals.astype(np.float32),
            displayed(cloud.colors, model.color_space),
            _scales(cloud.points),
            _turns(cloud.normals),
        )
        content = found.splat() if path.suffix.lower() == ".splat" else found.ply()
        with writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, lambda temporary: temporary.write_bytes(content))
        return f"{len(cloud.points)} splats to begin with: nothing is optimised"


@dataclass(frozen=True)
class _Discs:
    points: Float32[np.ndarray, "n 3"]
    normals: Float32[np.ndarray, "n 3"]
    colors: np.ndarray
    """uint8, sRGB."""
    scales: Float32[np.ndarray, "n 3"]
    """Standard deviations along the disc's own axes, the last across it."""
    turns: Float32[np.ndarray, "n 4"]
    """Quaternions w x y z."""

    def ply(self) -> bytes:
        """As 3DGS writes them."""
        columns = dict(zip(("x", "y", "z"), self.points.T, strict=True))
        columns |= normals(self.normals)
        dc = ((self.colors / 255 - 0.5) / SH0).astype(np.float32)
        columns |= {f"f_dc_{k}": dc[:, k] for k in range(3)}
        logit = math.log(OPACITY / (1 - OPACITY))
        columns["opacity"] = np.full(len(self.points), logit, np.float32)
        columns |= {f"scale_{k}": np.log(self.scales[:, k]) for k in range(3)}
        columns |= {f"rot_{k}": self.turns[:, k] for k in range(4)}
        return ply(columns)

    def splat(self) -> bytes:
        """32 bytes each: place, scales, colour and opacity, turn; the largest first."""
        kinds = [("place", "<f4", 3), ("scale", "<f4", 3), ("rgba", "u1", 4), ("turn", "u1", 4)]
        table = np.empty(len(self.points), kinds)
        table["place"], table["scale"] = self.points, self.scales
        table["rgba"][:, :3], table["rgba"][:, 3] = self.colors, round(255 * OPACITY)
        table["turn"] = np.clip(np.round(self.turns * 128 + 128), 0, 255)
        return table[np.argsort(-self.scales.prod(1), kind="stable")].tobytes()


def _scales(points: Float64[np.ndarray, "n 3"]) -> Float32[np.ndarray, "n 3"]:
    """Half the mean distance to the nearest neighbours, and little across."""
    tree = extras.load("scipy.spatial", "SciPy", "--to splats", "mesh").cKDTree(points)
    near = min(NEIGHBOURS, len(points) - 1)
    distance = np.ones(len(points))
    if near:
        distance = tree.query(points, near + 1)[0][:, 1:].mean(1)
    # A lone point far away is no wall.
    wide = np.clip(distance, 1e-12, 4 * np.median(distance)) / 2
    return np.stack([wide, wide, FLAT * wide], 1).astype(np.float32)


def _turns(vectors: Float64[np.ndarray, "n 3"]) -> Float32[np.ndarray, "n 4"]:
    """The least rotations that take z to vectors of length 1."""
    x, y, z = vectors.T
    half = np.stack([1 + z, -y, x, np.zeros_like(x)], 1)
    half[z < -1 + 1e-6] = [0.0, 1.0, 0.0, 0.0]
    return (half / np.linalg.norm(half, axis=1, keepdims=True)).astype(np.float32)
