"""Depth images and point clouds as points of the scene."""

import math

import numpy as np
import pytest
import torch

from polyfield.errors import InputError
from polyfield.scenes.base import ReadOptions
from polyfield.scenes.cameras import Camera
from polyfield.scenes.demo.capture import look_at
from polyfield.scenes.formats.depth import depth_points
from polyfield.scenes.formats.frames import PosedImage
from polyfield.scenes.formats.headers import read_header
from polyfield.scenes.formats.transforms import Transforms
from polyfield.scenes.formats.whole import capture_of
from polyfield.scenes.images import write_image
from polyfield.scenes.lenses.opencv import OpenCV
from polyfield.scenes.ply import read_points

PLY = """ply
format ascii 1.0
comment by hand
element vertex 2
property float x
property uchar red
property float y
property float z
element face 0
property list uchar int vertex_indices
end_header
1 255 2 3
4 0 5 6
"""


def test_a_plane_seen_through_a_lens(tmp_path):
    """Depth is along the axis: all points of an even depth image lie in one plane."""
    write_image(tmp_path / "a.png", np.zeros((8, 12, 3), np.uint8))
    depth = np.full((4, 6), 2500, np.uint16)
    depth[0, 0] = 0
    write_image(tmp_path / "d.png", depth)
    camera = Camera(look_at(0.3, 0.4, 4.0), 12, 8, 9.0, 9.0, 6.0, 4.0, OpenCV(0.05))
    header = read_header(tmp_path / "a.png")
    image = PosedImage(
        "a", tmp_path / "a.png", camera, header, depth=tmp_path / "d.png", depth_scale=1e-3
    )
    points = depth_points([image])
    assert points.shape == (23, 3)
    local = (torch.from_numpy(points) - camera.pose[:3, 3]) @ camera.pose[:3, :3]
    torch.testing.assert_close(local[:, 2], torch.full((23,), -2.5, dtype=torch.float64))
    # The pixel in the upper right corner of the depth image is two of the image each way.
    assert local[:, 0].max() == pytest.approx(2.5 * 5 / 9, rel=0.03)


def parts_of(monkeypatch) -> list:
    """What the format hands on, once it is opened."""
    found = []

    def spy(parts, *rest):
        found.append(parts)
        return capture_of(parts, *rest)

    monkeypatch.setattr("polyfield.scenes.formats.transforms.capture_of", spy)
    return found


@pytest.mark.parametrize(
    ("keys", "shared", "distance"),
    [
        ({"depth_file_path": "d.png"}, {}, 2.0),
        ({"depth_file_path": "d.png"}, {"depth_unit_scale_factor": 0.01}, 20.0),
        ({"depth_path": "d.png"}, {"integer_depth_scale": 0.002}, 4.0),
        ({"depth_path": "d.png"}, {}, None),
        ({"depth_path": "d.png"}, {"integer_depth_scale": 1, "enable_depth_loading": False}, None),
        ({}, {}, None),
    ],
)
def test_units(folder, transforms, keys, shared, distance, monkeypatch):
    found = parts_of(monkeypatch)
    content = transforms(4, **shared)
    write_image(folder.path / "d.png", np.full((4, 6), 2000, np.uint16))
    for frame in content["frames"]:
        frame |= keys
    folder.write("transforms.json", content)
    Transforms().open(folder.path, ReadOptions())
    (parts,) = found
    if distance is None:
        assert parts.points is None
    else:
        radius = np.linalg.norm(parts.points - [0, 0, 0.25], axis=1).min()
        assert radius == pytest.approx(abs(4.0 - distance), abs=0.5)
    assert not parts.warnings


def test_missing_depth_is_told(folder, transforms):
    content = transforms(4)
    content["frames"][1]["depth_file_path"] = "none.png"
    folder.write("transforms.json", content)
    (line,) = Transforms().open(folder.path, ReadOptions()).warnings
    assert "1 depth images" in line
    content["ply_file_path"] = "none.ply"
    folder.write("transforms.json", content)
    assert any("none.ply" in w for w in Transforms().open(folder.path, ReadOptions()).warnings)


@pytest.mark.parametrize("value", [math.nan, -1.0, "mm"])
def test_a_unit_that_cannot_be(folder, transforms, value):
    content = transforms(4, depth_unit_scale_factor=value)
    write_image(folder.path / "d.png", np.full((4, 6), 2000, np.uint16))
    content["frames"][0]["depth_file_path"] = "d.png"
    folder.write("transforms.json", content)
    with pytest.raises(InputError, match="depth_unit_scale_factor"):
        Transforms().open(folder.path, ReadOptions())


def test_colour_is_no_depth(folder, transforms):
    content = transforms(4)
    content["frames"][0]["depth_file_path"] = "images/0001.png"
    folder.write("transforms.json", content)
    with pytest.raises(InputError, match="a depth image of one channel"):
        Transforms().open(folder.path, ReadOptions())


def test_point_clouds(tmp_path):
    file = tmp_path / "a.ply"
    file.write_text(PLY)
    wanted = [[1, 2, 3], [4, 5, 6]]
    assert read_points(file).tolist() == wanted
    for order, form in (("<", "little"), (">", "big")):
        kind = [("x", order + "f4"), ("r", "u1"), ("y", order + "f4"), ("z", order + "f4")]
        table = np.array([(1, 9, 2, 3), (4, 9, 5, 6)], kind)
        header = PLY.split("end_header")[0].replace("ascii", f"binary_{form}_endian")
        file.write_bytes(header.encode() + b"end_header\n" + table.tobytes())
        assert read_points(file).tolist() == wanted


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("", "no PLY header"),
        ("hello", "no PLY header"),
        (PLY.replace("vertex 2", "vertex 3"), "fewer than 3"),
        (PLY.replace("vertex 2", "vertex 99999999999999"), "format 'ascii'"),
        (PLY.replace("ascii", "binary_little_endian"), "fewer than 2"),
        (PLY.replace("float x", "float u"), "properties u"),
        (PLY.replace("float x", "quad x"), "property quad x"),
        (PLY.replace("float x", "list uchar int x"), "property list"),
        (PLY.replace("1 255", "one 255"), "no numbers"),
        (PLY.replace("uchar red", "float x"), "a property twice"),
    ],
)
def test_broken_point_clouds_are_one_line(tmp_path, text, word):
    (tmp_path / "a.ply").write_text(text)
    with pytest.raises(InputError, match=word):
        read_points(tmp_path / "a.ply")


def test_the_cloud_of_a_file(folder, transforms, monkeypatch):
    found = parts_of(monkeypatch)
    transforms(4, ply_file_path="./a.ply", applied_scale=2.0)
    (folder.path / "a.ply").write_text(PLY)
    Transforms().open(folder.path, ReadOptions())
    assert found[0].points.tolist() == [[1, 2, 3], [4, 5, 6]]  # the file's frame, as it is
    (folder.path.parent / "b.ply").write_text(PLY)
    transforms(4, ply_file_path="../b.ply")
    with pytest.raises(InputError, match="images below"):
        Transforms().open(folder.path, ReadOptions())
