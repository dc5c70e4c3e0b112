"""What cameras see: counted exactly, and what few of them see stays empty while training."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from polyfield.encodings.domain import domain
from polyfield.renderers.occupancy import OccupancyGrid
from polyfield.scenes.cameras import Camera, Cameras
from polyfield.scenes.demo.capture import look_at
from polyfield.scenes.lenses.equirectangular import Equirectangular
from polyfield.scenes.lenses.opencv import OpenCV
from polyfield.scenes.lenses.opencv_fisheye import OpenCVFisheye
from polyfield.scenes.visibility import look_at_one_thing, seen_by

CUBE = torch.tensor([[-1.0] * 3, [1.0] * 3])
LENSES = (OpenCV(), OpenCV(k1=-0.2, p1=0.01), OpenCVFisheye(k1=0.05))


def ring(lens=LENSES[0], count=8, flip=False):
    found = []
    for i in range(count):
        pose = look_at(i * 2 * math.pi / count, 0.5, 4.0)
        if flip:
            pose[:3, [0, 2]] *= -1
        found.append(Camera(pose, 40, 20, 30.0, 30.0, 20.0, 10.0, lens))
    return Cameras.stack(found)


@pytest.mark.parametrize("lens", LENSES)
@given(st.integers(0, 7), st.floats(0.01, 39.99), st.floats(0.01, 19.99), st.floats(0.1, 9.0))
def test_a_point_on_a_ray_is_seen_by_its_camera(lens, camera, column, row, t):
    cameras = ring(lens)
    one = Cameras.stack([cameras[camera]])
    ray = one.rays(torch.tensor([0]), torch.tensor([[column, row]]))
    assert seen_by(one, ray.origins + t * ray.directions, 1).all()
    assert not seen_by(one, ray.origins - t * ray.directions, 1).any()


def test_points_are_counted():
    cameras = ring()
    middle, far = torch.tensor([[0.0, 0.0, 0.25]]), torch.tensor([[0.0, 0.0, 50.0]])
    before = cameras.poses[:1, :3, 3] - 0.05 * cameras.poses[:1, :3, 2]
    x = torch.cat([middle, far, before])
    assert seen_by(cameras, x, 1).tolist() == [True, False, True]
    assert seen_by(cameras, x, 2).tolist() == [True, False, False]
    assert seen_by(cameras, x, 8).tolist() == [True, False, False]
    assert seen_by(cameras, x, 9).tolist() == [False, False, False]


def test_who_looks_at_one_thing():
    assert look_at_one_thing(ring())
    assert not look_at_one_thing(ring(flip=True)) and not look_at_one_thing(ring(count=1))
    panoramas = [
        Camera(look_at(i, 0.5, 4.0), 40, 20, 20.0, 20.0, 20.0, 10.0, Equirectangular())
        for i in range(4)
    ]  # fmt: skip
    assert not look_at_one_thing(Cameras.stack(panoramas))


def test_what_is_left_out_stays_empty():
    sampler = OccupancyGrid(resolution=16).build(domain(CUBE, True))
    sampler.keep_only(lambda x: x[:, 0] > 0)
    inside = torch.tensor([[0.5, 0.0, 0.0]])
    outside = torch.tensor([[-0.9, 0.0, 0.0], [-30.0, 0.0, 0.0]])
    assert sampler.is_occupied(inside).all() and not sampler.is_occupied(outside).any()
    for step in range(0, 512, 16):
        sampler.refresh(lambda x: torch.full((len(x),), 100.0), step)
    assert sampler.is_occupied(inside).all() and not sampler.is_occupied(outside).any()
    assert not sampler.value[:6].any() and float(sampler.value[12:].min()) == 100


def test_a_fine_grid_is_asked_by_blocks():
    sampler = OccupancyGrid(resolution=128).build(domain(CUBE, False))
    asked = []

    def keep(x):
        asked.append(len(x))
        return (x < 0).all(1)

    sampler.keep_only(keep)
    assert asked == [64**3]
    x = torch.tensor([[-0.02, -0.02, -0.02], [0.04, -0.02, -0.02]])
    assert sampler.is_occupied(x).tolist() == [True, False]
