"""Points of a PLY file: x, y, z of its vertices; text, or binary of either byte order.

Source: Turk 1994, "The PLY Polygon File Format".
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jaxtyping import Float64

from polyfield.errors import InputError, shown
from polyfield.files import read_bytes

LARGEST = 1 << 32
"""Bytes of a file that are read at most."""
HEADER = 1 << 16
"""Bytes in which a header has to end."""
_TYPES = {
    "char": "i1", "uchar": "u1", "short": "i2", "ushort": "u2", "int": "i4", "uint": "u4",
    "float": "f4", "double": "f8", "int8": "i1", "uint8": "u1", "int16": "i2", "uint16": "u2",
    "int32": "i4", "uint32": "u4", "float32": "f4", "float64": "f8",
}  # fmt: skip
_ORDERS = {"ascii": "", "binary_little_endian": "<", "binary_big_endian": ">"}


@dataclass(frozen=True)
class _Vertices:
    """What a header says of the vertices."""

    form: str
    count: int
    properties: list[tuple[str, str]]
    """Name and type of each, in the file's order."""


def read_points(path: Path) -> Float64[np.ndarray, "n 3"]:
    """The vertices of a PLY file whose first element they are.

    Raises:
        InputError: no such file, or one that is not so.
    """
    content = read_bytes(path, "a point cloud", LARGEST)
    end = content.find(b"end_header", 0, HEADER)
    line = content.find(b"\n", end)
    if not content.startswith(b"ply") or end < 0 or line < 0:
        raise _refused(path, "no PLY header")
    vertices = _vertices(content[:end].decode("latin-1"), path)
    names = [name for name, _ in vertices.properties]
    if not {"x", "y", "z"} <= set(names):
        raise _refused(path, f"properties {' '.join(names)[:60] or 'none'}")
    if vertices.form == "ascii":
        table = _text(content[line + 1 :], vertices, path)
        points = table[:, [names.index(axis) for axis in "xyz"]]
    else:
        order = _ORDERS[vertices.form]
        kind = np.dtype([(name, order + _TYPES[t]) for name, t in vertices.properties])
        if len(content) - line - 1 < vertices.count * kind.itemsize:
            raise _refused(path, f"fewer than {vertices.count} vertices")
        records = np.frombuffer(content, kind, vertices.count, line + 1)
        points = np.stack([records[axis] for axis in "xyz"], 1).astype(np.float64)
    return points[np.isfinite(points).all(1)]


def _vertices(header: str, path: Path) -> _Vertices:
    form, element, count = "", "", 0
    properties: list[tuple[str, str]] = []
    for words in (line.split() for line in header.splitlines()):
        if words[:1] == ["format"] and len(words) > 1:
            form = words[1]
        elif words[:1] == ["element"] and len(words) == 3:
            if element == "":
                count = int(words[2]) if words[2].isdecimal() and len(words[2]) < 12 else -1
            element = element or words[1]
            if words[1] != element:
                break
        elif words[:1] == ["property"] and element == "vertex":
            if len(words) != 3 or words[1] not in _TYPES:
                raise _refused(path, " ".join(words)[:60])
            properties.append((words[2], words[1]))
    if form not in _ORDERS or element != "vertex" or count < 0:
        raise _refused(path, f"format {form[:20]!r} with element {element[:20]!r} first")
    if len({name for name, _ in properties}) < len(properties):
        raise _refused(path, "a property twice")
    return _Vertices(form, count, properties)


def _text(body: bytes, vertices: _Vertices, path: Path) -> np.ndarray:
    try:
        table = np.loadtxt(io.BytesIO(body), ndmin=2, max_rows=vertices.count)
    except ValueError:
        raise _refused(path, "vertices that are no numbers") from None
    if table.shape != (vertices.count, len(vertices.properties)):
        raise _refused(path, f"fewer than {vertices.count} vertices")
    return table


def _refused(path: Path, got: str) -> InputError:
    return InputError(
        f"a PLY file of points, vertices with x y z first, at {shown(path)}",
        got,
        "write it again, or remove its key",
    )
