"""The automatic box: around what inward cameras see, around the cameras where they look outward."""

import math

import numpy as np
import pytest
import torch

from polyfield.errors import InputError
from polyfield.scenes.base import ReadOptions
from polyfield.scenes.bounds import AROUND, MARGIN, REACH, automatic_bounds, scene_bounds
from polyfield.scenes.cameras import Camera, Cameras
from polyfield.scenes.demo.capture import look_at


def ring(offset: tuple[float, float, float], flip: bool = False) -> Cameras:
    """Eight 40x20 cameras, 4 units from a point; `flip` turns them to look away from it."""
    cameras = []
    for i in range(8):
        pose = look_at(i * math.pi / 4, 0.5, 4.0)
        pose[:3, 3] += torch.tensor(offset) - torch.tensor([0.0, 0.0, 0.25])
        if flip:
            pose[:3, [0, 2]] *= -1
        cameras.append(Camera(pose, 40, 20, 50.0, 50.0, 20.0, 10.0))
    return Cameras.stack(cameras)


def test_inward_cameras_give_a_cube_around_their_common_point():
    bounds = automatic_bounds(ring((5.0, -3.0, 2.0)))
    half = MARGIN * 4.0 * 20 / 50  # distance times the tangent of half the wider field of view
    expected = torch.tensor([5.0, -3.0, 2.0]) + half * torch.tensor([[-1.0], [1.0]])
    torch.testing.assert_close(bounds, expected, atol=1e-4, rtol=0)


def test_the_box_moves_and_scales_with_the_capture():
    cameras = ring((0.0, 0.0, 0.0))
    poses = cameras.poses.clone()
    poses[:, :3, 3] = poses[:, :3, 3] * 7 + 100
    moved = Cameras(poses, cameras.focal, cameras.center, cameras.size, cameras.lenses)
    torch.testing.assert_close(
        automatic_bounds(moved), automatic_bounds(cameras) * 7 + 100, atol=1e-3, rtol=0
    )


def test_outward_cameras_give_a_cube_around_themselves():
    bounds = automatic_bounds(ring((1.0, 1.0, 1.0), flip=True))
    half = 4.0 * math.cos(0.5) * MARGIN
    torch.testing.assert_close(bounds[1, :2] - bounds[0, :2], torch.full((2,), 2 * half))


@pytest.mark.parametrize("count", [1, 3])
def test_parallel_cameras_still_give_a_box(count):
    poses = [np.eye(4) for _ in range(count)]
    for i, pose in enumerate(poses):
        pose[0, 3] = i
    cameras = Cameras.stack([Camera(pose, 8, 8, 8.0, 8.0, 4.0, 4.0) for pose in poses])
    bounds = automatic_bounds(cameras)
    assert bounds.isfinite().all() and (bounds[1] > bounds[0]).all()


def test_the_users_box_wins():
    options = ReadOptions(bounds=(-1.0, -2.0, -3.0, 4.0, 5.0, 6.0))
    assert scene_bounds(ring((0.0, 0.0, 0.0)), options).tolist() == [[-1, -2, -3], [4, 5, 6]]


@pytest.mark.parametrize(
    "values",
    [
        {"bounds": (0.0, 0.0, 0.0, 1.0, 0.0, 1.0)},
        {"bounds": (0.0, 0.0, 0.0, 1.0, math.nan, 1.0)},
        {"bounds": (0.0, 0.0, 0.0, 1.0, math.inf, 1.0)},
        {"downscale": 0},
        {"test_every": 1},
        {"test_every": -8},
    ],
)
def test_options_that_make_no_sense(values):
    with pytest.raises(InputError):
        ReadOptions(**values)


def test_an_unbounded_box_reaches_half_the_way_to_its_cameras():
    cameras = ring((5.0, -3.0, 2.0))
    assert 20 / 50 < REACH
    bounds = automatic_bounds(cameras, unbounded=True)
    expected = torch.tensor([5.0, -3.0, 2.0]) + 4.0 * REACH * torch.tensor([[-1.0], [1.0]])
    torch.testing.assert_close(bounds, expected, atol=1e-4, rtol=0)
    assert torch.equal(scene_bounds(cameras, ReadOptions(), unbounded=True), bounds.double())


def test_the_box_of_a_walk_is_larger_than_the_walk():
    walk = ring((1.0, 1.0, 1.0), flip=True)
    small, large = automatic_bounds(walk), automatic_bounds(walk, unbounded=True)
    torch.testing.assert_close(large.mean(0), small.mean(0))
    torch.testing.assert_close(large[1] - large[0], AROUND * (small[1] - small[0]))
