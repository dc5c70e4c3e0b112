"""Meshes: where they are, how they are coloured, and what other programs read of them."""

import importlib.util
import json
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh

from polyfield.errors import InputError
from polyfield.renderers.exports import surface as surfaces
from polyfield.renderers.exports.mesh import Mesh
from polyfield.renderers.exports.source import Source
from polyfield.scenes.color import linear_from_srgb
from polyfield.scenes.similarity import Similarity


def _helper(name: str):
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    import sys

    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


balls = _helper("ball")
Ball, ring = balls.Ball, balls.ring
HERE = Similarity((0.0, 0.0, 0.0), 1.0)
FRAMES = {
    "here": HERE,
    "by 250, shifted": Similarity((700.0, -300.0, 55.0), 1 / 250),
    "tiny": Similarity((0.001, 0.0, 0.0), 1e4),
    "on the globe": Similarity((500000.3, 4500000.7, 100.1), 0.5),
}


def quiet(line: str) -> None:
    """Progress that nobody reads."""


def export(model, path, cameras=None, **options):
    views = ring(model.frame) if cameras is None else cameras
    said = Mesh(**{"resolution": 64, **options}).write(
        Source(model, "ball", {"train": views}), path, quiet
    )
    return said


def loaded(path):
    """The only geometry of a file, its vertices as stored and where the file places them."""
    scene = trimesh.load_scene(path)
    (name,) = scene.geometry
    place, _ = scene.graph[scene.graph.nodes_geometry[0]]
    return scene.geometry[name], place


@pytest.mark.parametrize("name", FRAMES)
def test_a_ball_is_a_ball_in_the_users_frame(tmp_path, name):
    frame = FRAMES[name]
    model = Ball(frame)
    export(model, tmp_path / "a.ply", resolution=96)
    mesh = trimesh.load(tmp_path / "a.ply", process=False)
    local = frame.normalised(torch.from_numpy(np.asarray(mesh.vertices))) - model.center
    radius = local.norm(dim=1).numpy()
    assert abs(np.median(radius) / 0.6 - 1) < 0.01 and np.abs(radius - 0.6).max() < 0.03
    assert mesh.is_watertight and mesh.is_winding_consistent and mesh.volume > 0
    outward = (np.asarray(mesh.vertex_normals) * local.numpy()).sum(1) / radius
    assert outward.min() > 0.9


def test_the_level_is_where_cameras_see_it():
    model = Ball(softness=0.2)
    found = surfaces.level_of(model, ring(HERE))
    assert 300 < found < 700  # half of the density is at the radius that `render` stops at
    assert surfaces.level_of(model, []) == surfaces.USUAL / 2


def test_blocks_leave_no_seams(monkeypatch):
    model, box = Ball(), Ball().bounds
    whole = surfaces.surface(model, box, 48, 500.0, quiet)
    monkeypatch.setattr(surfaces, "BLOCK", 8)
    parts = surfaces.surface(model, box, 48, 500.0, quiet)
    for one in (whole, parts):
        mesh = trimesh.Trimesh(one.vertices, one.faces, process=False)
        assert mesh.is_watertight and mesh.body_count == 1
    assert len(whole.vertices) == len(parts.vertices) and len(whole.faces) == len(parts.faces)
    order = [np.lexsort(np.round(s.vertices, 6).T) for s in (whole, parts)]
    np.testing.assert_allclose(whole.vertices[order[0]], parts.vertices[order[1]], atol=1e-5)


def test_what_is_not_occupied_is_never_asked(monkeypatch):
    asked = []
    real = Ball.density
    monkeypatch.setattr(Ball, "density", lambda self, x: (asked.append(len(x)), real(self, x))[1])
    monkeypatch.setattr(surfaces, "BLOCK", 8)
    surfaces.surface(Ball(), Ball().bounds, 64, 500.0, quiet)
    assert sum(asked) < 0.75 * 65**3


def test_a_box_cuts_and_closes(tmp_path):
    export(Ball(), tmp_path / "a.ply", bounds=(-1.0, -1.0, -1.0, 0.1, 1.0, 1.0))
    mesh = trimesh.load(tmp_path / "a.ply", process=False)
    assert mesh.is_watertight
    assert mesh.bounds[1, 0] == pytest.approx(0.1, abs=2 / 64)
    half = 2 / 3 * np.pi * 0.6**3
    assert mesh.volume == pytest.approx(half, rel=0.06)


def test_specks_go_and_few_triangles_are_few(tmp_path):
    export(Ball(speck=True), tmp_path / "a.ply", specks=0.05)
    assert trimesh.load(tmp_path / "a.ply").body_count == 1
    export(Ball(speck=True), tmp_path / "b.ply", specks=0.0)
    assert trimesh.load(tmp_path / "b.ply").body_count == 2
    export(Ball(), tmp_path / "c.ply", faces=500)
    few = trimesh.load(tmp_path / "c.ply")
    assert len(few.faces) <= 500
    radius = np.linalg.norm(few.vertices - Ball.center.numpy(), axis=1)
    assert np.abs(radius - 0.6).max() < 0.02


def tree_of(path):
    """The JSON and the binary chunk of a GLB."""
    content = path.read_bytes()
    length = struct.unpack("<I", content[12:16])[0]
    return json.loads(content[20 : 20 + length]), content[20 + length + 8 :]


@pytest.mark.parametrize("space", ["srgb", "linear"])
def test_a_glb_is_linear_unlit_upright_and_where_it_was(tmp_path, space):
    model = Ball(color_space=space)
    export(model, tmp_path / "a.glb")
    tree, data = tree_of(tmp_path / "a.glb")
    assert tree["extensionsUsed"] == ["KHR_materials_unlit"]
    (primitive,) = tree["meshes"][0]["primitives"]
    assert "KHR_materials_unlit" in tree["materials"][primitive["material"]]["extensions"]

    def array(name, dtype, columns):
        accessor = tree["accessors"][primitive["attributes"][name]]
        view = tree["bufferViews"][accessor["bufferView"]]
        at = view["byteOffset"] + accessor.get("byteOffset", 0)
        count = accessor["count"]
        found = np.frombuffer(data, dtype, count * columns, at).reshape(count, columns)
        return found, accessor

    vertices, _ = array("POSITION", "<f4", 3)
    rgba, accessor = array("COLOR_0", "<u2", 4)
    assert (
        accessor["componentType"] == 5123 and accessor["normalized"] and (rgba[:, 3] == 65535).all()
    )
    wanted = model.ask(torch.from_numpy(vertices.astype(float)), torch.zeros(len(vertices), 3)).rgb
    wanted = linear_from_srgb(wanted) if space == "srgb" else wanted
    # The colour is composited along a short ray, through places that are coloured otherwise.
    assert np.abs(rgba[:, :3] / 65535 - wanted.numpy()).max() < 0.1
    assert np.abs(rgba[:, :3] / 65535 - wanted.numpy()).mean() < 0.02
    mesh, place = loaded(tmp_path / "a.glb")
    np.testing.assert_allclose(np.asarray(mesh.vertices).mean(0), Ball.center, atol=0.02)
    np.testing.assert_allclose(place[:3, :3] @ [0, 0, 1], [0, 1, 0], atol=1e-6)  # z was up


def test_a_glb_far_from_zero_has_the_way_there_in_its_node(tmp_path):
    frame = FRAMES["on the globe"]
    export(Ball(frame), tmp_path / "a.glb")
    mesh, place = loaded(tmp_path / "a.glb")
    turned = np.asarray(mesh.vertices) @ place[:3, :3].T + place[:3, 3]
    back = turned @ np.linalg.inv(place[:3, :3]).T
    radius = np.linalg.norm(back - frame.users(Ball.center).numpy(), axis=1)
    assert np.abs(radius - 1.2).max() < 0.05


def test_colours_of_ply_and_obj_are_srgb(tmp_path):
    model = Ball(color_space="linear")
    for name in ("a.ply", "a.obj"):
        export(model, tmp_path / name)
        mesh = trimesh.load(tmp_path / name, process=False, maintain_order=True)
        vertices = torch.from_numpy(np.asarray(mesh.vertices, float))
        wanted = model.ask(vertices, torch.zeros(len(vertices), 3)).rgb
        found = linear_from_srgb(torch.from_numpy(mesh.visual.vertex_colors[:, :3] / 255.0))
        assert float((found - wanted).abs().mean()) < 0.02


@pytest.mark.parametrize("name", ["a.glb", "a.obj"])
def test_a_texture_has_the_fields_colours(tmp_path, name):
    model = Ball()
    export(model, tmp_path / name, texture=256, faces=2000)
    mesh, _ = loaded(tmp_path / name)
    material = mesh.visual.material
    image = np.asarray(
        (getattr(material, "baseColorTexture", None) or material.image).convert("RGB")
    )
    points, face = trimesh.sample.sample_surface(mesh, 3000, seed=0)
    weights = trimesh.triangles.points_to_barycentric(mesh.triangles[face], points)
    uv = (weights[:, :, None] * mesh.visual.uv[mesh.faces[face]]).sum(1)
    column, row = (
        np.clip(uv[:, 0] * 256, 0, 255).astype(int),
        np.clip((1 - uv[:, 1]) * 256, 0, 255).astype(int),
    )
    wanted = model.ask(torch.from_numpy(points), torch.zeros(len(points), 3)).rgb.numpy()
    error = np.abs(image[row, column] / 255 - wanted)
    assert error.mean() < 0.02 and np.quantile(error, 0.99) < 0.1
    if name == "a.obj":
        assert {p.name for p in tmp_path.iterdir()} >= {"a.obj", "a.mtl"}
        assert not [p for p in tmp_path.iterdir() if p.name.startswith(".")]


@pytest.mark.parametrize(
    ("options", "name", "word"),
    [
        ({"level": 1e6}, "a.ply", "a lower --level"),
        ({"bounds": (5.0, 5.0, 5.0, 6.0, 6.0, 6.0)}, "a.ply", "meet the scene's box"),
        ({"bounds": (1.0, 0.0, 0.0, 0.0, 1.0, 1.0)}, "a.ply", "each min below its max"),
        ({"texture": 128}, "a.ply", "FILE.glb"),
    ],
)
def test_what_can_not_be_is_one_line(tmp_path, options, name, word):
    with pytest.raises(InputError, match=word):
        export(Ball(), tmp_path / name, **options)
    assert list(tmp_path.iterdir()) == []


def test_fog_is_told_and_not_meshed(tmp_path, monkeypatch):
    monkeypatch.setattr(surfaces, "MOST", 500)
    with pytest.raises(InputError, match="more in [0-9]+% of the box.*a higher --level"):
        export(Ball(), tmp_path / "a.ply")
    assert list(tmp_path.iterdir()) == []


def test_a_missing_package_names_the_extra(tmp_path, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "skimage.measure", None)
    monkeypatch.setitem(sys.modules, "skimage", None)
    with pytest.raises(InputError, match=r"scikit-image for --to mesh.*polyfield\[mesh\]"):
        export(Ball(), tmp_path / "a.ply")
