"""Random poses: like the capture's, rigid, and different each time."""

import math

import pytest
import torch
from torch import Tensor

from polyfield.scenes.cameras import Camera, Cameras
from polyfield.scenes.lenses.opencv import OpenCV
from polyfield.scenes.poses import JITTER, random_cameras, ring, turned

FOCUS = torch.tensor([3.0, -1.0, 2.0])


def _looking(position: Tensor, target: Tensor) -> Camera:
    back = torch.nn.functional.normalize(position - target, dim=0)
    right = torch.nn.functional.normalize(
        torch.linalg.cross(torch.tensor([0.0, 0.0, 1.0]), back), dim=0
    )
    pose = torch.eye(4)
    pose[:3, 0], pose[:3, 1], pose[:3, 2] = right, torch.linalg.cross(back, right), back
    pose[:3, 3] = position
    return Camera(pose, 20, 10, 15.0, 16.0, 10.0, 5.0, OpenCV(0.01))


def _around(n: int = 24) -> Cameras:
    found = []
    for i in range(n):
        azimuth, elevation = 2 * math.pi * i / n, 0.2 + 0.6 * (i % 5) / 4
        direction = torch.tensor(
            [
                math.cos(azimuth) * math.cos(elevation),
                math.sin(azimuth) * math.cos(elevation),
                math.sin(elevation),
            ]
        )
        found.append(_looking(FOCUS + direction * (2 + 0.5 * (i % 3)), FOCUS))
    return Cameras.stack(found, 0.1, 9.0)


def _forward() -> Cameras:
    grid = [torch.tensor([x, 0.0, z]) for x in (-1.0, 0.0, 1.0) for z in (-0.5, 0.5)]
    return Cameras.stack([_looking(p, p + torch.tensor([0.0, 8.0, 0.0])) for p in grid])


def _rigid(cameras: Cameras) -> None:
    turn = cameras.poses[:, :3, :3]
    torch.testing.assert_close(
        turn.transpose(1, 2) @ turn, torch.eye(3).expand_as(turn), rtol=1e-4, atol=1e-5
    )
    torch.testing.assert_close(torch.linalg.det(turn), torch.ones(len(turn)))


def test_cameras_around_a_thing() -> None:
    cameras = _around()
    found = ring(cameras)
    assert found is not None
    torch.testing.assert_close(found.focus.float(), FOCUS, rtol=1e-3, atol=1e-3)
    assert found.radii == pytest.approx((2.0, 3.0), abs=1e-3)
    assert 0.15 < found.elevations[0] < 0.3 and 0.7 < found.elevations[1] < 0.85
    new = random_cameras(cameras, 200, torch.Generator().manual_seed(0))
    _rigid(new)
    offset = new.poses[:, :3, 3] - FOCUS
    radius = offset.norm(dim=1)
    assert (radius > 1.99).all() and (radius < 3.01).all()
    # They look at the focus, from all sides, and heads are up.
    torch.testing.assert_close(new.poses[:, :3, 2], offset / radius[:, None], rtol=1e-3, atol=1e-3)
    azimuth = torch.atan2(offset[:, 1], offset[:, 0])
    assert azimuth.min() < -2.8 and azimuth.max() > 2.8
    assert (new.poses[:, 2, 1] > 0).all()
    assert new.near == 0.1 and new.far == 9.0 and not new.coefficients.any()
    assert (new.focal == torch.tensor([15.0, 16.0])).all()


def test_cameras_that_look_one_way() -> None:
    cameras = _forward()
    assert ring(cameras) is None
    new = random_cameras(cameras, 200, torch.Generator().manual_seed(0))
    _rigid(new)
    at = new.poses[:, :3, 3]
    assert at.amin(0).tolist() >= [-1.2 - 1e-5, -1e-5, -0.6 - 1e-5]
    assert at.amax(0).tolist() <= [1.2 + 1e-5, 1e-5, 0.6 + 1e-5]
    assert at[:, 0].min() < -1.05 and at[:, 0].max() > 1.05
    ahead = -new.poses[:, :3, 2] @ torch.tensor([0.0, 1.0, 0.0])
    assert (ahead > math.cos(3**0.5 * JITTER) - 1e-4).all() and (ahead < 0.9999).any()


def test_a_seed_says_all() -> None:
    one, two, three = (
        random_cameras(_around(), 5, torch.Generator().manual_seed(seed)).poses
        for seed in (1, 1, 2)
    )
    assert torch.equal(one, two) and not torch.equal(one, three)


def test_turned_poses_stay_where_they_are() -> None:
    poses = _around().poses.double()
    found = turned(poses, torch.Generator().manual_seed(0))
    assert torch.equal(found[:, :3, 3], poses[:, :3, 3])
    cosine = ((found[:, :3, :3] * poses[:, :3, :3]).sum((1, 2)) - 1) / 2
    angle = torch.arccos(cosine.clamp(-1, 1))
    assert (angle <= 3**0.5 * JITTER + 1e-6).all() and angle.max() > JITTER / 2
