"""Colours of a mesh in an image: charts by xatlas, a colour for each texel, gaps filled.

Source: Levy et al. 2002 (charts by least squares), as xatlas makes them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float32, Float64, Int64

from polyfield import extras

CHUNK = 1 << 20
"""Texels looked at at once."""
PADDING = 2
"""Texels between charts."""
REACH = 0.5
"""Texels beyond its border that a triangle colours too, so that filtering finds no gap."""

Colors = Callable[
    [Float64[np.ndarray, "n 3"], Float64[np.ndarray, "n 3"]], Float32[np.ndarray, "n 3"]
]
"""Colours of points with normals."""


@dataclass(frozen=True)
class Textured:
    """A mesh whose vertices are doubled where charts part."""

    vertices: Float64[np.ndarray, "n 3"]
    normals: Float64[np.ndarray, "n 3"]
    faces: Int64[np.ndarray, "m 3"]
    uv: Float64[np.ndarray, "n 2"]
    """In [0, 1], v upwards."""
    image: Float32[np.ndarray, "s s 3"]
    """Rows downwards."""


def textured(
    vertices: Float64[np.ndarray, "n 3"],
    normals: Float64[np.ndarray, "n 3"],
    faces: Int64[np.ndarray, "m 3"],
    side: int,
    colors: Colors,
) -> Textured:
    """Lay a mesh out in an image of `side` texels and colour it.

    Raises:
        MissingBackend: xatlas or SciPy is not installed.
    """
    xatlas = extras.load("xatlas", "xatlas", "--texture", "mesh")
    atlas = xatlas.Atlas()
    # In numbers about 1: float32, wherever the data is.
    middle, extent = vertices.mean(0), float(np.ptp(vertices, axis=0).max()) or 1.0
    atlas.add_mesh(((vertices - middle) / extent).astype(np.float32), faces.astype(np.uint32))
    options = xatlas.PackOptions()
    options.resolution, options.padding, options.create_image = side, PADDING, False
    options.bilinear = True
    atlas.generate(pack_options=options)
    origin, triangles, uv = atlas[0]
    # A chart that doesn't fit makes the atlas larger: its coordinates are of all of it.
    uv = uv.astype(np.float64)
    places, shape = vertices[origin], normals[origin]
    corners = triangles.astype(np.int64)
    face, weights, texel = _texels(uv * side, corners, side)
    image, known = np.zeros((side * side, 3), np.float32), np.zeros(side * side, bool)
    for at in range(0, len(face), CHUNK):
        part = slice(at, at + CHUNK)
        of = corners[face[part]]
        x = (weights[part, :, None] * places[of]).sum(1)
        normal = (weights[part, :, None] * shape[of]).sum(1)
        normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-12)
        image[texel[part]] = colors(x, normal)
        known[texel[part]] = True
    image = _filled(image.reshape(side, side, 3), known.reshape(side, side))
    return Textured(places, shape, corners, np.stack([uv[:, 0], 1 - uv[:, 1]], 1), image)


def _texels(
    uv: Float64[np.ndarray, "n 2"], faces: Int64[np.ndarray, "m 3"], side: int
) -> tuple[Int64[np.ndarray, " k"], Float64[np.ndarray, "k 3"], Int64[np.ndarray, " k"]]:
    """Of each texel whose middle a triangle covers: the triangle, its weights, its number.

    One of them where several touch it.
    """
    triangles = uv[faces]
    low = np.clip(np.floor(triangles.min(1) - REACH - 0.5), 0, side - 1).astype(np.int64)
    high = np.clip(np.ceil(triangles.max(1) + REACH - 0.5), 0, side - 1).astype(np.int64)
    width = high - low + 1
    counts = width[:, 0] * width[:, 1]
    ends = np.cumsum(counts)
    found: list[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]] = []
    first = 0
    while first < len(faces):
        last = max(int(np.searchsorted(ends, ends[first] - counts[first] + CHUNK)), first + 1)
        some = np.arange(first, min(last, len(faces)))
        face = np.repeat(some, counts[some])
        begin = np.cumsum(counts[some]) - counts[some]
        inside = np.arange(len(face)) - np.repeat(begin, counts[some])
        column = low[face, 0] + inside % width[face, 0]
        row = low[face, 1] + inside // width[face, 0]
        weights, away = _weights(triangles[face], np.stack([column, row], 1) + 0.5)
        near = away <= REACH
        found.append((face[near], weights[near], (row * side + column)[near], away[near]))
        first = int(some[-1]) + 1
    face, weights, texel, away = (np.concatenate(parts) for parts in zip(*found, strict=True))
    # The nearest triangle has it: itself inside before any neighbour.
    order = np.lexsort((away, texel))
    keep = order[np.r_[True, np.diff(texel[order]) > 0]] if len(order) else order
    return face[keep], weights[keep], texel[keep]


def _weights(
    triangles: Float64[np.ndarray, "k 3 2"], places: Float64[np.ndarray, "k 2"]
) -> tuple[Float64[np.ndarray, "k 3"], Float64[np.ndarray, " k"]]:
    """Barycentric weights, within the triangle, and how far outside of it a place is, in texels."""
    a, b, c = triangles[:, 0], triangles[:, 1], triangles[:, 2]
    area = (b[:, 0] - a[:, 0]) * (c[:, 1] - a[:, 1]) - (c[:, 0] - a[:, 0]) * (b[:, 1] - a[:, 1])
    area = np.where(np.abs(area) < 1e-12, 1e-12, area)
    weights = np.empty((len(places), 3))
    for number, (one, two) in enumerate(((b, c), (c, a), (a, b))):
        x, y = places[:, 0], places[:, 1]
        weights[:, number] = (
            (two[:, 0] - one[:, 0]) * (y - one[:, 1]) - (x - one[:, 0]) * (two[:, 1] - one[:, 1])
        ) / area
    clamped = np.maximum(weights, 0)
    clamped /= np.maximum(clamped.sum(1, keepdims=True), 1e-12)
    nearest = (clamped[:, :, None] * triangles).sum(1)
    return clamped, np.linalg.norm(nearest - places, axis=1)


def _filled(image: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Texels between charts take the nearest colour: smaller images of the texture need them."""
    if known.all() or not known.any():
        return image
    distances = extras.load("scipy.ndimage", "SciPy", "--texture", "mesh")
    rows, columns = distances.distance_transform_edt(
        ~known, return_distances=False, return_indices=True
    )
    return np.asarray(image[rows, columns])
