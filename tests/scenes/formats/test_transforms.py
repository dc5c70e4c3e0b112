"""transforms.json: lenses, splits, what lies outside, and files that contradict their images."""

import math

import numpy as np
import pytest
import torch

from polyfield.errors import InputError
from polyfield.scenes.base import ReadOptions
from polyfield.scenes.formats.transforms import Transforms
from polyfield.scenes.lenses.opencv import OpenCV
from polyfield.scenes.similarity import IDENTITY


def build(folder, **options):
    return Transforms().open(folder.path, ReadOptions(**options))


def names(capture, split):
    scene = capture.scene(split)
    return [scene.view_name(i) for i in range(len(scene))]


def test_shared_lens_with_distortion(folder, transforms):
    transforms(k1=0.01, k2=-0.02, p1=0.001, p2=-0.002)
    one = build(folder).cameras("train")[0]
    assert (one.width, one.height, one.fl_x, one.fl_y, one.cx, one.cy) == (6, 4, 7, 8, 2.5, 2.25)
    assert one.lens == OpenCV(0.01, -0.02, 0.001, -0.002)


def test_the_folder_or_the_file(folder, transforms):
    transforms()
    a, b = build(folder), Transforms().open(folder.path / "transforms.json", ReadOptions())
    assert a.name == b.name == "capture"
    assert torch.equal(a.cameras("train").poses, b.cameras("train").poses)


@pytest.mark.parametrize(
    ("every", "test"), [(8, [0, 8]), (2, [0, 2, 4, 6, 8]), (20, [0]), (3, [0, 3, 6, 9])]
)
def test_every_nth_by_name_from_the_first_is_for_the_test(folder, transforms, every, test):
    content = transforms(10)
    content["frames"].reverse()
    folder.write("transforms.json", content)
    capture = build(folder, test_every=every)
    assert names(capture, "test") == [f"images/{i:04d}.png" for i in test]
    rest = [f"images/{i:04d}.png" for i in range(10) if i not in test]
    assert names(capture, "train") == rest


def test_no_test_split_on_request(folder, transforms):
    transforms(3)
    assert build(folder, test_every=0).splits == ("train",)


def test_missing_pictures_leave_before_the_split(folder, transforms):
    transforms(10)
    (folder.path / "images" / "0000.png").unlink()
    capture = build(folder, test_every=4)
    assert capture.frames_skipped == ["images/0000.png"]
    assert names(capture, "test") == [f"images/{i:04d}.png" for i in (1, 5, 9)]


def test_pose_and_picture_stay_together_when_sorted(folder, transforms):
    content = transforms(6)
    content["frames"].reverse()
    folder.write("transforms.json", content)
    scene = build(folder, test_every=0).scene("train")
    for i in range(6):
        frame = next(f for f in content["frames"] if f["file_path"] == scene.view_name(i))
        pose = torch.tensor(frame["transform_matrix"])
        torch.testing.assert_close(scene.cameras[i].pose.float(), pose, atol=1e-6, rtol=0)


def test_a_frame_has_its_own_lens_and_size(folder, transforms):
    content = transforms(4)
    folder.picture("images/0002.png", width=9, height=5)
    content["frames"][2] |= {"fl_x": 20.0, "fl_y": 21.0, "cx": 4.0, "cy": 2.0, "w": 9, "h": 5}
    folder.write("transforms.json", content)
    scene = build(folder, test_every=0).scene("train")
    assert scene.cameras.focal[2].tolist() == [20, 21]
    assert scene.cameras.focal[1].tolist() == [7, 8]
    assert scene.view(2)[1].shape == (5, 9, 4) and scene.view(3)[1].shape == (4, 6, 4)


def test_angles_stand_for_missing_lengths(folder, transforms):
    content = transforms(2)
    for key in ("fl_x", "fl_y", "cx", "cy", "w", "h"):
        del content[key]
    content["camera_angle_x"] = 2 * math.atan(0.5)
    folder.write("transforms.json", content)
    one = build(folder).cameras("train")[0]
    assert (one.fl_x, one.fl_y) == (pytest.approx(6.0), pytest.approx(6.0))
    assert (one.cx, one.cy) == (3, 2)
    content["camera_angle_y"] = 2 * math.atan(0.25)
    folder.write("transforms.json", content)
    one = build(folder).cameras("train")[0]
    assert (one.fl_x, one.fl_y) == (pytest.approx(6.0), pytest.approx(8.0))


@pytest.mark.parametrize(
    ("channels", "shared", "unbounded"),
    [(3, {}, True), (4, {}, False), (4, {"aabb_scale": 4}, True), (4, {"aabb_scale": 1}, False)],
)
def test_what_lies_outside_the_bounds(folder, transforms, channels, shared, unbounded):
    transforms(4, channels=channels, **shared)
    assert build(folder).unbounded is unbounded


def setting(**values):
    def spoil(content):
        content.update(values)

    return spoil


def without(*keys):
    def spoil(content):
        for key in keys:
            del content[key]

    return spoil


def resized(content):
    """Lengths for twice the image; nothing but the angle says so."""
    for key in ("w", "h", "cx", "cy"):
        del content[key]
    content["camera_angle_x"] = 2 * math.atan(3 / (content["fl_x"] / 2))


def twice(content):
    content["frames"].append(content["frames"][0])


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (setting(w=12), "w = 6 in frame 0"),
        (setting(h=5.0), "h = 4 in frame 0"),
        (setting(cx=7.0), "cx cy inside the 6x4 image"),
        (setting(cy=-1.0), "cx cy inside the 6x4 image"),
        (setting(camera_angle_y=3.2), "between 0 and pi"),
        (setting(fl_x=0.0), "field of view"),
        (setting(fl_x=-7.0), "field of view"),
        (setting(fl_x=1e-9), "field of view"),
        (setting(fl_x=math.nan), "finite fl_x"),
        (setting(fl_y="8"), "a number for fl_y"),
        (setting(k1=math.inf), "finite"),
        (without("fl_x", "fl_y"), "fl_x or camera_angle_x"),
        (setting(k4=-0.1), r"k4 = -0\.1"),
        (setting(is_fisheye=True, p1=0.1), "p1 = 0.1"),
        (setting(camera_model="FISHEYE624"), "camera_model 'FISHEYE624'"),
        (setting(camera_model="EQUIRECTANGULAR", k1=0.1), "no coefficients"),
        (setting(camera_model="EQUIRECTANGULAR", fl_x=None), "for a whole panorama"),
        (setting(frames=[]), "zero views"),
        (resized, "agree with the image size"),
        (setting(aabb_scale="4"), "a number for aabb_scale"),
        (twice, r"images/0000\.png twice"),
    ],
)
def test_broken_content_is_one_line(folder, transforms, spoil, message):
    content = transforms(3)
    spoil(content)
    folder.write("transforms.json", content)
    with pytest.raises(InputError, match=message) as error:
        build(folder)
    assert "\n" not in str(error.value) and "transforms.json" in str(error.value)


def test_lens_terms_of_zero_are_no_other_lens(folder, transforms):
    transforms(3, k3=0.0, k4=0, is_fisheye=False, camera_model="OPENCV")
    assert len(build(folder).cameras("train")) == 2


def test_two_sizes_under_a_shared_lens(folder, transforms):
    transforms(3)
    folder.picture("images/0001.png", width=7)
    with pytest.raises(InputError, match=r"6x4 in images/0000\.png and 7x4 in images/0001\.png"):
        build(folder)


def test_a_single_picture_has_nothing_to_train_on(folder, transforms):
    transforms(1)
    with pytest.raises(InputError, match="at least two images"):
        build(folder)
    assert len(build(folder, test_every=0).scene("train")) == 1


def test_fox(data_dir):
    capture = Transforms().open(data_dir / "nerf" / "fox", ReadOptions())
    assert len(capture.cameras("train")) == 43 and len(capture.cameras("test")) == 7
    assert len(capture.frames_skipped) == 17 and "images/0005.jpg" in capture.frames_skipped
    (warning,) = capture.warnings
    assert "17 of 67" in warning and all(name in warning for name in capture.frames_skipped)
    assert capture.unbounded
    assert np.linalg.norm(capture.frame.center) < 0.2
    assert 3.4 < 1 / capture.frame.scale < 4.1
    scene = capture.scene("test")
    assert scene.view_name(0) == "images/0001.jpg" and not scene.has_alpha
    with pytest.raises(InputError, match="17 of 67 missing"):
        Transforms().open(data_dir / "nerf" / "fox", ReadOptions(strict=True))


def test_fox_pictures_agree_along_their_rays(data_dir):
    """Some depth along a ray has the same colour in a neighbouring view: the poses are right."""
    capture = Transforms().open(data_dir / "nerf" / "fox", ReadOptions(downscale=6))
    capture = capture.in_frame(IDENTITY)
    scene = capture.scene("train")
    right = _disagreement(scene, 10, 11)
    assert right < 0.6 * _disagreement(scene, 10, 11, mistaken=30)


def _disagreement(scene, reference, other, mistaken=None):
    """Median over rays of the least colour difference (over depths) to a neighbouring view."""
    rays, rgba = scene.view(reference)
    one = scene.cameras[other]
    pose = scene.cameras.poses[other if mistaken is None else mistaken]
    picture = scene.view(other)[1][..., :3]
    best = torch.full(rays.shape, math.inf)
    for t in torch.linspace(1 / 2, 1 / 12, 24).reciprocal():
        local = (rays.origins + t * rays.directions - pose[:3, 3]) @ pose[:3, :3]
        column = (one.cx + one.fl_x * local[..., 0] / -local[..., 2]).long()
        row = (one.cy - one.fl_y * local[..., 1] / -local[..., 2]).long()
        seen = (column >= 0) & (column < one.width) & (row >= 0) & (row < one.height)
        there = picture[row.clamp(0, one.height - 1), column.clamp(0, one.width - 1)]
        error = (there - rgba[..., :3]).abs().mean(-1) + (~seen | (local[..., 2] > 0)) * 10.0
        patch = torch.nn.functional.avg_pool2d(error[None, None], 5, 1, 2)[0, 0]
        best = torch.minimum(best, patch)
    return float(best.median())


def test_rooftop(data_dir):
    capture = Transforms().open(data_dir / "nerfstudio" / "rooftop", ReadOptions())
    assert len(capture.cameras("train")) == 44 and len(capture.cameras("test")) == 7
    positions = capture.cameras("train").poses[:, :3, 3]
    assert capture.unbounded  # a walk: the box is around the cameras
    assert ((positions > capture.bounds[0]) & (positions < capture.bounds[1])).all()
