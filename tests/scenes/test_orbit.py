import math

import pytest
import torch

from polyfield.scenes.cameras import Camera
from polyfield.scenes.orbit import orbit, up_of
from polyfield.scenes.viewpoints import looking_at

CENTER = torch.tensor([12.8, 13.2, 5.2])
BOUNDS = torch.stack([CENTER - 2, CENTER + 2])
UP = torch.tensor([0.0, 0.0, 1.0])


def _camera(offset: torch.Tensor, up: torch.Tensor = UP, roll: float = 0.0) -> Camera:
    """At an offset from the centre, looking at it, turned about its own axis (degrees)."""
    pose = looking_at(CENTER + offset, CENTER, up)
    c, s = math.cos(math.radians(roll)), math.sin(math.radians(roll))
    turn = torch.tensor([[c, -s, 0.0], [s, c, 0.0], [0.0, 0.0, 1.0]])
    pose[:3, :3] = pose[:3, :3] @ turn
    return Camera(pose, 40, 30, 50.0, 50.0, 20.0, 15.0)


def _ring(
    radius: float = 3.0, height: float = 1.0, count: int = 7, roll: float = 0.0, arc: float = 360.0
) -> list[Camera]:
    angles = [math.radians(arc) * i / count for i in range(count)]
    return [
        _camera(torch.tensor([radius * math.cos(a), radius * math.sin(a), height]), roll=roll)
        for a in angles
    ]


def test_an_orbit_of_a_ring_lies_on_the_ring() -> None:
    found = orbit(_ring(), BOUNDS, 8)
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
    cameras = _ring()
    assert torch.allclose(orbit(cameras, BOUNDS, 4)[0].pose, cameras[0].pose, atol=1e-3)


def test_an_orbit_takes_medians_not_means() -> None:
    cameras = [*_ring(), _camera(torch.tensor([500.0, 0.0, 0.1]))]
    offset = orbit(cameras, BOUNDS, 1)[0].pose[:3, 3] - CENTER
    assert offset.norm() == pytest.approx(math.sqrt(10), rel=1e-3)


@pytest.mark.parametrize("roll", [0, 30, -30, 75, 90, -90, 105])
@pytest.mark.parametrize("height", [1.0, 4.0])
def test_a_rolled_ring_has_the_orbit_of_an_upright_one(roll: float, height: float) -> None:
    cameras = _ring(height=height, count=40, roll=roll)
    for camera, wanted in zip(
        orbit(cameras, BOUNDS, 6), orbit(_ring(height=height, count=40), BOUNDS, 6), strict=True
    ):
        assert torch.allclose(camera.pose, wanted.pose, atol=1e-3)


@pytest.mark.parametrize("roll", [0, 90, -90])
def test_a_rolled_half_ring_or_dome_of_shaky_cameras_is_upright_too(roll: float) -> None:
    generator = torch.Generator().manual_seed(0)
    dome = []
    for _ in range(60):
        a, e = torch.rand(2, generator=generator).tolist()
        a, e = a * 2 * math.pi, math.radians(5 + 70 * e)
        at = torch.tensor([math.cos(a) * math.cos(e), math.sin(a) * math.cos(e), math.sin(e)])
        dome.append(_camera(3 * at, roll=roll + float(torch.randn(1, generator=generator)) * 4))
    for cameras in (dome, _ring(count=30, roll=roll, arc=180.0)):
        poses = torch.stack([camera.pose for camera in cameras]).double()
        assert float(up_of(poses, CENTER.double())[2]) > math.cos(math.radians(15))


def test_a_level_ring_of_a_phone_held_upright_has_the_sky_at_the_pictures_left() -> None:
    poses = torch.stack([camera.pose for camera in _ring(height=0.0, count=30, roll=-90)]).double()
    found = up_of(poses, CENTER.double())
    assert torch.allclose(found, -poses[:, :3, 0].mean(0), atol=1e-3)
    assert abs(float(found[2])) == pytest.approx(1.0, abs=1e-3)


def test_a_short_arc_and_cameras_in_a_row_keep_the_pictures_up() -> None:
    for roll in (0, 90):
        cameras = _ring(count=9, roll=roll, arc=40.0)
        poses = torch.stack([camera.pose for camera in cameras]).double()
        mean = poses[:, :3, 1].mean(0)
        assert torch.equal(up_of(poses, CENTER.double()), mean / mean.norm())


ODD = {
    "above": [[0.0, 0.0, 3.0]],
    "at the centre": [[0.0, 0.0, 0.0]],
    "below": [[0.0, 0.0, -1.0]],
    "nearly at the centre": [[1e-9, 0.0, 0.0]],
    "a line": [[float(i), 0.0, 0.0] for i in range(-3, 4)],
    "a line upwards": [[0.0, 0.0, float(i)] for i in range(-3, 4)],
    "all at one point": [[1.0, 2.0, 0.5]] * 9,
    "all at the centre": [[0.0, 0.0, 0.0]] * 9,
    "far": [[1e9, 1e9, 0.0]] * 2,
}


@pytest.mark.parametrize("name", list(ODD))
@pytest.mark.parametrize("turn", [False, True])
def test_an_orbit_of_odd_cameras_is_finite(name: str, turn: bool) -> None:
    cameras = []
    for i, offset in enumerate(ODD[name]):
        pose = torch.eye(4)
        if turn:  # a panorama on its side: every image's up is level
            a = 2 * math.pi * i / len(ODD[name])
            c, s = math.cos(a), math.sin(a)
            pose[:3, :3] = torch.tensor([[0, -s, c], [0, c, s], [-1, 0, 0]])
        pose[:3, 3] = CENTER + torch.tensor(offset)
        cameras.append(Camera(pose, 4, 4, 5.0, 5.0, 2.0, 2.0))
    for camera in orbit(cameras, BOUNDS, 5):
        rotation = camera.pose[:3, :3].float()
        assert torch.isfinite(camera.pose).all()
        assert torch.allclose(rotation.T @ rotation, torch.eye(3), atol=1e-4)
        assert torch.det(rotation) == pytest.approx(1.0, abs=1e-4)
