import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from polyfield.errors import InputError
from polyfield.scenes.cameras import Camera
from polyfield.scenes.interpolate import interpolate
from polyfield.scenes.viewpoints import looking_at

UP = torch.tensor([0.0, 0.0, 1.0])


def _ring(count: int) -> list[Camera]:
    angles = [2 * math.pi * i / count for i in range(count)]
    places = [torch.tensor([3 * math.cos(a), 3 * math.sin(a), 1.0]) for a in angles]
    poses = [looking_at(place, torch.zeros(3), UP) for place in places]
    return [Camera(pose, 40, 30, 50.0, 50.0, 20.0, 15.0) for pose in poses]


def test_an_interpolation_passes_through_every_camera() -> None:
    cameras = _ring(5)
    found = interpolate(cameras, 4 * 6 + 1)
    for index, camera in enumerate(cameras):
        assert torch.allclose(found[index * 6].pose, camera.pose, atol=1e-4)


def test_an_interpolation_turns_the_short_way_at_a_constant_rate() -> None:
    eye, turned = torch.eye(4), torch.eye(4)
    turned[:2, :2] = torch.tensor([[0.0, -1.0], [1.0, 0.0]])
    cameras = [Camera(p, 4, 4, 5.0, 5.0, 2.0, 2.0) for p in (eye, turned)]
    angles = [
        math.degrees(math.atan2(float(c.pose[1, 0]), float(c.pose[0, 0])))
        for c in interpolate(cameras, 4)
    ]
    assert angles == pytest.approx([0, 30, 60, 90], abs=1e-3)


def test_speed_and_turn_do_not_jump_at_a_camera() -> None:
    cameras = [_ring(7)[i] for i in (0, 1, 3, 4)]
    poses = torch.stack([camera.pose for camera in interpolate(cameras, 3 * 1000 + 1)])
    steps = poses.diff(dim=0)
    for key in (1000, 2000):
        before, after = steps[key - 1], steps[key]
        assert (after - before).abs().max() < 0.01 * before.abs().max()


@given(st.integers(0, 2), st.booleans())
def test_half_a_turn_is_no_trap(axis: int, negative: bool) -> None:
    end = torch.eye(4)
    for other in {0, 1, 2} - {axis}:
        end[other, other] = -1
    cameras = [Camera(p, 4, 4, 5.0, 5.0, 2.0, 2.0) for p in (torch.eye(4), end)]
    found = interpolate(cameras[::-1] if negative else cameras, 5)
    for camera in found:
        rotation = camera.pose[:3, :3].float()
        assert torch.allclose(rotation.T @ rotation, torch.eye(3), atol=1e-4)
    assert torch.allclose(found[-1].pose, cameras[0 if negative else 1].pose, atol=1e-4)


def test_one_camera_can_not_be_interpolated() -> None:
    with pytest.raises(InputError, match="two cameras"):
        interpolate(_ring(1), 5)
