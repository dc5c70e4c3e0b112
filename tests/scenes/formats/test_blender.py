"""The Blender format, and what every posed format shares: missing images, broken files."""

import json
import math

import numpy as np
import pytest
import torch

from polyfield.errors import InputError
from polyfield.scenes.base import ReadOptions
from polyfield.scenes.formats.blender import Blender
from polyfield.scenes.images import read_image
from polyfield.scenes.lenses.opencv import OpenCV
from polyfield.scenes.similarity import IDENTITY

OPTIONS = ReadOptions()


def build(folder, **options):
    return Blender().open(folder.path, ReadOptions(**options))


def test_splits_cameras_and_pixels(folder, blender):
    for split, count in (("train", 3), ("val", 2), ("test", 4)):
        content = blender(split, count)
    capture = build(folder)
    assert capture.name == "capture" and capture.splits == ("train", "val", "test")
    assert [len(capture.cameras(split)) for split in capture.splits] == [3, 2, 4]
    assert not capture.unbounded and capture.color_space == "srgb"
    assert capture.frames_skipped == [] and capture.warnings == []
    scene = capture.scene("test")
    assert len(scene) == 4 and scene.split == "test" and scene.has_alpha
    assert scene.view_name(2) == "./test/r_2"
    stored = read_image(folder.path / "test" / "r_2.png")
    rays, rgba = scene.view(2)
    np.testing.assert_array_equal((rgba.numpy() * 255).round(), stored)
    pose = torch.tensor(content["frames"][2]["transform_matrix"])
    origin = capture.frame.users(rays.origins[0, 0]).float()
    torch.testing.assert_close(origin, pose[:3, 3])
    focal = 3 / math.tan(0.35)
    torch.testing.assert_close(scene.cameras.focal, torch.full((4, 2), focal))
    assert scene.cameras.center.unique(dim=0).tolist() == [[3.0, 2.0]]


@pytest.mark.parametrize(
    "name", ["train/r_0", "./train/r_0", "train/r_0.png", ".\\train\\r_0", "train\\r_0.png"]
)
def test_picture_names_in_every_style(folder, blender, name):
    content = blender("train", 1)
    content["frames"][0]["file_path"] = name
    folder.write("transforms_train.json", content)
    assert len(build(folder).scene("train")) == 1


def test_a_lens_as_in_transforms_json_is_not_ignored(folder, blender):
    content = blender("train")
    content |= {"fl_x": 8.0, "fl_y": 9.0, "cx": 2.5, "k1": 0.01}
    folder.write("transforms_train.json", content)
    one = build(folder).cameras("train")[0]
    assert (one.fl_x, one.fl_y, one.cx, one.cy) == (8.0, 9.0, 2.5, 2.0)
    assert one.lens == OpenCV(0.01)


def test_a_name_with_a_dot_needs_no_ending(folder, blender):
    content = blender("train", 1)
    folder.picture("train/r.v1.png")
    content["frames"][0]["file_path"] = "train/r.v1"
    folder.write("transforms_train.json", content)
    assert build(folder).scene("train").view_name(0) == "train/r.v1"


def test_only_named_pictures_are_read(folder, blender):
    blender("train")
    (folder.path / "train" / "r_0_depth_0001.png").write_bytes(b"not an image")
    assert len(build(folder).scene("train")) == 3


def test_a_picture_cut_short_is_found_before_training(folder, blender):
    blender("train")
    blender("test")
    whole = (folder.path / "test" / "r_0.png").read_bytes()
    (folder.path / "test" / "r_0.png").write_bytes(whole[:-20])
    with pytest.raises(InputError, match=r"r_0\.png; got a damaged file"):
        build(folder)


def test_downscale_shrinks_pictures_and_lens(folder, blender):
    blender("train")
    capture = build(folder, downscale=2)
    one = capture.cameras("train")[0]
    assert (one.width, one.height, one.cx, one.cy) == (3, 2, 1.5, 1.0)
    assert capture.scene("train").view(0)[1].shape == (2, 3, 4)
    assert capture.frame == build(folder).frame
    with pytest.raises(InputError, match="smaller downscale"):
        build(folder, downscale=5)


def test_an_unknown_split(folder, blender):
    blender("train")
    with pytest.raises(InputError, match="'test'"):
        build(folder).scene("test")


def test_a_missing_picture_is_skipped_with_one_warning(folder, blender):
    blender("train", 5)
    (folder.path / "train" / "r_1.png").unlink()
    (folder.path / "train" / "r_3.png").unlink()
    capture = build(folder)
    assert capture.frames_skipped == ["./train/r_1", "./train/r_3"]
    (warning,) = capture.warnings
    assert "2 of 5" in warning and "./train/r_1, ./train/r_3" in warning and "\n" not in warning
    names = [capture.scene("train").view_name(i) for i in range(3)]
    assert names == ["./train/r_0", "./train/r_2", "./train/r_4"]
    with pytest.raises(InputError, match=r"2 of 5 missing: \./train/r_1"):
        build(folder, strict=True)


def test_more_than_half_missing_is_an_error(folder, blender):
    blender("train", 4)
    for i in range(2):
        (folder.path / "train" / f"r_{i}.png").unlink()
    assert len(build(folder).scene("train")) == 2
    (folder.path / "train" / "r_2.png").unlink()
    with pytest.raises(InputError, match="3 of 4 missing"):
        build(folder)


def test_a_long_list_of_missing_pictures_is_cut(folder, blender):
    blender("train", 60)
    for i in range(25):
        (folder.path / "train" / f"r_{i}.png").unlink()
    (warning,) = build(folder).warnings
    assert "25 of 60" in warning and "and 5 more" in warning


def frame_without(key):
    def spoil(content):
        del content["frames"][1][key]

    return spoil


def matrix(change):
    def spoil(content):
        content["frames"][1]["transform_matrix"] = change(
            np.array(content["frames"][1]["transform_matrix"])
        )

    return spoil


def at(index, value):
    def change(pose):
        pose[index] = value
        return pose.tolist()

    return change


def setting(key, value):
    def spoil(content):
        content[key] = value

    return spoil


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (frame_without("transform_matrix"), r"transform_matrix in frame 1 \(\./train/r_1\)"),
        (frame_without("file_path"), "file_path in frame 1"),
        (matrix(lambda pose: pose[:2].tolist()), r"rows of length \[4, 4\]"),
        (matrix(lambda pose: pose.T.reshape(-1).tolist()), "last row"),
        (matrix(at((0, 3), 1e30)), r"within 1e\+10 units of the origin in frame 1"),
        (matrix(lambda pose: pose[:, :3].tolist()), r"rows of length \[3, 3, 3, 3\]"),
        (matrix(lambda pose: "identity"), "no rows"),
        (matrix(lambda pose: [["a"] * 4] * 4), "a number in the transform_matrix"),
        (matrix(at((0, 3), math.nan)), "NaN or infinity"),
        (matrix(at((2, 2), math.inf)), "NaN or infinity"),
        (matrix(lambda pose: (pose @ np.diag([3, 3, 3, 1])).tolist()), "scaled by 3"),
        (matrix(lambda pose: (pose @ np.diag([1, -1, 1, 1])).tolist()), "mirrored"),
        (matrix(at((0, 0), 0.9)), "isn't orthonormal"),
        (matrix(lambda pose: pose.T.tolist()), "last row"),
        (setting("camera_angle_x", 0.0), "between 0 and pi"),
        (setting("camera_angle_x", 3.5), "between 0 and pi"),
        (setting("camera_angle_x", math.nan), "between 0 and pi"),
        (setting("camera_angle_x", "0.7"), "a number for camera_angle_x"),
        (setting("camera_angle_x", None), "camera_angle_x"),
        (setting("frames", []), "zero views"),
        (setting("frames", None), "zero views"),
        (setting("frames", {"a": 1}), '"frames"'),
        (setting("frames", ["train/r_0"]), "file_path in frame 0"),
    ],
)
def test_broken_content_is_one_line(folder, blender, spoil, message):
    content = blender("train")
    spoil(content)
    folder.write("transforms_train.json", content)
    with pytest.raises(InputError, match=message) as error:
        build(folder)
    assert "\n" not in str(error.value) and "transforms_train.json" in str(error.value)


def test_malformed_json_names_its_line(folder, blender):
    content = blender("train")
    lines = json.dumps(content, indent=1).splitlines()
    lines[4] = lines[4].replace('"', "")
    folder.write("transforms_train.json", "\n".join(lines))
    with pytest.raises(InputError, match="line 5"):
        build(folder)


@pytest.mark.parametrize("text", ["[1, 2]", "3", '"frames"'])
def test_json_that_is_no_object(folder, text):
    folder.write("transforms_train.json", text)
    with pytest.raises(InputError, match="JSON object"):
        build(folder)


def test_two_sizes_under_one_lens(folder, blender):
    blender("train")
    folder.picture("train/r_2.png", width=5, channels=4)
    with pytest.raises(InputError, match=r"6x4 in \./train/r_0 and 5x4 in \./train/r_2"):
        build(folder)


@pytest.mark.parametrize("data", [b"", b"hello", b"\x89PNG\r\n\x1a\n\0\0"])
def test_a_fake_picture_is_found_before_training(folder, blender, data):
    blender("train")
    (folder.path / "train" / "r_1.png").write_bytes(data)
    with pytest.raises(InputError, match=r"r_1\.png"):
        build(folder)


def test_lego(data_dir):
    capture = Blender().open(data_dir / "nerf_synthetic" / "lego", OPTIONS)
    assert [len(capture.cameras(split)) for split in capture.splits] == [100, 25, 50]
    assert not capture.warnings and not capture.unbounded
    torch.testing.assert_close(capture.bounds.abs(), torch.ones(2, 3))
    box = capture.in_frame(IDENTITY).bounds
    torch.testing.assert_close(box.abs(), torch.full((2, 3), 1.5), atol=0.05, rtol=0)
    scene = capture.scene("test")
    assert scene.has_alpha and scene.view(0)[1].shape == (200, 200, 4)


def test_lego_poses_carve_the_silhouettes_of_unseen_views(data_dir):
    """The masks of the training views leave a hull whose shadow is the mask of a test view."""
    capture = Blender().open(data_dir / "nerf_synthetic" / "lego", ReadOptions(downscale=2))
    capture = capture.in_frame(IDENTITY)
    train, test, n = capture.scene("train"), capture.scene("test"), 48
    axis = torch.linspace(-1.3, 1.3, n)
    points = torch.stack(torch.meshgrid(axis, axis, axis, indexing="ij"), -1).reshape(-1, 3)
    kept = torch.ones(len(points), dtype=torch.bool)
    for i in range(0, len(train), 4):
        one, alpha = train.cameras[i], train.view(i)[1][..., 3]
        local = (points - one.pose[:3, 3]) @ one.pose[:3, :3]
        column = (one.cx + one.fl_x * local[:, 0] / -local[:, 2]).long().clamp(0, one.width - 1)
        row = (one.cy - one.fl_y * local[:, 1] / -local[:, 2]).long().clamp(0, one.height - 1)
        kept &= alpha[row, column] > 0
    hull = kept.view(n, n, n)
    rays, rgba = test.view(7)
    along = torch.linspace(2.4, 5.6, 96)
    samples = rays.origins[..., None, :] + along[:, None] * rays.directions[..., None, :]
    cell = ((samples + 1.3) / 2.6 * (n - 1)).round().long()
    inside = ((cell >= 0) & (cell < n)).all(-1)
    cell = cell.clamp(0, n - 1)
    shadow = (hull[cell[..., 0], cell[..., 1], cell[..., 2]] & inside).any(-1)
    mask = rgba[..., 3] > 0.5
    overlap = (shadow & mask).sum() / (shadow | mask).sum()
    assert overlap > 0.85


def test_bike(data_dir):
    capture = Blender().open(data_dir / "nerf_blender_other" / "bike", OPTIONS)
    assert [len(capture.cameras(split)) for split in capture.splits] == [96, 8, 33]
    torch.testing.assert_close(
        torch.tensor(capture.frame.center), torch.tensor([12.77, 13.18, 5.20]), atol=0.02, rtol=0
    )
    assert not capture.scene("val").has_alpha  # RGBA files, but opaque
