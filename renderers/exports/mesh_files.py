"""A coloured mesh as GLB, PLY or OBJ.

glTF wants vertex colours in linear light and lights every mesh, so colours are made linear (of 16
bits, or dark ones would come in steps) and the material is unlit: what a field has learned is light
already. Its world is +Y up: the node turns, the vertices stay the user's. Textures, and the colours
of PLY and OBJ, are sRGB, as all programs take them.
Source: Khronos, glTF 2.0, sections 3.4, 3.7.2.1; KHR_materials_unlit.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import trimesh
from jaxtyping import Float, Float32, Float64, Int64, UInt8, UInt16
from PIL import Image

from polyfield.files import write_whole
from polyfield.renderers.exports.ply import normals, ply, positions, reds
from polyfield.renderers.exports.writing import staged, writing
from polyfield.scenes.base import ColorSpace
from polyfield.scenes.color import from_float, linear_from_srgb, srgb_from_linear

ENDINGS = (".glb", ".ply", ".obj")
FAR = 1000.0
"""Coordinates so many times larger than the mesh leave float32 too few bits for it."""


@dataclass(frozen=True)
class ColoredMesh:
    """Triangles with colours at their vertices, or in a texture."""

    vertices: Float64[np.ndarray, "n 3"]
    """The user's frame."""
    normals: Float64[np.ndarray, "n 3"]
    faces: Int64[np.ndarray, "m 3"]
    color_space: ColorSpace
    colors: Float32[np.ndarray, "n 3"] | None = None
    uv: Float64[np.ndarray, "n 2"] | None = None
    image: Float32[np.ndarray, "s s 3"] | None = None


def write_mesh(mesh: ColoredMesh, path: Path, up: Float64[torch.Tensor, "3"], name: str) -> None:
    """Write by the path's ending, whole or not at all; a texture of OBJ lies beside it.

    Args:
        mesh: what to write.
        path: .glb, .ply or .obj.
        up: axis of the user's frame that is up, with its sign.
        name: of the object in the file.

    Raises:
        WriteError: the system couldn't write it.
    """
    if path.suffix.lower() == ".obj" and mesh.image is not None:
        _write_obj(mesh, path)
        return
    content = {".glb": _glb, ".ply": _ply, ".obj": _obj}[path.suffix.lower()](mesh, up, name)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, lambda temporary: temporary.write_bytes(content))


def srgb(mesh: ColoredMesh, values: Float32[np.ndarray, "*n 3"]) -> Float[np.ndarray, "*n 3"]:
    """Colours as programs take them."""
    if mesh.color_space == "srgb":
        return values
    return np.asarray(srgb_from_linear(torch.from_numpy(values).clamp(min=0)).numpy())


def _ply(mesh: ColoredMesh, up: Float64[torch.Tensor, "3"], name: str) -> bytes:
    assert mesh.colors is not None
    columns = {**positions(mesh.vertices), **normals(mesh.normals), **reds(_bytes(mesh))}
    return ply(columns, mesh.faces)


def _bytes(mesh: ColoredMesh) -> UInt8[np.ndarray, "n 3"]:
    """Colours of the vertices as programs take them."""
    assert mesh.colors is not None
    return from_float(srgb(mesh, mesh.colors), np.uint8)


def _obj(mesh: ColoredMesh, up: Float64[torch.Tensor, "3"], name: str) -> bytes:
    made = trimesh.Trimesh(
        mesh.vertices,
        mesh.faces,
        vertex_normals=mesh.normals,
        vertex_colors=_bytes(mesh),
        process=False,
    )
    found: str = trimesh.exchange.obj.export_obj(
        made, include_normals=True, include_color=True, include_texture=False, digits=9
    )
    return found.encode()


def _write_obj(mesh: ColoredMesh, path: Path) -> None:
    """OBJ with its material and its texture beside it, all or none."""
    stem = path.stem
    material = trimesh.visual.material.SimpleMaterial(
        image=_image(mesh), diffuse=[255, 255, 255, 255]
    )
    material.name = stem
    made = _textured(mesh, material)
    text, others = trimesh.exchange.obj.export_obj(
        made, include_normals=True, return_texture=True, mtl_name=f"{stem}.mtl", digits=9
    )
    with staged(path) as folder, writing(path):
        for name, content in {path.name: text.encode(), **others}.items():
            (folder / name).write_bytes(content)
        for name in (*others, path.name):
            (folder / name).replace(path.parent / name)


def _image(mesh: ColoredMesh) -> Image.Image:
    """The texture."""
    assert mesh.image is not None
    return Image.fromarray(from_float(srgb(mesh, mesh.image), np.uint8))


def _textured(mesh: ColoredMesh, material: Any) -> trimesh.Trimesh:
    visual = trimesh.visual.TextureVisuals(uv=mesh.uv, material=material)
    return trimesh.Trimesh(
        mesh.vertices, mesh.faces, vertex_normals=mesh.normals, visual=visual, process=False
    )


def _glb(mesh: ColoredMesh, up: Float64[torch.Tensor, "3"], name: str) -> bytes:
    place = np.eye(4)
    place[:3, :3] = _upright(up.numpy())
    # Its numbers are float32: far from zero the node has the way there.
    middle, extent = mesh.vertices.mean(0).round(), np.ptp(mesh.vertices, axis=0).max()
    away = middle if np.abs(middle).max() > FAR * extent else np.zeros(3)
    place[:3, 3] = place[:3, :3] @ away
    mesh = replace(mesh, vertices=mesh.vertices - away)
    if mesh.image is not None:
        material = trimesh.visual.material.PBRMaterial(
            baseColorTexture=_image(mesh), metallicFactor=0.0, roughnessFactor=1.0
        )
        made = _textured(mesh, material)
    else:
        made = trimesh.Trimesh(
            mesh.vertices,
            mesh.faces,
            vertex_normals=mesh.normals,
            vertex_colors=np.full((len(mesh.vertices), 4), 255, np.uint8),
            process=False,
        )
    scene = trimesh.Scene()
    scene.add_geometry(made, node_name=name, geom_name=name, transform=place)
    deepen = None if mesh.colors is None else partial(_deepen, _linear(mesh))
    return bytes(
        trimesh.exchange.gltf.export_glb(
            scene,
            include_normals=True,
            tree_postprocessor=_unlit,
            buffer_postprocessor=deepen,
        )
    )


def _linear(mesh: ColoredMesh) -> UInt16[np.ndarray, "n 4"]:
    """Colours of the vertices as linear light, opaque."""
    assert mesh.colors is not None
    colors = torch.from_numpy(mesh.colors)
    light = colors if mesh.color_space == "linear" else linear_from_srgb(colors)
    rgba = np.full((len(colors), 4), 65535, np.uint16)
    rgba[:, :3] = from_float(light.numpy(), np.uint16)
    return rgba


def _unlit(tree: dict[str, Any]) -> None:
    """No lamp lights it: colours are light already."""
    materials = tree.setdefault("materials", [])
    if not materials:
        materials.append({"pbrMetallicRoughness": {"metallicFactor": 0.0, "roughnessFactor": 1.0}})
    for mesh in tree["meshes"]:
        for primitive in mesh["primitives"]:
            primitive.setdefault("material", 0)
    for material in materials:
        material["extensions"] = {"KHR_materials_unlit": {}}
    used = tree.setdefault("extensionsUsed", [])
    if "KHR_materials_unlit" not in used:
        used.append("KHR_materials_unlit")


def _deepen(
    rgba: UInt16[np.ndarray, "n 4"], buffers: dict[Any, bytes], tree: dict[str, Any]
) -> None:
    """Colours of 16 bits in place of those of 8 that stand for them."""
    number = tree["meshes"][0]["primitives"][0]["attributes"]["COLOR_0"]
    accessor = list(tree["accessors"].values())[number]
    accessor.update(componentType=5123, max=rgba.max(0).tolist(), min=rgba.min(0).tolist())
    buffers[list(buffers)[accessor["bufferView"]]] = rgba.astype("<u2").tobytes()


def _upright(up: Float64[np.ndarray, "3"]) -> Float64[np.ndarray, "3 3"]:
    """The rotation that takes `up` to +y: a quarter turn, a half turn, or none."""
    y = np.array([0.0, 1.0, 0.0])
    across, cosine = np.cross(up, y), float(up @ y)
    if cosine < -0.999:
        return np.diag([1.0, -1.0, -1.0])
    x, y_, z = across
    skew = np.array([[0.0, -z, y_], [z, 0.0, -x], [-y_, x, 0.0]])
    return np.eye(3) + skew + skew @ skew / (1 + cosine)
