"""Lenses against closed forms, and those that can't be undone."""

import math

import numpy as np
import pytest
import torch

from polyfield.errors import InputError
from polyfield.scenes.bounds import automatic_bounds, look_inward
from polyfield.scenes.cameras import Camera, Cameras
from polyfield.scenes.demo.capture import look_at
from polyfield.scenes.doctor.pose_rows import directions_row
from polyfield.scenes.lens_keys import read_lens
from polyfield.scenes.lenses.base import Lens
from polyfield.scenes.lenses.division import Division
from polyfield.scenes.lenses.equirectangular import Equirectangular
from polyfield.scenes.lenses.eucm import Eucm
from polyfield.scenes.lenses.fov import Fov
from polyfield.scenes.lenses.full_opencv import FullOpenCV
from polyfield.scenes.lenses.opencv import OpenCV
from polyfield.scenes.lenses.opencv_fisheye import OpenCVFisheye
from polyfield.scenes.orbit import orbit
from polyfield.scenes.poses import random_cameras, ring
from polyfield.scenes.viewpoints import moved, sized

EYE = np.eye(4)


def test_a_panorama_sees_all_around() -> None:
    one = Camera(EYE, 8, 4, 4.0, 4.0, 4.0, 2.0, Equirectangular())
    pixel = torch.tensor([[4.0, 2.0], [6.0, 2.0], [0.0, 2.0], [8.0, 2.0], [4.0, 0.0], [2.0, 3.0]])
    found = Cameras.stack([one]).rays(torch.zeros(6, dtype=torch.int64), pixel).directions
    half = math.sqrt(0.5)
    ahead, right, behind, up = [0, 0, -1], [1, 0, 0], [0, 0, 1], [0, 1, 0]
    wanted = [ahead, right, behind, behind, up, [-half, -half, 0]]
    torch.testing.assert_close(found, torch.tensor(wanted).float(), atol=1e-6, rtol=0)


def test_a_fisheye_sees_behind_itself() -> None:
    focal = 10 / math.radians(120)
    one = Camera(EYE, 20, 2, focal, focal, 10.0, 1.0, OpenCVFisheye())
    found = Cameras.stack([one]).rays(torch.zeros(1, dtype=torch.int64), torch.tensor([[20.0, 1]]))
    wanted = [math.sin(math.radians(120)), 0, -math.cos(math.radians(120))]
    torch.testing.assert_close(found.directions[0], torch.tensor(wanted))


@pytest.mark.parametrize(
    ("lens", "focal"),
    [
        (OpenCV(-3.0), 10.0),
        (FullOpenCV(-3.0), 10.0),
        (OpenCVFisheye(-0.5), 10.0),
        (OpenCVFisheye(), 3.0),  # corners beyond 180 degrees
        (Fov(1.5), 10.0),
        (Division(-0.6), 10.0),
        (Equirectangular(), 10.0),
        (Eucm(0.8, 1.0), 8.0),
        (Eucm(1.2, 1.0), 40.0),
    ],
)
def test_a_lens_that_cannot_be_undone_is_one_line(lens: Lens, focal: float) -> None:
    with pytest.raises(InputError, match=f"a lens {lens.model} that can be undone") as error:
        Cameras.stack([Camera(EYE, 20, 20, focal, focal, 10.0, 10.0, lens)])
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("far", [1e12, 1e15, 1e20, 1e100])
def test_a_lens_that_bends_nothing_needs_no_undoing(far: float) -> None:
    """However far from the axis the pixels are, and whatever other cameras have."""
    straight = Camera(EYE, 20, 20, 40.0, 40.0, 10.0, far, OpenCV())
    cameras = Cameras.stack([straight, Camera(EYE, 20, 20, 40.0, 40.0, 10.0, 10.0, OpenCV(0.01))])
    assert bool(cameras[1].rays().directions.isfinite().all())
    assert far > 1e30 or bool(cameras[0].rays().directions.isfinite().all())


def test_too_few_steps_are_noticed() -> None:
    k = torch.tensor([[0.0578421, -0.0805099, -0.000980296, 0.00015575]], dtype=torch.float64)
    x = torch.linspace(-0.7, 0.7, 9, dtype=torch.float64)[None]
    steps, good = OpenCV.steps_needed((x, x), k, torch.tensor([[1e-9]], dtype=torch.float64))
    assert good.all() and 2 <= steps < 12
    lens = k.expand(9, 4)
    once = OpenCV.distort(*OpenCV.undistort((x[0], x[0]), lens, 1), lens)
    assert (once.x - x[0]).abs().max() > 1e-9


def test_the_usual_lens_takes_the_steps_of_before() -> None:
    """Bit by bit what the first edition's Newton gave, for fox's lens."""
    k = torch.tensor([[0.0578421, -0.0805099, -0.000980296, 0.00015575]])
    x, y = torch.rand(2, 100, generator=torch.Generator().manual_seed(0)) - 0.5
    k1, k2, p1, p2 = k.expand(100, 4).unbind(-1)
    u, v = x, y
    for _ in range(3):
        uu, uv, vv = u * u, u * v, v * v
        r2 = uu + vv
        radial = 1 + r2 * (k1 + r2 * k2)
        slope = 2 * (k1 + 2 * k2 * r2)
        error_x = u * radial + 2 * p1 * uv + p2 * (r2 + 2 * uu) - x
        error_y = v * radial + 2 * p2 * uv + p1 * (r2 + 2 * vv) - y
        j_xx = radial + slope * uu + 2 * p1 * v + 6 * p2 * u
        j_xy = slope * uv + 2 * p1 * u + 2 * p2 * v
        j_yy = radial + slope * vv + 2 * p2 * u + 6 * p1 * v
        scale = 1 / (j_xx * j_yy - j_xy * j_xy)
        u, v = (
            u - (error_x * j_yy - error_y * j_xy) * scale,
            v - (error_y * j_xx - error_x * j_xy) * scale,
        )
    found = OpenCV.undistort((x, y), k.expand(100, 4), 3)
    assert torch.equal(found[0], u) and torch.equal(found[1], v)


@pytest.mark.parametrize(
    ("values", "lens"),
    [
        ({}, OpenCV()),
        ({"camera_model": "SIMPLE_RADIAL", "k1": 0.1}, OpenCV(0.1)),
        ({"k1": 0.1, "k3": 0.2, "k4": 0, "is_fisheye": False}, FullOpenCV(0.1, k3=0.2)),
        ({"is_fisheye": True, "k1": 0.1, "k4": 0.2}, OpenCVFisheye(0.1, k4=0.2)),
        ({"camera_model": "OPENCV_FISHEYE", "is_fisheye": True}, OpenCVFisheye()),
        ({"camera_model": "SIMPLE_RADIAL_FISHEYE", "k1": 0.1}, OpenCVFisheye(0.1)),
        ({"camera_model": "EQUIRECTANGULAR", "k1": 0}, Equirectangular()),
    ],
)
def test_what_keys_mean(values: dict[str, object], lens: Lens) -> None:
    assert read_lens(values, "a test", "") == lens


@pytest.mark.parametrize(
    ("values", "word"),
    [
        ({"camera_model": "ORTHOPHOTO"}, "camera_model 'ORTHOPHOTO'"),
        ({"camera_model": ["OPENCV"]}, "camera_model"),
        ({"k4": 0.1}, "k4 = 0.1"),  # nerfstudio's is another term than OpenCV's
        ({"camera_model": "OPENCV_FISHEYE", "p1": 0.1}, "p1 = 0.1"),
        ({"camera_model": "EQUIRECTANGULAR", "k1": 0.1}, "no coefficients.*k1 = 0.1"),
        ({"camera_model": "PINHOLE", "is_fisheye": True}, "is_fisheye beside"),
        ({"k1": "0.1"}, "a number for k1"),
        ({"ftheta_p0": 0.1}, "ftheta_p0"),
    ],
)
def test_lenses_that_are_refused(values: dict[str, object], word: str) -> None:
    with pytest.raises(InputError, match=word):
        read_lens(values, "a test", "undistort the images first")


def _around(lens: Lens, size: tuple[int, int], focal: float) -> list[Camera]:
    angles = [(i * math.pi / 4, 0.4) for i in range(8)]
    middle = (size[0] / 2, size[1] / 2)
    return [Camera(look_at(*a, 4.0), *size, focal, focal, *middle, lens) for a in angles]


def test_panoramas_look_nowhere() -> None:
    views = _around(Equirectangular(), (16, 8), 8.0)
    cameras = Cameras.stack(views)
    assert not look_inward(cameras) and ring(cameras) is None
    around = cameras.poses[:, :3, 3]
    bounds = automatic_bounds(cameras)
    assert (bounds[0, :2] < around[:, :2].amin(0)).all()
    assert directions_row(cameras, lambda: True).verdict == "ok"
    # Drawn as a pinhole that looks ahead, 90 degrees wide; at another size as all around again.
    pinhole = moved(views[0], views[0].pose)
    assert (pinhole.lens, pinhole.fl_x, pinhole.width) == (OpenCV(), 8.0, 16)
    wide = sized(views[0], 40, 10)
    assert (wide.fl_x, wide.fl_y, wide.lens) == (20.0, 10.0, Equirectangular())
    assert len(orbit(views, bounds, 3)) == 3


def test_a_wide_fisheye_has_a_box_that_reaches_to_its_cameras() -> None:
    narrow = automatic_bounds(Cameras.stack(_around(OpenCVFisheye(), (16, 16), 40.0)))
    pinhole = automatic_bounds(Cameras.stack(_around(OpenCV(), (16, 16), 40.0)))
    torch.testing.assert_close(narrow, pinhole)
    wide = Cameras.stack(_around(OpenCVFisheye(), (16, 16), 4.0))
    assert look_inward(wide)
    half = automatic_bounds(wide)[1] - automatic_bounds(wide).mean(0)
    torch.testing.assert_close(half, torch.full((3,), 4.0 * 1.05), atol=1e-3, rtol=0)
    new = random_cameras(wide, 5, torch.Generator().manual_seed(0))
    assert new.focal.eq(8.0).all() and new.lenses == (OpenCV(),) * 5


def test_a_pinhole_in_place_of_a_lens_sees_ninety_degrees_at_most() -> None:
    fisheye = Camera(EYE, 20, 10, 5.0, 5.0, 10.0, 5.0, OpenCVFisheye(0.01))
    pinhole = moved(fisheye, torch.eye(4))
    assert (pinhole.fl_x, pinhole.fl_y, pinhole.lens) == (10.0, 10.0, OpenCV())
    usual = Camera(EYE, 20, 10, 5.0, 5.0, 10.0, 5.0, OpenCV(0.01))
    assert moved(usual, torch.eye(4)).fl_x == 5.0
