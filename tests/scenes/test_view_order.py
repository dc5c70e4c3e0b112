import pytest
import torch

from polyfield.errors import InputError
from polyfield.scenes.cameras import Camera
from polyfield.scenes.view_order import chosen_views, nearest_order


def _camera(x: float) -> Camera:
    pose = torch.eye(4)
    pose[0, 3] = x
    return Camera(pose, 40, 30, 50.0, 50.0, 20.0, 15.0)


def _at(cameras):
    return [float(camera.pose[0, 3]) for camera in cameras]


def test_the_views_that_are_named():
    splits = {"train": [_camera(float(i)) for i in range(6)], "test": [_camera(9.0)], "val": []}
    assert _at(chosen_views(splits, "test")) == [9]
    assert _at(chosen_views(splits, "train:0,2, 5-3")) == [0, 2, 5, 4, 3]
    for wrong in ("val", "tests", "train:", "train:6", "train:1-9", "train:a", "train:-1", ""):
        with pytest.raises(InputError, match="--through"):
            chosen_views(splits, wrong)


def test_from_each_view_to_the_nearest():
    assert _at(nearest_order([_camera(x) for x in (0.0, 3.0, 1.0, -5.0, 2.0)])) == [0, 1, 2, 3, -5]


def test_a_turn_is_far_too():
    turned = torch.eye(4)
    turned[0, 0] = turned[2, 2] = -1
    back = Camera(turned, 40, 30, 50.0, 50.0, 20.0, 15.0)
    assert _at(nearest_order([_camera(0.0), back, _camera(1.0)])) == [0, 1, 0]
