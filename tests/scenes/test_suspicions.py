"""Captures far from the origin, and poses and boxes that look like a mistake."""

import math

import numpy as np
import pytest
import torch

from polyfield.errors import InputError
from polyfield.scenes.base import ReadOptions
from polyfield.scenes.bounds import automatic_bounds
from polyfield.scenes.camera_files import read_cameras, write_capture
from polyfield.scenes.cameras import Camera, Cameras
from polyfield.scenes.demo.capture import look_at
from polyfield.scenes.doctor.examine import suspicions
from polyfield.scenes.doctor.pose_rows import directions_row
from polyfield.scenes.formats.blender import Blender
from polyfield.scenes.formats.transforms import Transforms
from polyfield.scenes.similarity import Similarity

UTM = np.array([500000.3, 4500000.7, 100.1])


def change(folder, name, alter):
    """Alter every pose of a file."""
    import json

    content = json.loads((folder.path / name).read_text())
    for frame in content["frames"]:
        frame["transform_matrix"] = alter(np.array(frame["transform_matrix"])).tolist()
    folder.write(name, content)


def moved(pose):
    pose[:3, 3] += UTM
    return pose


def open_blender(folder, **options):
    return Blender().open(folder.path, ReadOptions(**options))


def test_georeferenced_poses_are_as_good_as_at_the_origin(folder, blender, tmp_path):
    blender("train", 8)
    here = open_blender(folder)
    change(folder, "transforms_train.json", moved)
    there = open_blender(folder)
    np.testing.assert_allclose(np.array(there.frame.center) - here.frame.center, UTM, atol=1e-5)
    torch.testing.assert_close(there.cameras("train").poses, here.cameras("train").poses)
    torch.testing.assert_close(there.bounds, here.bounds)
    # A camera alone, and on disk, is in the user's frame.
    camera = there.cameras("train")[3]
    expected = here.cameras("train")[3].pose[:3, 3] + torch.tensor(UTM)
    torch.testing.assert_close(camera.pose[:3, 3], expected, atol=1e-6, rtol=0)
    write_capture(tmp_path / "cameras.json", there)
    read = read_cameras(tmp_path / "cameras.json")["train"]
    again = Cameras.stack(read, frame=there.frame)
    torch.testing.assert_close(again.poses, there.cameras("train").poses)
    # A user's box is in the user's frame too, and a model's frame can be taken over.
    low, high = (UTM - 2).tolist(), (UTM + 2).tolist()
    box = open_blender(folder, bounds=(*low, *high))
    assert box.frame.scale == 0.5 and np.abs(np.array(box.frame.center) - UTM).max() < 1e-9
    theirs = Similarity((500000.0, 4500000.0, 100.0), 1.0)
    moved_box = box.in_frame(theirs)
    torch.testing.assert_close(moved_box.bounds[0], torch.tensor([-1.7, -1.3, -1.9]))
    pose = moved_box.cameras("train")[3].pose
    torch.testing.assert_close(pose, camera.pose, atol=1e-6, rtol=0)


@pytest.mark.parametrize("alpha", [False, True])
def test_opencv_axes_are_told(folder, blender, alpha):
    blender("train", 8, channels=4 if alpha else 3)
    change(folder, "transforms_train.json", lambda pose: pose @ np.diag([1, -1, -1, 1]))
    (warning,) = suspicions(open_blender(folder))
    assert "look away" in warning and "OpenCV axes" in warning


@pytest.mark.parametrize("axes", [[1, 1, 1, 1], [1, -1, -1, 1]])
@pytest.mark.parametrize("center", [(0.0, 0.0, 0.25), (3.0, 1.0, -2.0)])
def test_world_to_camera_is_told(folder, blender, axes, center):
    blender("train", 9)

    def inverted(pose):
        pose[:3, 3] += np.array(center) - [0, 0, 0.25]
        return np.linalg.inv(pose @ np.diag(axes))

    change(folder, "transforms_train.json", inverted)
    (warning,) = suspicions(open_blender(folder))
    assert "world-to-camera" in warning


def outward(count, radius, noise=0.0, origin=(0.0, 0.0, 0.0)):
    generator = np.random.default_rng(0)
    cameras = []
    for i in range(count):
        pose = look_at(2 * math.pi * i / count, 0.1 * math.sin(i), 1.0).double()
        pose[:3, [0, 2]] *= -1  # turned about its own up
        pose[:3, 3] = -radius * pose[:3, 2] + torch.tensor(generator.normal(0, noise, 3))
        pose[:3, 3] += torch.tensor(origin)
        cameras.append(Camera(pose, 64, 64, 40.0, 40.0, 32.0, 32.0))
    return Cameras.stack(cameras)


def test_a_room_from_inside_is_no_mistake_of_axes_unless_it_has_alpha():
    room = outward(24, 0.8, 0.1)
    assert directions_row(room, lambda: False).verdict == "ok"
    row = directions_row(room, lambda: True)
    assert row.verdict == "warning" and "OpenCV" in row.advice


def test_a_tripod_is_told_and_gets_a_sane_box():
    tripod = outward(24, 0.0, 1e-4, (3.0, 4.0, 1.0))
    row = directions_row(tripod, lambda: False)
    assert row.verdict == "warning" and "one point" in row.found and "distances" in row.found
    box = automatic_bounds(tripod)
    torch.testing.assert_close(box.mean(0), torch.tensor([3.0, 4.0, 1.0]), atol=1e-3, rtol=0)
    assert 1.9 < float(box[1, 0] - box[0, 0]) < 2.2


def test_a_room_in_blender_layout_goes_on_outside_its_box(folder, blender):
    content = blender("train", 8, channels=3)
    room = outward(8, 0.8)
    for i, frame in enumerate(content["frames"]):
        frame["transform_matrix"] = room[i].pose.tolist()
    folder.write("transforms_train.json", content)
    assert open_blender(folder).unbounded


@pytest.mark.parametrize(("scale", "unbounded"), [(1, False), (4, True), (None, False)])
def test_the_aabb_scale_of_the_blender_layout(folder, blender, scale, unbounded):
    folder.write("transforms_train.json", blender("train") | {"aabb_scale": scale})
    assert open_blender(folder).unbounded is unbounded


def test_one_pose_for_all_frames(folder, transforms):
    content = transforms(4)
    for frame in content["frames"]:
        frame["transform_matrix"] = content["frames"][0]["transform_matrix"]
    folder.write("transforms.json", content)
    with pytest.raises(InputError, match=r"poses that differ in .*same pose in all 4"):
        Transforms().open(folder.path, ReadOptions())


def test_a_box_that_no_ray_meets(folder, blender, transforms):
    blender("train", 6)
    far = (100.0, 100.0, 100.0, 101.0, 101.0, 101.0)
    with pytest.raises(InputError, match="no ray of the training images meets.*own frame"):
        open_blender(folder, bounds=far)
    transforms(6)  # opaque: there is something outside
    (warning,) = Transforms().open(folder.path, ReadOptions(bounds=far)).warnings
    assert "0.0% of the rays" in warning
    assert not open_blender(folder, bounds=(-1.0, -1.0, -1.0, 1.0, 1.0, 1.0)).warnings
