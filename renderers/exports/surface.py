"""The surface where density passes a level, as triangles: marching cubes, block by block.

Blocks in which nothing is occupied are never sampled, so that 512 cells an axis take the memory of
one block and of the surface. Source: Lorensen and Cline 1987, in Lewiner's form (scikit-image).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float64, Int64
from torch import Tensor

from polyfield import extras
from polyfield.errors import InputError
from polyfield.renderers.exports.source import ROWS, Radiant, Tell
from polyfield.scenes.cameras import Camera

BLOCK = 64
"""Cells along the edge of a block."""
GRID = 4096
"""Places on an edge of a cell that vertices of neighbouring blocks are told apart by."""
CAMERAS, SIDE = 8, 48
"""Cameras, and pixels of each along a side, by which the level is found."""
MOST = 16_000_000
"""Vertices of all blocks: a mesh of a gigabyte, which no program opens."""
SEEN = 0.5
"""Opacity of a pixel below which it has met nothing."""
FEWEST = 64
"""Pixels that meet something, below which they say nothing of the level."""
USUAL = 25.0
"""Density per edge of the box that is taken for a surface where no camera tells."""


@dataclass(frozen=True)
class Surface:
    """Triangles in the user's frame; their vertices run anticlockwise as seen from outside."""

    vertices: Float64[np.ndarray, "n 3"]
    faces: Int64[np.ndarray, "m 3"]


def level_of(model: Radiant, cameras: Sequence[Camera]) -> float:
    """The density, per the user's length, at the depth that cameras see: the median of pixels.

    A surface at that level is where pictures show it, however soft the field is.
    """
    low, high = model.bounds.double()
    usual = USUAL / float((high - low).max())
    step = max(len(cameras) // CAMERAS, 1)
    found = []
    for camera in cameras[::step][:CAMERAS]:
        scale = SIDE / max(camera.width, camera.height)
        small = camera.resized(
            max(round(camera.width * scale), 1), max(round(camera.height * scale), 1)
        )
        seen, rays = model.render(small), small.rays()
        origin = small.pose[:3, 3]
        x = origin + seen.depth[..., None].double() * rays.directions.double()
        met = (seen.opacity > SEEN) & ((x >= low) & (x <= high)).all(-1)
        if bool(met.any()):
            found.append(model.density(x[met].to(model.device)).cpu())
    density = torch.cat(found) if found else torch.zeros(0)
    return float(density.median()) if len(density) >= FEWEST else usual


def surface(
    model: Radiant, box: Float64[Tensor, "2 3"], resolution: int, level: float, tell: Tell
) -> Surface:
    """The surface within a box.

    Args:
        model: what has a density.
        box: corners, the user's frame.
        resolution: cells along its longest edge.
        level: density per the user's length.
        tell: shows progress.

    Raises:
        InputError: nothing passes the level, or far too much does.
        MissingBackend: scikit-image is not installed.
    """
    measure = extras.load("skimage.measure", "scikit-image", "--to mesh", "mesh")
    low, edges = box[0], box[1] - box[0]
    cell = float(edges.max()) / resolution
    counts = [max(math.ceil(float(edge) / cell - 1e-6), 1) for edge in edges]
    # One cell more on each side, where there is nothing, closes the surface at the box.
    places = list(itertools.product(*(range(-1, count + 1, BLOCK) for count in counts)))
    vertices: list[np.ndarray] = []
    faces: list[np.ndarray] = []
    total, told = 0, 0.0
    for number, corner in enumerate(places):
        shape = [min(BLOCK, count + 1 - at) + 1 for count, at in zip(counts, corner, strict=True)]
        values = _block(model, box, cell, corner, shape)
        if values is not None and values.min() < level < values.max():
            points, triangles, _, _ = measure.marching_cubes(
                values, level, allow_degenerate=False, gradient_direction="ascent"
            )
            vertices.append(points.astype(np.float64) + np.array(corner))
            faces.append(triangles.astype(np.int64) + total)
            total += len(points)
        if total > MOST:
            raise InputError(
                f"a surface of at most {MOST / 1e6:.0f} million vertices",
                f"more in {(number + 1) / len(places):.0%} of the box: fog, or a field that has "
                "hardly been trained",
                "give a higher --level, a lower --resolution, or train for longer",
            )
        share = (number + 1) / len(places)
        if share - told >= 0.1:
            told = share
            tell(f"surface: {share:.0%} of the box, {total} vertices")
    if not total:
        raise InputError(
            f"something in the box with a density above {level:.3g}",
            "nothing",
            "give a lower --level, or other --bounds",
        )
    found = _welded(np.concatenate(vertices), np.concatenate(faces))
    return Surface(found.vertices * cell + low.numpy(), found.faces)


def _block(
    model: Radiant,
    box: Float64[Tensor, "2 3"],
    cell: float,
    corner: Sequence[int],
    shape: Sequence[int],
) -> np.ndarray | None:
    """Density at the corners of a block's cells, 0 outside the box; None if nothing is occupied."""
    axes = [torch.arange(n, dtype=torch.float64) + at for n, at in zip(shape, corner, strict=True)]
    stride = max(1, min(BLOCK // 4, int(model.cell / cell))) if model.cell < math.inf else BLOCK
    coarse = torch.cartesian_prod(*(torch.cat([axis[::stride], axis[-1:]]) for axis in axes))
    if not bool(model.is_occupied((box[0] + cell * coarse).to(model.device)).any()):
        return None
    x = box[0] + cell * torch.cartesian_prod(*axes)
    parts = [model.density(part.to(model.device)).float().cpu() for part in x.split(ROWS)]
    slack = 1e-6 * cell
    inside = ((x >= box[0] - slack) & (x <= box[1] + slack)).all(1)
    return np.asarray((torch.cat(parts) * inside).view(*shape).numpy())


def _welded(vertices: np.ndarray, faces: np.ndarray) -> Surface:
    """The same triangles with one vertex where blocks have one each; none without an area."""
    place = np.round((vertices + 1) * GRID).astype(np.int64)
    span = place.max(0) + 1
    key = (place[:, 0] * span[1] + place[:, 1]) * span[2] + place[:, 2]
    _, first, inverse = np.unique(key, return_index=True, return_inverse=True)
    faces = inverse[faces]
    apart = (
        (faces[:, 0] != faces[:, 1]) & (faces[:, 1] != faces[:, 2]) & (faces[:, 2] != faces[:, 0])
    )
    return Surface(vertices[first], faces[apart])


def without_specks(found: Surface, share: float) -> Surface:
    """Without connected pieces that have less than a share of the largest one's triangles."""
    if share <= 0 or not len(found.faces):
        return found
    graph = extras.load("scipy.sparse.csgraph", "SciPy", "--to mesh", "mesh")
    sparse = extras.load("scipy.sparse", "SciPy", "--to mesh", "mesh")
    count = len(found.vertices)
    edges = np.concatenate([found.faces[:, :2], found.faces[:, 1:]])
    pairs = sparse.coo_matrix((np.ones(len(edges), bool), edges.T), (count, count))
    _, piece = graph.connected_components(pairs, directed=False)
    sizes = np.bincount(piece[found.faces[:, 0]])
    large = sizes >= share * sizes.max()
    return compact(Surface(found.vertices, found.faces[large[piece[found.faces[:, 0]]]]))


def compact(found: Surface) -> Surface:
    """Without vertices that no triangle has."""
    used, inverse = np.unique(found.faces, return_inverse=True)
    return Surface(found.vertices[used], inverse.reshape(-1, 3).astype(np.int64))
