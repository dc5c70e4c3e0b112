"""Cameras against closed forms, against their own inverse, and against impossible input."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from polyfield.errors import InputError
from polyfield.scenes.cameras import PINHOLE, Camera, Cameras
from polyfield.scenes.demo.capture import look_at
from polyfield.scenes.lenses.equirectangular import Equirectangular
from polyfield.scenes.lenses.opencv import OpenCV
from polyfield.scenes.lenses.opencv_fisheye import OpenCVFisheye

FOX = OpenCV(0.0578421, -0.0805099, -0.000980296, 0.00015575)
IDENTITY = np.eye(4)


def camera(pose=IDENTITY, lens=PINHOLE, width=8, height=6) -> Camera:
    return Camera(pose, width, height, 10.0, 12.0, 3.5, 3.0, lens)


def project(camera: Camera, points: torch.Tensor) -> torch.Tensor:
    """SceneInfo points -> pixels, written independently of the class, in float64."""
    pose = camera.pose.double()
    local = (points.double() - pose[:3, 3]) @ pose[:3, :3]
    k = torch.tensor(camera.lens.coefficients(), dtype=torch.float64)
    x, y = camera.lens.project((local[:, 0], -local[:, 1], -local[:, 2]), k.expand(len(points), -1))
    return torch.stack([x * camera.fl_x + camera.cx, y * camera.fl_y + camera.cy], 1)


def test_axes_are_opengl_with_pixel_centres_at_one_half():
    rays = camera().rays()
    assert rays.shape == (6, 8)
    # Row 3, column 3: centre (3.5, 3.5), the axis is at (3.5, 3.0).
    expected = torch.tensor([0.0, -0.5 / 12, -1.0])
    torch.testing.assert_close(rays.directions[3, 3], expected / expected.norm())
    assert rays.directions[0, 7, 0] > 0 and rays.directions[0, 7, 1] > 0  # right and up


def test_rays_start_at_the_camera_and_are_unit():
    pose = look_at(0.3, 0.5, 4.0)
    rays = camera(pose).rays().flatten()
    torch.testing.assert_close(rays.origins, pose[:3, 3].expand(48, 3))
    torch.testing.assert_close(rays.directions.norm(dim=1), torch.ones(48))
    assert rays.near.eq(0).all() and rays.far.isinf().all() and rays.camera.eq(0).all()


@settings(max_examples=40, deadline=None)
@given(
    azimuth=st.floats(0, 6.28),
    elevation=st.floats(-1.4, 1.4),
    k=st.tuples(
        st.floats(-0.1, 0.2), st.floats(-0.05, 0.1), st.floats(-0.01, 0.01), st.floats(-0.01, 0.01)
    ),
    pixel=st.lists(st.tuples(st.floats(0, 640), st.floats(0, 480)), min_size=1, max_size=8),
)
def test_projecting_a_ray_gives_its_pixel_back(azimuth, elevation, k, pixel):
    one = Camera(look_at(azimuth, elevation, 3.0), 640, 480, 500.0, 510.0, 315.0, 244.0, OpenCV(*k))
    pixels = torch.tensor(pixel)
    rays = Cameras.stack([one]).rays(torch.zeros(len(pixels), dtype=torch.int64), pixels)
    found = project(one, rays.origins.double() + 2 * rays.directions.double())
    # float32 rays: a few parts in 1e7 of 640 pixels.
    assert (found - pixels).abs().max() < 2e-3


def test_a_lens_that_folds_the_picture_is_an_error():
    with pytest.raises(InputError, match="folds it over"):
        Cameras.stack([camera(lens=OpenCV(-3.0), width=20, height=20)])


def test_a_batch_of_different_cameras_equals_each_alone():
    singles = [
        camera(look_at(0.1, 0.2, 3.0)),
        Camera(look_at(2.0, -0.3, 5.0), 5, 9, 7.0, 6.0, 2.0, 5.0, FOX),
        Camera(look_at(1.0, -0.3, 5.0), 6, 7, 3.0, 3.0, 3.0, 3.5, OpenCVFisheye(0.1)),
        Camera(look_at(1.5, -0.3, 5.0), 8, 4, 4.0, 4.0, 4.0, 2.0, Equirectangular()),
    ]
    batch = Cameras.stack(singles, near=0.5, far=9.0)
    assert len(batch) == 4
    for i, one in enumerate(singles):
        view, alone = batch.view(i), one.rays()
        torch.testing.assert_close(view.directions, alone.directions, atol=1e-6, rtol=0)
        assert torch.equal(view.origins, alone.origins)
        assert view.camera.eq(i).all() and view.near.eq(0.5).all() and view.far.eq(9.0).all()
        again = batch[i]
        assert (again.width, again.height) == (one.width, one.height)
        assert again.lens == one.lens
        assert torch.equal(again.pose, one.pose)


def test_mixed_cameras_in_one_call_follow_their_numbers():
    fisheye = camera(look_at(2.0, -0.3, 5.0), OpenCVFisheye(0.01, 0.02))
    batch = Cameras.stack([camera(look_at(0.1, 0.2, 3.0), FOX), fisheye])
    which = torch.tensor([1, 0, 1])
    rays = batch.rays(which, torch.tensor([[0.5, 0.5], [1.5, 2.5], [7.5, 5.5]]))
    for i, (view, row, column) in enumerate([(1, 0, 0), (0, 2, 1), (1, 5, 7)]):
        torch.testing.assert_close(rays.directions[i], batch.view(view).directions[row, column])


def test_resized_and_reduced_cameras_see_the_same_corners():
    one = camera(look_at(0.4, 0.1, 3.0), FOX, width=12, height=9)
    big = one.resized(36, 27)
    small = big.reduced(3)
    corner = torch.tensor([[0.0, 0.0], [12.0, 9.0], [4.0, 7.0]])
    which = torch.zeros(3, dtype=torch.int64)
    expected = Cameras.stack([one]).rays(which, corner).directions
    torch.testing.assert_close(Cameras.stack([big]).rays(which, corner * 3).directions, expected)
    torch.testing.assert_close(Cameras.stack([small]).rays(which, corner).directions, expected)


def test_a_remainder_is_cropped_and_the_axis_stays():
    small = Camera(IDENTITY, 11, 7, 10.0, 10.0, 5.0, 3.0).reduced(3)
    assert (small.width, small.height) == (3, 2)
    assert (small.fl_x, small.cx, small.cy) == (10 / 3, 5 / 3, 1.0)


@pytest.mark.parametrize(
    "kind", [list, tuple, np.array, torch.tensor, lambda p: np.array(p)[:3], lambda p: sum(p, [])]
)
def test_poses_come_in_many_forms(kind):
    pose = look_at(0.2, 0.3, 2.0)
    given = kind(pose.tolist())
    assert torch.equal(camera(given).pose, pose.double())
    assert camera(given).pose.dtype == torch.float64


def spoiled(index, value):
    pose = np.eye(4)
    pose[index] = value
    return pose


@pytest.mark.parametrize(
    ("pose", "message"),
    [
        (np.eye(3), "shape 3x3"),
        ([[1.0, 0.0], [0.0]], "don't form a matrix"),
        (spoiled((0, 3), math.nan), "NaN or infinity"),
        (spoiled((1, 1), math.inf), "NaN or infinity"),
        (np.diag([2.0, 2.0, 2.0, 1.0]), "scaled by 2"),
        (np.diag([1.0, 1.0, -1.0, 1.0]), "mirrored"),
        (spoiled((0, 1), 0.2), "isn't orthonormal"),
        (np.zeros((4, 4)), "last row"),
        (np.diag([0.0, 0.0, 0.0, 1.0]), "isn't orthonormal"),
        (spoiled((3, 0), 1.0), "last row"),
    ],
)
def test_poses_that_are_no_rigid_motion(pose, message):
    with pytest.raises(InputError, match=message):
        camera(pose)


@pytest.mark.parametrize(
    "values",
    [
        (0, 6, 10.0, 10.0, 3.0, 3.0),
        (8, -1, 10.0, 10.0, 3.0, 3.0),
        (8, 6, 0.0, 10.0, 3.0, 3.0),
        (8, 6, 10.0, -10.0, 3.0, 3.0),
        (8, 6, 1e-6, 10.0, 3.0, 3.0),
        (8, 6, 10.0, 1e9, 3.0, 3.0),
        (8, 6, math.nan, 10.0, 3.0, 3.0),
        (8, 6, 10.0, 10.0, math.inf, 3.0),
        (8, 6, 10.0, 10.0, 3.0, 3.0, OpenCV(math.nan)),
        (8, 6, 10.0, 0.0, 3.0, 3.0, OpenCVFisheye()),
        (8, 6, 10.0, 1.0, 3.0, 3.0, Equirectangular()),
    ],
)
def test_lenses_that_are_impossible(values):
    with pytest.raises(InputError):
        Camera(IDENTITY, *values)


def test_rays_index_and_flatten():
    rays = camera(look_at(0.2, 0.3, 2.0)).rays()
    assert len(rays) == 6 and len(rays.flatten()) == 48
    assert torch.equal(rays.flatten()[8:16].directions, rays[1].directions)
    assert torch.equal(rays[torch.tensor([4])].origins, rays.origins[4:5])
    assert rays.to("cpu").shape == rays.shape


def test_no_cameras_are_a_batch_too():
    empty = Cameras.stack([])
    assert len(empty) == 0
    assert len(empty.rays(torch.zeros(0, dtype=torch.int64), torch.zeros(0, 2))) == 0
