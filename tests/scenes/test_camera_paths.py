import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from polyfield.errors import InputError
from polyfield.scenes import camera_paths
from polyfield.scenes.cameras import Camera

CENTER = torch.tensor([12.8, 13.2, 5.2])
BOUNDS = torch.stack([CENTER - 2, CENTER + 2])


def _camera(position: torch.Tensor, up: torch.Tensor | None = None, size: int = 40) -> Camera:
    up = torch.tensor([0.0, 0.0, 1.0]) if up is None else up
    pose = camera_paths.looking_at(position, CENTER, up)
    return Camera(pose, size, 30, 50.0, 50.0, size / 2, 15.0)


def _ring(radius: float, height: float, count: int = 7) -> list[Camera]:
    angles = [2 * math.pi * i / count for i in range(count)]
    offsets = [[radius * math.cos(a), radius * math.sin(a), height] for a in angles]
    return [_camera(CENTER + torch.tensor(offset)) for offset in offsets]


def test_an_orbit_of_a_ring_lies_on_the_ring() -> None:
    found = camera_paths.orbit(_ring(3.0, 1.0), BOUNDS, 8)
    assert len(found) == 8
    for camera in found:
        offset = camera.pose[:3, 3] - CENTER
        assert offset[2] == pytest.approx(1.0, abs=1e-3)
        assert offset[:2].norm() == pytest.approx(3.0, abs=1e-3)
        forward = -camera.pose[:3, 2]
        assert torch.allclose(forward, -offset / offset.norm(), atol=1e-4)
        assert camera.pose[2, 1] > 0
    steps = [(a.pose[:3, 3] - b.pose[:3, 3]).norm() for a, b in zip(found, found[1:], strict=False)]
    assert max(steps) - min(steps) < 1e-3


def test_an_orbit_starts_beside_the_first_camera() -> None:
    cameras = _ring(3.0, 1.0)
    assert torch.allclose(
        camera_paths.orbit(cameras, BOUNDS, 4)[0].pose, cameras[0].pose, atol=1e-3
    )


def test_an_orbit_takes_medians_not_means() -> None:
    cameras = [*_ring(3.0, 1.0), _camera(CENTER + torch.tensor([500.0, 0.0, 0.1]))]
    offset = camera_paths.orbit(cameras, BOUNDS, 1)[0].pose[:3, 3] - CENTER
    assert offset.norm() == pytest.approx(math.sqrt(10), rel=1e-3)


@pytest.mark.parametrize(
    "offset", [[0.0, 0.0, 3.0], [0.0, 0.0, 0.0], [0.0, 0.0, -1.0], [1e-9, 0.0, 0.0]]
)
def test_an_orbit_of_one_odd_camera_is_finite(offset: list[float]) -> None:
    pose = torch.eye(4)
    pose[:3, 3] = CENTER + torch.tensor(offset)
    for camera in camera_paths.orbit([Camera(pose, 4, 4, 5.0, 5.0, 2.0, 2.0)], BOUNDS, 5):
        rotation = camera.pose[:3, :3].float()
        assert torch.allclose(rotation.T @ rotation, torch.eye(3), atol=1e-4)
        assert torch.det(rotation) == pytest.approx(1.0, abs=1e-4)


def test_an_interpolation_passes_through_every_camera() -> None:
    cameras = _ring(3.0, 1.0, 5)
    found = camera_paths.interpolate(cameras, 4 * 6 + 1)
    for index, camera in enumerate(cameras):
        assert torch.allclose(found[index * 6].pose, camera.pose, atol=1e-4)


def test_an_interpolation_turns_the_short_way_at_a_constant_rate() -> None:
    eye, turned = torch.eye(4), torch.eye(4)
    turned[:2, :2] = torch.tensor([[0.0, -1.0], [1.0, 0.0]])
    cameras = [Camera(p, 4, 4, 5.0, 5.0, 2.0, 2.0) for p in (eye, turned)]
    angles = [
        math.degrees(math.atan2(float(c.pose[1, 0]), float(c.pose[0, 0])))
        for c in camera_paths.interpolate(cameras, 4)
    ]
    assert angles == pytest.approx([0, 30, 60, 90], abs=1e-3)


@given(st.integers(0, 2), st.booleans())
def test_half_a_turn_is_no_trap(axis: int, negative: bool) -> None:
    end = torch.eye(4)
    for other in {0, 1, 2} - {axis}:
        end[other, other] = -1
    cameras = [Camera(p, 4, 4, 5.0, 5.0, 2.0, 2.0) for p in (torch.eye(4), end)]
    found = camera_paths.interpolate(cameras[::-1] if negative else cameras, 5)
    for camera in found:
        rotation = camera.pose[:3, :3].float()
        assert torch.allclose(rotation.T @ rotation, torch.eye(3), atol=1e-4)
    assert torch.allclose(found[-1].pose, cameras[0 if negative else 1].pose, atol=1e-4)


def test_one_camera_can_not_be_interpolated() -> None:
    with pytest.raises(InputError, match="two cameras"):
        camera_paths.interpolate(_ring(3.0, 1.0, 1), 5)


def test_another_size_keeps_pixels_square_and_all_in_sight() -> None:
    camera = Camera(torch.eye(4), 40, 30, 50.0, 51.0, 18.0, 16.0)
    assert camera_paths.sized(camera, 80, 60).fl_x == pytest.approx(100.0)
    wide = camera_paths.sized(camera, 160, 30)
    assert (wide.fl_x, wide.fl_y) == (50.0, 51.0)
    assert (wide.cx, wide.cy) == (78.0, 16.0)
