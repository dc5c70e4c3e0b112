"""PLY files of vertices with any properties, and triangles; binary, little-endian.

Source: Turk 1994, "The PLY Polygon File Format".
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from jaxtyping import Int64, Num, UInt8

FAR = 1000.0
"""Coordinates so many times larger than their extent are written as float64."""
_NAMES = {"f4": "float", "f8": "double", "u1": "uchar"}


def ply(
    columns: Mapping[str, Num[np.ndarray, " n"]], faces: Int64[np.ndarray, "m 3"] | None = None
) -> bytes:
    """A file.

    Args:
        columns: properties of the vertices by name; float32, float64 or uint8.
        faces: numbers of vertices; None for a cloud of points.
    """
    types = [(name, column.dtype.str[1:]) for name, column in columns.items()]
    count = len(next(iter(columns.values())))
    lines = ["ply", "format binary_little_endian 1.0", f"element vertex {count}"]
    lines += [f"property {_NAMES[kind]} {name}" for name, kind in types]
    if faces is not None:
        lines += [f"element face {len(faces)}", "property list uchar int vertex_indices"]
    table = np.empty(count, [(name, f"<{kind}") for name, kind in types])
    for name, column in columns.items():
        table[name] = column
    content = "\n".join([*lines, "end_header", ""]).encode() + table.tobytes()
    if faces is None:
        return content
    triangles = np.empty(len(faces), [("n", "u1"), ("v", "<i4", 3)])
    triangles["n"], triangles["v"] = 3, faces
    return content + triangles.tobytes()


def positions(points: Num[np.ndarray, "n 3"]) -> dict[str, np.ndarray]:
    """Columns x y z; float64 where float32 would blur what is far from zero."""
    far = len(points) and np.abs(points).max() > FAR * max(np.ptp(points, axis=0).max(), 1e-30)
    points = points.astype(np.float64 if far else np.float32)
    return dict(zip(("x", "y", "z"), points.T, strict=True))


def normals(vectors: Num[np.ndarray, "n 3"]) -> dict[str, np.ndarray]:
    """Columns nx ny nz."""
    return dict(zip(("nx", "ny", "nz"), vectors.astype(np.float32).T, strict=True))


def reds(colors: UInt8[np.ndarray, "n 3"]) -> dict[str, np.ndarray]:
    """Columns red green blue."""
    return dict(zip(("red", "green", "blue"), colors.T, strict=True))
