"""Meshes, points and splats, read back by other readers than those who wrote them."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import trimesh
from scipy.spatial import cKDTree

import polyfield
from polyfield.renderers.exports.appearance import surface_colors
from polyfield.renderers.exports.mesh import Mesh
from polyfield.renderers.exports.source import Source
from polyfield.scenes import open_capture
from polyfield.scenes.base import ReadOptions
from polyfield.scenes.camera_json import camera_object
from polyfield.scenes.color import linear_from_srgb
from polyfield.scenes.images import write_image
from polyfield.scenes.similarity import Similarity
from taken.evidence import TEACHERS, Evidence, Found, emptied, of_tests

RESOLUTION = 128
"""Cells of every mesh."""
TURN, SCALE, SHIFT = (0.5, 1.1, -0.7), 250.0, (700.0, -300.0, 55.0)
"""What the moved lego is moved by: axis times radians, a factor, and a way after them."""
ALIKE = 0.01
"""Of a radius, and of the box between two meshes."""
COLOR = 2 / 255
SAMPLES = 4000
"""Vertices whose colours are asked again, and points of one mesh that are sought on the other."""
DENSE = 400_000
"""Points that stand for a surface that is sought."""
SPLAT = [("place", "<f4", 3), ("scale", "<f4", 3), ("rgba", "u1", 4), ("turn", "u1", 4)]
"""Columns of a .splat."""
TYPES = {"float": "<f4", "double": "<f8", "uchar": "u1"}
"""Of the columns of a PLY."""


def rows(evidence: Evidence) -> Iterator[tuple[str, Callable[[], Found]]]:
    """Names and what measures them."""
    for name, frame in (("", Similarity((0.0, 0.0, 0.0), 1.0)),
                        (" by 250, shifted", Similarity(SHIFT, 1 / SCALE))):  # fmt: skip
        yield f"mesh of a ball{name}", partial(ball, evidence, frame)
    yield "mesh of lego, moved", partial(moved, evidence)
    yield "colours of a GLB", partial(glb_colors, evidence)
    yield "points and splats reloaded", partial(reloaded, evidence)


def ball(evidence: Evidence, frame: Similarity) -> Found:
    """A field in closed form, through a similarity: its mesh as trimesh reads it."""
    balls = of_tests("renderers/exports/ball.py")
    model, path = balls.Ball(frame), emptied(evidence.out / "ball") / "ball.ply"
    source = Source(model, "ball", {"train": balls.ring(frame)})
    Mesh(resolution=RESOLUTION).write(source, path, lambda line: None)
    mesh = trimesh.load(path, process=False)
    place = frame.normalised(torch.from_numpy(np.asarray(mesh.vertices, np.float64)))
    radius = (place - model.center).norm(dim=1).numpy() / model.radius
    return {
        "radius_off": float(abs(np.median(radius) - 1)),
        "radius_off_largest": float(np.abs(radius - 1).max()),
        "watertight": bool(mesh.is_watertight),
        "must": float(abs(np.median(radius) - 1)) <= ALIKE,
    }


def moved(evidence: Evidence) -> Found:
    """Lego and lego elsewhere, each fitted and meshed: the second taken back lies on the first."""
    about = TEACHERS["lego"]
    there = evidence.out / "moved"
    if not (there / "transforms.json").exists():
        _move(evidence.place(about.data), emptied(there))
    runs = (evidence.teacher("lego"), evidence.fitted("scene", "moved", str(there), *about.flags))
    found = []
    for name, run in zip(("lego", "moved"), runs, strict=True):
        path, _ = evidence.exported(run, "mesh", f"{name}.ply", "--resolution", RESOLUTION)
        found.append(trimesh.load(path, process=False))
    first, second = found
    turn = _turn()
    # v' = s R v + t, taken back.
    back = (np.asarray(second.vertices, np.float64) - SHIFT) @ turn / SCALE
    other = trimesh.Trimesh(back, second.faces, process=False)
    box = polyfield.load(runs[0]).bounds
    diagonal = float((box[1] - box[0]).norm())
    ways = [_distance(first, other) / diagonal, _distance(other, first) / diagonal]
    low, high = first.bounds
    inside = bool((low >= box[0].numpy() - 1e-4).all() and (high <= box[1].numpy() + 1e-4).all())
    return {
        "median_distance": max(float(np.median(way)) for way in ways),
        "p95_distance": max(float(np.quantile(way, 0.95)) for way in ways),
        "vertices": [len(first.vertices), len(second.vertices)],
        "in_the_box": inside,
        "must": inside and max(float(np.quantile(way, 0.95)) for way in ways) <= ALIKE,
    }


def glb_colors(evidence: Evidence) -> Found:
    """Colours of vertices, as linear light in the file, against what the field says there."""
    run = evidence.teacher("lego")
    path, _ = evidence.exported(run, "mesh", "lego.glb", "--resolution", RESOLUTION)
    vertices, normals, light = _glb(path)
    pick = np.random.default_rng(0).permutation(len(vertices))[:SAMPLES]
    model = polyfield.load(run)
    cell = float((model.bounds[1] - model.bounds[0]).max()) / RESOLUTION
    # The file's float32 places; a normal is rounded too.
    asked = surface_colors(model, vertices[pick].astype(np.float64), normals[pick], cell)
    wanted = torch.from_numpy(asked)
    wanted = linear_from_srgb(wanted) if model.color_space == "srgb" else wanted
    error = np.abs(light[pick] - wanted.clamp(0, 1).numpy())
    return {"largest": float(error.max()), "mean": float(error.mean()), "vertices": len(pick),
            "must": float(error.max()) <= COLOR}  # fmt: skip


def reloaded(evidence: Evidence) -> Found:
    """A PLY of points by trimesh and by its own header; both forms of splats, row by row."""
    run = evidence.teacher("lego")
    points, _ = evidence.exported(run, "points", "points.ply")
    cloud, table = trimesh.load(points), ply_table(points)
    places = np.stack([table[axis] for axis in "xyz"], 1)
    colors = np.stack([table[word] for word in ("red", "green", "blue")], 1)
    same_points = np.array_equal(np.asarray(cloud.vertices, np.float32), places.astype(np.float32))
    same_colors = np.array_equal(np.asarray(cloud.colors)[:, :3], colors)
    one, _ = evidence.exported(run, "splats", "splats.ply", "--count", 20000)
    two, _ = evidence.exported(run, "splats", "splats.splat", "--count", 20000)
    splats, other = ply_table(one), np.fromfile(two, SPLAT)
    mine = {tuple(row) for row in np.stack([splats[axis] for axis in "xyz"], 1).tolist()}
    same_splats = mine == {tuple(row) for row in other["place"].tolist()}
    return {
        "points": len(table),
        "splats": len(splats),
        "points_equal": same_points and same_colors,
        "splats_equal": same_splats and len(splats) == len(other),
        "must": same_points and same_colors and same_splats and len(splats) == len(other),
    }


def ply_table(path: Path) -> np.ndarray:
    """The vertices of a binary PLY, column by column, by its header alone."""
    content = path.read_bytes()
    end = content.index(b"end_header\n") + len(b"end_header\n")
    words = [line.split() for line in content[:end].decode().splitlines()]
    columns = [(w[2], TYPES[w[1]]) for w in words if w[0] == "property" and w[1] != "list"]
    count = next(int(w[2]) for w in words if w[:2] == ["element", "vertex"])
    return np.frombuffer(content, columns, count, end)


def _glb(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Places, normals and linear colours of the vertices of a GLB, by its JSON alone."""
    content = path.read_bytes()
    (length,) = struct.unpack("<I", content[12:16])
    tree, data = json.loads(content[20 : 20 + length]), content[20 + length + 8 :]
    (primitive,) = tree["meshes"][0]["primitives"]

    def array(name: str) -> np.ndarray:
        accessor: Mapping[str, Any] = tree["accessors"][primitive["attributes"][name]]
        view = tree["bufferViews"][accessor["bufferView"]]
        kind = {5126: "<f4", 5123: "<u2"}[accessor["componentType"]]
        columns, count = {"VEC3": 3, "VEC4": 4}[accessor["type"]], accessor["count"]
        at = view.get("byteOffset", 0) + accessor.get("byteOffset", 0)
        return np.frombuffer(data, kind, count * columns, at).reshape(count, columns)

    # The node turns it upright and may hold the way from zero; turned back it is the data's frame.
    holder = next(node for node in tree["nodes"] if "mesh" in node)
    place = np.array(holder.get("matrix", np.eye(4).T.flatten()), float).reshape(4, 4).T
    away = place[:3, :3].T @ place[:3, 3]
    return array("POSITION") + away, array("NORMAL"), array("COLOR_0")[:, :3] / 65535


def _distance(one: trimesh.Trimesh, other: trimesh.Trimesh) -> np.ndarray:
    """From points of one mesh to the nearest of very many of another."""
    points, _ = trimesh.sample.sample_surface(one, SAMPLES, seed=0)
    others, _ = trimesh.sample.sample_surface(other, DENSE, seed=1)
    return np.asarray(cKDTree(others).query(points)[0])


def _turn() -> np.ndarray:
    """The rotation of TURN."""
    x, y, z = TURN
    skew = torch.tensor([[0, -z, y], [z, 0, -x], [-y, x, 0]], dtype=torch.float64)
    return np.asarray(skew.matrix_exp().numpy())


def _move(source: str, folder: Path) -> None:
    """A capture as transforms.json with images, turned, scaled and shifted."""
    capture, turn = open_capture(source, ReadOptions()), torch.from_numpy(_turn())
    tree: dict[str, Any] = {}
    frames: list[dict[str, Any]] = []
    for split in ("train", "test"):
        for i in range(len(capture.names(split))):
            camera, file = capture.cameras(split)[i], f"{split}_{i:03d}.png"
            pose = camera.pose.double().clone()
            pose[:3, :3] = turn @ pose[:3, :3]
            pose[:3, 3] = SCALE * turn @ pose[:3, 3] + torch.tensor(SHIFT, dtype=torch.float64)
            write_image(folder / file, capture.pixels(split, i))
            frame = {"file_path": file, "transform_matrix": pose.tolist()}
            frames.append({**camera_object(camera), **frame})
            tree.setdefault(f"{split}_filenames", []).append(file)
    (folder / "transforms.json").write_text(json.dumps({**tree, "frames": frames}))
