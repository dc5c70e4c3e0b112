"""A model as triangles: GLB, PLY or OBJ, with colours at the vertices or in a texture."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

import numpy as np
import trimesh
import tyro
from jaxtyping import Float64

from polyfield import extras
from polyfield.errors import InputError
from polyfield.ranges import Range
from polyfield.renderers.exports.appearance import surface_colors
from polyfield.renderers.exports.box import box_of
from polyfield.renderers.exports.mesh_files import ENDINGS, ColoredMesh, write_mesh
from polyfield.renderers.exports.source import Source, Tell
from polyfield.renderers.exports.surface import Surface, level_of, surface, without_specks
from polyfield.renderers.exports.texture import textured

CHARTED = 100_000
"""Triangles of a mesh with a texture, unless told otherwise: charts of more take minutes."""


@dataclass(frozen=True)
class Mesh:
    """A surface of equal density, as triangles."""

    name: ClassVar[str] = "mesh"
    endings: ClassVar[tuple[str, ...]] = ENDINGS
    resolution: Annotated[int, Range(8, 2048)] = 256
    """Cells along the longest edge of the box."""
    level: Annotated[float | None, Range(0, 1e9)] = None
    """Density per unit of length at the surface; default: where the training views see it."""
    bounds: tuple[float, float, float, float, float, float] | None = None
    """Box that is exported, xmin ymin zmin xmax ymax zmax, the data's own frame; default the
    scene's."""
    specks: Annotated[float, Range(0, 1)] = 0.01
    """Pieces with less than this share of the largest one's triangles are left out."""
    faces: Annotated[int | None, Range(4, 1 << 30)] = None
    """Most triangles: the mesh is simplified to so many. Default all; with a texture 100,000."""
    texture: Annotated[int | None, Range(64, 16384), tyro.conf.arg(metavar="SIDE")] = None
    """Colours in a square image of so many texels a side, in place of the vertices (GLB, OBJ)."""

    def check(self, path: Path) -> None:
        """Raise if the options don't go with the file.

        Raises:
            InputError: a texture for PLY.
        """
        if self.texture is not None and path.suffix.lower() == ".ply":
            raise InputError("--out FILE.glb or FILE.obj with --texture", str(path), "change one")

    def write(self, source: Source, path: Path, tell: Tell) -> str:
        """Extract, clean, colour, write."""
        self.check(path)
        model = source.radiant(self.name)
        box = box_of(model, self.bounds)
        level = level_of(model, source.views) if self.level is None else self.level
        cell = float((box[1] - box[0]).max()) / self.resolution
        found = without_specks(surface(model, box, self.resolution, level, tell), self.specks)
        most = self.faces or (CHARTED if self.texture is not None else None)
        found = found if most is None else simplified(found, most)
        normals = vertex_normals(found)

        def colors(points: np.ndarray, vectors: np.ndarray) -> np.ndarray:
            return surface_colors(model, points, vectors, cell)

        if self.texture is None:
            made = ColoredMesh(
                found.vertices, normals, found.faces, model.color_space,
                colors(found.vertices, normals),
            )  # fmt: skip
        else:
            tell(f"texture: charts of {len(found.faces)} triangles")
            done = textured(found.vertices, normals, found.faces, self.texture, colors)
            made = ColoredMesh(
                done.vertices, done.normals, done.faces, model.color_space,
                uv=done.uv, image=done.image,
            )  # fmt: skip
        write_mesh(made, path, source.up, source.name)
        size = f"{len(made.vertices)} vertices, {len(made.faces)} triangles"
        return f"{size}, where the density is {level:.3g}"


def simplified(found: Surface, faces: int) -> Surface:
    """At most so many triangles, by quadric errors (Garland and Heckbert 1997).

    Raises:
        MissingBackend: fast-simplification is not installed.
    """
    if len(found.faces) <= faces:
        return found
    library = extras.load("fast_simplification", "fast-simplification", "--faces", "mesh")
    middle, extent = found.vertices.mean(0), float(np.ptp(found.vertices, axis=0).max()) or 1.0
    vertices, triangles = library.simplify(
        ((found.vertices - middle) / extent).astype(np.float32),
        found.faces.astype(np.int32),
        target_count=faces,
    )
    return Surface(vertices.astype(np.float64) * extent + middle, triangles.astype(np.int64))


def vertex_normals(found: Surface) -> Float64[np.ndarray, "n 3"]:
    """Means of the triangles around each vertex, by their angles there."""
    middle = found.vertices.mean(0)
    made = trimesh.Trimesh(found.vertices - middle, found.faces, process=False)
    normals = np.asarray(made.vertex_normals, np.float64)
    length = np.linalg.norm(normals, axis=1, keepdims=True)
    return np.where(length > 0.5, normals, np.array([0.0, 0.0, 1.0]))
