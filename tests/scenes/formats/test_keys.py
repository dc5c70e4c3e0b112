"""Keys that change geometry or pixels are used or refused; unknown ones are told once."""

import math

import numpy as np
import pytest
import torch

from polyfield.errors import InputError
from polyfield.scenes.base import ReadOptions
from polyfield.scenes.formats.blender import Blender
from polyfield.scenes.formats.transforms import Transforms
from polyfield.scenes.images import write_image
from polyfield.scenes.lenses.opencv import OpenCV


def build(folder, **options):
    return Transforms().open(folder.path, ReadOptions(**options))


@pytest.mark.parametrize("key", ["mask_file_path", "mask", "masks", "dynamic_mask", "Mask_path"])
def test_other_spellings_of_masks_are_refused(folder, transforms, key):
    content = transforms(4)
    for i in (1, 3):
        content["frames"][i][key] = "masks/0001.png"
    folder.write("transforms.json", content)
    with pytest.raises(InputError, match=f"masks.*{key} in frame 1 and 1 more") as error:
        build(folder)
    assert len(str(error.value)) < 400 and "\n" not in str(error.value)


@pytest.mark.parametrize("value", [None, "", False, 0, [], [0, 0]])
def test_a_key_that_says_nothing_is_none(folder, transforms, value):
    transforms(4, mask_path=value, ftheta_p0=value, fix_premult=value)
    assert build(folder).warnings == []


@pytest.mark.parametrize("name", ["images/rays_0001.dat", "images/0001.png.alpha.png"])
def test_files_that_instant_ngp_reads_beside_a_picture(folder, transforms, name):
    transforms(4)
    (folder.path / name).write_bytes(b"anything")
    with pytest.raises(InputError, match=name.rpartition("/")[2].replace(".", r"\.")):
        build(folder)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("ftheta_p1", 9.4e-3), ("k5", -1e-3), ("k6", 1.0), ("p3", 0.1),
        ("skew", 0.5), ("latlong", True), ("fisheye_crop_radius", 300),
        ("rolling_shutter", [0, 0, 1]), ("distortion_params", [0.1, 0.0]),
        ("camera_model", "FISHEYE624"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("in_frame", [False, True])
def test_a_lens_we_do_not_have_is_refused(folder, transforms, key, value, in_frame):
    content = transforms(4)
    (content["frames"][2] if in_frame else content)[key] = value
    folder.write("transforms.json", content)
    with pytest.raises(InputError, match=f"(a lens with|a camera_model of).*{key}"):
        build(folder)


@pytest.mark.parametrize("key", ["normal_mts_args", "fix_premult", "transform_matrix_start"])
def test_poses_and_alpha_of_another_kind_are_refused(folder, transforms, key):
    content = transforms(4)
    content["frames"][0][key] = [1.0]
    folder.write("transforms.json", content)
    with pytest.raises(InputError, match=key):
        build(folder)


def test_unknown_and_unused_keys_are_one_line_each(folder, transforms):
    content = transforms(4, flavour="sour", aabb=[[0, 0, 0], [1, 1, 1]], n_frames=4)
    for i, frame in enumerate(content["frames"]):
        frame |= {"weather": "fine", "sharpness": 3.0 + i}
    folder.write("transforms.json", content)
    unused, unknown = build(folder).warnings
    assert "aabb (give --bounds)" in unused and "n_frames" not in unused
    assert unknown.endswith("flavour, weather")


def test_the_frames_own_focal_lengths_win_as_a_set(folder, transforms):
    content = transforms(4, k1=0.01, k2=0.02)
    content["frames"][0]["fl_x"] = 9.0
    content["frames"][1]["camera_angle_x"] = 2 * math.atan(3 / 11)
    content["frames"][2]["y_fov"] = 2 * math.degrees(math.atan(2 / 12))
    content["frames"][3]["k1"] = 0.03
    folder.write("transforms.json", content)
    cameras = build(folder, test_every=0).cameras("train")
    expected = torch.tensor([[9.0, 9.0], [11.0, 11.0], [12.0, 12.0], [7.0, 8.0]])
    torch.testing.assert_close(cameras.focal, expected)
    assert cameras.lenses[0] == OpenCV(0.01, 0.02) and cameras.lenses[3] == OpenCV(0.03)


def test_a_shared_optical_axis_is_for_one_picture_size(folder, transforms):
    content = transforms(3)
    folder.picture("images/0002.png", width=9, height=5)
    content["frames"][2] |= {"fl_x": 20.0, "w": 9, "h": 5}
    folder.write("transforms.json", content)
    with pytest.raises(InputError, match="one image size under the shared intrinsics"):
        build(folder)


def test_angles_of_the_sensor_give_way_to_lengths(folder, transforms):
    """BlenderNeRF's camera_angle_y is that of a 24 mm sensor whatever the image's shape."""
    transforms(4, camera_angle_x=2 * math.atan(3 / 7), camera_angle_y=0.2)
    capture = build(folder)
    assert capture.cameras("train").focal[0].tolist() == [7, 8]
    (warning,) = capture.warnings
    assert "camera_angle_y disagrees" in warning and "focal lengths are used" in warning


@pytest.mark.parametrize("value", [math.nan, -1.0, 0.0, math.inf])
def test_an_aabb_scale_that_cannot_be(folder, transforms, blender, value):
    transforms(4, aabb_scale=value)
    with pytest.raises(InputError, match="aabb_scale above 0"):
        build(folder)
    blender("train")
    content = blender("train") | {"aabb_scale": value}
    folder.write("transforms_train.json", content)
    with pytest.raises(InputError, match="aabb_scale above 0"):
        Blender().open(folder.path, ReadOptions())


@pytest.mark.parametrize(("key", "value"), [("white_transparent", 255), ("black_transparent", 0)])
def test_a_colour_that_is_transparent(folder, transforms, key, value):
    content = transforms(4, **{key: True})
    picture = np.full((4, 6, 3), 100, np.uint8)
    picture[:, :2] = value
    picture[0, 0, 0] = 99
    for frame in content["frames"]:
        write_image(folder.path / frame["file_path"], picture)
    capture = build(folder)
    assert not capture.unbounded
    alpha = capture.scene("train").view(0)[1][..., 3]
    expected = torch.ones(4, 6)
    expected[:, :2] = 0
    expected[0, 0] = 1
    assert torch.equal(alpha, expected)


def test_most_pictures_say_whether_a_thing_stands_in_front_of_nothing(folder, transforms):
    transforms(10, channels=4)
    opaque = np.full((4, 6, 4), 255, np.uint8)
    write_image(folder.path / "images" / "0000.png", opaque)
    assert not build(folder).unbounded
    for i in range(1, 9):
        write_image(folder.path / "images" / f"{i:04d}.png", opaque)
    assert build(folder).unbounded
