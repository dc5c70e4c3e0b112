"""What every lens must do: one parametrised test for each member of the union."""

import math
import typing
from dataclasses import fields

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from polyfield.scenes.cameras import Camera, Cameras
from polyfield.scenes.lens_keys import read_lens, write_lens
from polyfield.scenes.lenses import LENSES, LensModel
from polyfield.scenes.lenses.base import Lens
from polyfield.scenes.lenses.division import Division
from polyfield.scenes.lenses.equirectangular import Equirectangular
from polyfield.scenes.lenses.eucm import Eucm
from polyfield.scenes.lenses.fov import Fov
from polyfield.scenes.lenses.full_opencv import FullOpenCV
from polyfield.scenes.lenses.opencv import OpenCV
from polyfield.scenes.lenses.opencv_fisheye import OpenCVFisheye
from polyfield.scenes.lenses.rad_tan_thin_prism_fisheye import RadTanThinPrismFisheye
from polyfield.scenes.lenses.thin_prism_fisheye import ThinPrismFisheye

SAMPLES: tuple[Lens, ...] = (
    OpenCV(0.0578421, -0.0805099, -0.000980296, 0.00015575),  # fox's
    FullOpenCV(0.1, -0.05, 0.002, -0.001, 0.02, 0.03, -0.02, 0.01),
    OpenCVFisheye(0.05, -0.02, 0.004, -0.001),
    ThinPrismFisheye(0.05, -0.01, 0.001, -0.002, 0.002, -0.001, 0.003, -0.002),
    RadTanThinPrismFisheye(
        0.05, -0.01, 0.002, -0.001, 0.0003, -0.0001, 0.001, -0.002, 0.003, -0.001, 0.002, -0.003
    ),
    Fov(0.9),
    Division(-0.12),
    Eucm(0.57, 1.1),
    Equirectangular(),
)
"""Real lenses, or like them."""
WIDTH, HEIGHT, FOCAL = 640, 480, 500.0
CENTER = (315.0, 244.0)

pytestmark = pytest.mark.parametrize("lens", SAMPLES, ids=lambda lens: lens.model)


def _coefficients(lens: Lens, count: int) -> torch.Tensor:
    k = torch.tensor(lens.coefficients(), dtype=torch.float64)
    return k.expand(count, len(k))


def _steps(lens: Lens) -> int:
    camera = Camera(np.eye(4), WIDTH, HEIGHT, FOCAL, FOCAL, *CENTER, lens)
    (model,) = Cameras.stack([camera])._lens.models
    return model.steps


def test_it_is_in_the_union(lens: Lens) -> None:
    assert {type(sample) for sample in SAMPLES} == set(typing.get_args(LensModel))
    assert LENSES[lens.model] is type(lens)
    assert lens.coefficients() == tuple(getattr(lens, field.name) for field in fields(lens))


def test_newton_has_the_exact_jacobian(lens: Lens) -> None:
    k = _coefficients(lens, 1)[0]
    for u, v in ((0.3, -0.2), (-0.05, 0.6), (0.4, 0.4)):
        point = (torch.tensor(u, dtype=torch.float64), torch.tensor(v, dtype=torch.float64))

        def moved(u: torch.Tensor, v: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            found = lens.distort(u, v, k)
            return found.x + 0 * u, found.y + 0 * v

        (x_u, x_v), (y_u, y_v) = torch.func.jacrev(moved, argnums=(0, 1))(*point)
        found = lens.distort(*point, k)
        derivatives = torch.stack([found.x_u, found.x_v, found.y_u, found.y_v])
        torch.testing.assert_close(derivatives, torch.stack([x_u, x_v, y_u, y_v]))


@settings(max_examples=25, deadline=None)
@given(
    pixels=st.lists(st.tuples(st.floats(0, WIDTH), st.floats(0, HEIGHT)), min_size=1, max_size=8)
)
def test_pixel_to_ray_to_pixel(lens: Lens, pixels: list[tuple[float, float]]) -> None:
    pixel = torch.tensor(pixels, dtype=torch.float64)
    k = _coefficients(lens, len(pixel))
    plane = (pixel - torch.tensor(CENTER, dtype=torch.float64)) / FOCAL
    ray = lens.unproject((plane[:, 0], plane[:, 1]), k, _steps(lens))
    back = torch.stack(lens.project(tuple(3.7 * part for part in ray), k), 1)
    assert ((back - plane).abs() * FOCAL).max() < 1e-4


def test_rays_of_a_camera_go_through_what_is_seen_there(lens: Lens) -> None:
    """In float32, by the way that training takes."""
    camera = Camera(np.eye(4), WIDTH, HEIGHT, FOCAL, FOCAL, *CENTER, lens)
    pixel = torch.rand(200, 2, generator=torch.Generator().manual_seed(0)) * torch.tensor(
        [WIDTH, HEIGHT]
    )
    rays = Cameras.stack([camera]).rays(torch.zeros(200, dtype=torch.int64), pixel)
    x, y, z = rays.directions.double().unbind(1)
    back = torch.stack(lens.project((x, -y, -z), _coefficients(lens, 200)), 1) * FOCAL
    assert (back + torch.tensor(CENTER) - pixel).abs().max() < 1e-3


def test_zeros_are_no_distortion(lens: Lens) -> None:
    zeros = torch.zeros(5, len(fields(lens)), dtype=torch.float64)
    point = (torch.linspace(-0.5, 0.5, 5).double(), torch.linspace(0.3, -0.1, 5).double())
    for found, wanted in zip(
        lens.unproject(point, zeros, 1), lens.unproject(point, None, 0), strict=True
    ):
        torch.testing.assert_close(found, wanted)
    ray = lens.unproject(point, None, 0)
    for found, wanted in zip(lens.project(ray, zeros), point, strict=True):
        torch.testing.assert_close(found, wanted)


def test_keys_of_files_say_it(lens: Lens) -> None:
    assert read_lens(write_lens(lens), "a test", "") == lens


def test_straight_ahead_is_the_middle(lens: Lens) -> None:
    k = _coefficients(lens, 1)
    zero, one = torch.zeros(1, dtype=torch.float64), torch.ones(1, dtype=torch.float64)
    x, y, z = lens.unproject((zero, zero), k, max(_steps(lens), 1))
    assert x == y == 0 and z > 0
    assert lens.project((zero, zero, 2 * one), k) == (zero, zero)


def test_right_is_right_and_down_is_down(lens: Lens) -> None:
    k = _coefficients(lens, 1)
    some, zero = torch.full((1,), 0.2, dtype=torch.float64), torch.zeros(1, dtype=torch.float64)
    x, y, z = lens.unproject((some, zero), k, _steps(lens))
    assert x > 0 and abs(y) < 0.01 * x and z > 0
    x, y, z = lens.unproject((zero, some), k, _steps(lens))
    assert y > 0 and abs(x) < 0.01 * y and z > 0


def test_pycolmap_agrees(lens: Lens) -> None:
    pycolmap = pytest.importorskip("pycolmap")
    if lens.model not in pycolmap.CameraModelId.__members__:
        pytest.skip(f"this pycolmap has no {lens.model}")
    focal, center, params = np.array([FOCAL, FOCAL * 1.1]), np.array(CENTER), []
    if lens.plane.has_axis:
        params = [*focal, *center, *lens.coefficients()]
    else:  # its parameters are the size of the whole
        focal, center = np.array([WIDTH / 2, HEIGHT]), np.array([WIDTH / 2, HEIGHT / 2])
        params = [WIDTH, HEIGHT]
    theirs = pycolmap.Camera(model=lens.model, width=WIDTH, height=HEIGHT, params=params)
    unit = np.linspace(0.02, 0.98, 7)
    pixel = np.stack(np.meshgrid(unit * WIDTH, unit * HEIGHT), -1).reshape(-1, 2)
    plane = torch.from_numpy((pixel - center) / focal)
    ray = lens.unproject((plane[:, 0], plane[:, 1]), _coefficients(lens, len(pixel)), _steps(lens))
    ours = torch.nn.functional.normalize(torch.stack(ray, 1)).numpy()
    np.testing.assert_allclose(ours, theirs.cam_ray_from_img(pixel), atol=1e-6)
    np.testing.assert_allclose(theirs.img_from_cam(3 * ours), pixel, atol=1e-4)


def test_what_it_can_span(lens: Lens) -> None:
    small = lens.plane.field_of_view(0.01)
    assert 0 < small < lens.plane.field_of_view(0.02) < lens.plane.widest
    assert math.isfinite(small)
