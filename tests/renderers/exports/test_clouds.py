"""Points, splats, volumes and images: written, and read back by others' rules."""

import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh

from polyfield.errors import InputError
from polyfield.renderers.exports.points import Points
from polyfield.renderers.exports.source import Source
from polyfield.renderers.exports.splats import SH0, Splats
from polyfield.renderers.exports.views import Images
from polyfield.renderers.exports.volume import Volume
from polyfield.scenes import open_capture
from polyfield.scenes.base import ReadOptions
from polyfield.scenes.similarity import Similarity


def _helper(name: str):
    spec = importlib.util.spec_from_file_location(name, Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


balls = _helper("ball")
Ball, ring = balls.Ball, balls.ring
FRAMES = {
    "here": Similarity((0.0, 0.0, 0.0), 1.0),
    "by 250, shifted": Similarity((700.0, -300.0, 55.0), 1 / 250),
    "on the globe": Similarity((500000.3, 4500000.7, 100.1), 0.5),
}


def quiet(line: str) -> None:
    """Progress that nobody reads."""


def source(frame=FRAMES["here"], **options):
    model = Ball(frame, **options)
    cameras = ring(frame)
    return Source(model, "ball", {"train": cameras[2:], "test": cameras[:2]})


def table_of(path):
    """The vertices of a binary PLY, column by column."""
    content = path.read_bytes()
    end = content.index(b"end_header\n") + 11
    types = {"float": "<f4", "double": "<f8", "uchar": "u1"}
    words = [line.split() for line in content[:end].decode().splitlines()]
    columns = [(w[2], types[w[1]]) for w in words if w[0] == "property"]
    count = next(int(w[2]) for w in words if w[:2] == ["element", "vertex"])
    return np.frombuffer(content, columns, count, end)


@pytest.mark.parametrize("name", FRAMES)
def test_points_lie_on_the_surface_with_its_colours_and_normals(tmp_path, name):
    frame, given = FRAMES[name], source(FRAMES[name])
    Points().write(given, tmp_path / "a.ply", quiet)
    cloud = trimesh.load(tmp_path / "a.ply")
    assert isinstance(cloud, trimesh.PointCloud) and len(cloud.vertices) > 5000
    table = table_of(tmp_path / "a.ply")
    points = np.stack([table[axis] for axis in "xyz"], 1).astype(float)
    local = frame.normalised(torch.from_numpy(points)).numpy() - Ball.center.numpy()
    radius = np.linalg.norm(local, axis=1)
    assert np.abs(radius - 0.6).max() < 2e-3
    normal = np.stack([table[f"n{axis}"] for axis in "xyz"], 1)
    outward = (normal * local).sum(1) / radius
    assert np.quantile(outward, 0.02) > 0.95
    rgb = np.stack([table[word] for word in ("red", "green", "blue")], 1) / 255
    wanted = given.model.ask(torch.from_numpy(points), torch.zeros(len(points), 3)).rgb.numpy()
    assert np.abs(rgb - wanted).max() < 2 / 255


def test_few_points_and_a_box(tmp_path):
    Points(count=100, bounds=(-1.0, -1.0, -1.0, 0.0, 1.0, 1.0)).write(
        source(), tmp_path / "a.ply", quiet
    )
    table = table_of(tmp_path / "a.ply")
    assert len(table) == 100 and table["x"].max() <= 0
    with pytest.raises(InputError, match="surface in the box"):
        box = (0.9, 0.9, 0.9, 1.0, 1.0, 1.0)
        Points(bounds=box).write(source(), tmp_path / "b.ply", quiet)
    with pytest.raises(InputError, match="a run with cameras"):
        Points().write(Source(Ball(), "ball", {}), tmp_path / "b.ply", quiet)


def test_splats_are_discs_on_the_surface(tmp_path):
    said = Splats(count=2000).write(source(), tmp_path / "a.ply", quiet)
    assert "nothing is optimised" in said
    table = table_of(tmp_path / "a.ply")
    assert list(table.dtype.names) == [
        *"xyz", "nx", "ny", "nz", "f_dc_0", "f_dc_1", "f_dc_2", "opacity",
        "scale_0", "scale_1", "scale_2", "rot_0", "rot_1", "rot_2", "rot_3",
    ]  # fmt: skip
    points = np.stack([table[axis] for axis in "xyz"], 1)
    w, x, y, z = (table[f"rot_{k}"].astype(float) for k in range(4))
    third = np.stack([2 * (x * z + w * y), 2 * (y * z - w * x), 1 - 2 * (x * x + y * y)], 1)
    normal = np.stack([table[f"n{axis}"] for axis in "xyz"], 1)
    np.testing.assert_allclose(third, normal, atol=1e-5)
    np.testing.assert_allclose(table["scale_2"], np.log(0.1) + table["scale_0"], atol=1e-5)
    gaps = np.exp(table["scale_0"].astype(float))
    assert 0.2 * (4 * np.pi * 0.36 / 2000) ** 0.5 < np.median(gaps)
    assert np.median(gaps) < (4 * np.pi * 0.36 / 2000) ** 0.5
    rgb = 0.5 + SH0 * np.stack([table[f"f_dc_{k}"] for k in range(3)], 1)
    wanted = Ball().ask(torch.from_numpy(points.astype(float)), torch.zeros(len(points), 3)).rgb
    assert np.abs(rgb - wanted.numpy()).max() < 2 / 255


def test_both_forms_of_splats_say_the_same(tmp_path):
    for name in ("a.ply", "a.splat"):
        Splats(count=500).write(source(), tmp_path / name, quiet)
    table = table_of(tmp_path / "a.ply")
    kinds = [("place", "<f4", 3), ("scale", "<f4", 3), ("rgba", "u1", 4), ("turn", "u1", 4)]
    other = np.fromfile(tmp_path / "a.splat", kinds)
    assert len(other) == len(table) == 500
    one = {tuple(row) for row in np.stack([table[axis] for axis in "xyz"], 1)}
    assert one == {tuple(row) for row in other["place"]}
    assert (np.diff(other["scale"].prod(1)) <= 0).all()


@pytest.mark.parametrize("name", FRAMES)
def test_a_volume_is_the_density_in_the_users_frame(tmp_path, name):
    frame, given = FRAMES[name], source(FRAMES[name])
    Volume(resolution=20, colors=True).write(given, tmp_path / "a.npz", quiet)
    with np.load(tmp_path / "a.npz") as found:
        density, rgb = found["density"], found["rgb"]
        origin, spacing = found["origin"], float(found["spacing"])
    assert density.shape == (20, 20, 20) and rgb.shape == (20, 20, 20, 3)
    grid = np.stack(np.meshgrid(*[np.arange(20)] * 3, indexing="ij"), -1)
    x = torch.from_numpy(origin + spacing * grid)
    np.testing.assert_allclose(density, given.model.density(x), rtol=1e-3, atol=1e-6)
    full = density > 0
    wanted = given.model.ask(x, torch.zeros(x.shape)).rgb.numpy()
    np.testing.assert_allclose(rgb[full], wanted[full], atol=1e-5)
    assert spacing == pytest.approx(0.1 / frame.scale)


@pytest.mark.parametrize("colors", [False, True])
def test_nrrd_and_raw_have_the_same_values_and_a_header(tmp_path, colors):
    given = source()
    for name in ("a.npz", "a.nrrd", "a.raw"):
        Volume(resolution=16, colors=colors, bounds=(-1, -1, -1, 1, 1, 0.5)).write(
            given, tmp_path / name, quiet
        )
    with np.load(tmp_path / "a.npz") as found:
        density = found["density"]
    assert density.shape == (16, 16, 12)
    header, _, body = (tmp_path / "a.nrrd").read_bytes().partition(b"\n\n")
    fields = dict(line.split(": ", 1) for line in header.decode().splitlines() if ": " in line)
    sizes = [int(word) for word in fields["sizes"].split()]
    assert sizes == ([4] if colors else []) + [16, 16, 12]
    assert fields["encoding"] == "raw" and fields["type"] == "float"
    values = np.frombuffer(body, "<f4").reshape(sizes[::-1]).transpose()
    np.testing.assert_array_equal(values[-1] if colors else values, density)
    assert (tmp_path / "a.raw").read_bytes() == body
    beside = (tmp_path / "a.nhdr").read_text()
    assert "data file: a.raw" in beside and f"space origin: {fields['space origin']}" in beside
    assert len(fields["kinds"].split()) == len(sizes)


def test_images_are_a_capture_that_is_read_back(tmp_path):
    given = source(FRAMES["by 250, shifted"])
    Images(downscale=2).write(given, tmp_path / "out", quiet)
    capture = open_capture(tmp_path / "out", ReadOptions())
    assert capture.splits == ("train", "test")
    for split, cameras in given.cameras.items():
        found = capture.cameras(split)
        assert len(found) == len(cameras) and (found[0].width, found[0].height) == (48, 48)
        for i, camera in enumerate(cameras):
            torch.testing.assert_close(found[i].pose, camera.pose, rtol=1e-5, atol=1e-3)
    pixels = capture.pixels("train", 0)
    assert pixels.shape == (48, 48, 4) and set(np.unique(pixels[..., 3])) == {0, 255}
    assert "train_filenames" in json.loads((tmp_path / "out" / "transforms.json").read_text())
    with pytest.raises(InputError, match="a run with cameras"):
        Images().write(Source(Ball(), "ball", {}), tmp_path / "other", quiet)


@pytest.mark.parametrize("export", [Points(), Splats(), Volume(), Images()])
def test_a_model_that_can_not_is_one_line(tmp_path, export):
    given = Source(object(), "thing", {})
    with pytest.raises(InputError, match=f"density and colour in space for --to {export.name}"):
        export.write(given, tmp_path / "a", quiet)
    assert list(tmp_path.iterdir()) == []
