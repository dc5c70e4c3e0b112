"""The user's frame and the browser's: there and back, and both agree on what a camera sees."""

import math

import numpy as np
import pytest
import torch
import viser.transforms
from hypothesis import given
from hypothesis import strategies as st

from polyfield.apps.viewer.frames import DIAGONAL, Eye, Frame, quaternion, rotation
from polyfield.apps.viewer.moves import target_of, whole_on
from polyfield.scenes.cameras import Camera

BOX = torch.tensor([[1e6, -3.0, 0.0], [1e6 + 4.0, 5.0, 2.0]], dtype=torch.float64)
quaternions = st.tuples(*[st.floats(-1, 1)] * 4).filter(lambda q: math.hypot(*q) > 0.1)
places = st.tuples(*[st.floats(-20, 20)] * 3)


def test_identity_looks_along_minus_z() -> None:
    """OpenGL's camera looks along -z with y up; viser's along +z with y down."""
    wxyz, position = Frame.of_box(BOX).to_browser(torch.eye(4, dtype=torch.float64))
    turn = viser.transforms.SO3(np.array(wxyz)).as_matrix()
    assert turn @ [0, 0, 1] == pytest.approx([0, 0, -1])
    assert turn @ [0, 1, 0] == pytest.approx([0, -1, 0])
    assert turn @ [1, 0, 0] == pytest.approx([1, 0, 0])
    assert position[0] < -1e5


def test_the_box_has_the_diagonal_and_lies_about_zero() -> None:
    low, high = Frame.of_box(BOX).points(BOX)
    assert np.linalg.norm(high - low) == pytest.approx(DIAGONAL)
    assert low + high == pytest.approx([0, 0, 0], abs=1e-5)


@given(quaternions, places, st.floats(0.1, 3.0))
def test_there_and_back(wxyz: tuple[float, ...], position: tuple[float, ...], fov: float) -> None:
    frame = Frame.of_box(BOX)
    eye = Eye(wxyz, position, fov, 640, 480)  # type: ignore[arg-type]
    camera = frame.camera(eye)
    found = frame.eye(camera)
    assert found.position == pytest.approx(position, abs=1e-6)
    assert found.fov == pytest.approx(fov)
    assert torch.allclose(rotation(found.wxyz), rotation(eye.wxyz), atol=1e-9)
    assert torch.allclose(frame.camera(found).pose, camera.pose, atol=1e-6)


@given(quaternions)
def test_rotations_are_visers(wxyz: tuple[float, float, float, float]) -> None:
    unit = np.array(wxyz) / np.linalg.norm(wxyz)
    matrix = viser.transforms.SO3(unit).as_matrix()
    assert rotation(wxyz).numpy() == pytest.approx(matrix, abs=1e-9)
    back = np.array(quaternion(torch.from_numpy(matrix)))
    assert min(np.abs(back - unit).max(), np.abs(back + unit).max()) < 1e-9


def test_a_point_before_the_camera_is_in_the_middle_of_both() -> None:
    """The ray of the middle pixel meets, in the browser, what lies straight before its camera."""
    frame = Frame.of_box(BOX)
    eye = Eye((0.3, -0.7, 0.2, 0.5), (1.0, 2.0, -3.0), 0.9, 101, 51)
    rays = frame.camera(eye).rays()
    middle = rays.directions[25, 50].double()
    forward = rotation(eye.wxyz)[:, 2]
    assert torch.allclose(middle, forward, atol=1e-6)
    upper = rays.directions[0, 50].double()  # the first row is the upper one: against y, down
    assert float(upper @ rotation(eye.wxyz)[:, 1]) < 0
    ahead = torch.tensor(target_of(eye), dtype=torch.float64) - torch.tensor(eye.position)
    assert torch.allclose(ahead / ahead.norm(), forward, atol=1e-6)


@pytest.mark.parametrize(
    "eye",
    [
        Eye((0, 0, 0, 0), (0, 0, 0), 1.0, 4, 4),
        Eye((1, 0, 0, 0), (math.nan, 0, 0), 1.0, 4, 4),
        Eye((1, 0, 0, 0), (0, 0, 0), 0.0, 4, 4),
        Eye((1, 0, 0, 0), (0, 0, 0), math.inf, 4, 4),
        Eye((1, 0, 0, 0), (0, 0, 0), 1.0, 0, 4),
        Eye((1, 0, 0, 0), (0, 0, 0), 1.0, 4, 10**6),
    ],
)
def test_what_no_picture_can_be_drawn_for(eye: Eye) -> None:
    assert not eye.is_sound


def test_a_camera_keeps_its_field_of_view() -> None:
    camera = Camera(torch.eye(4), 40, 30, 25.0, 25.0, 20.0, 15.0)
    assert Frame.of_box(BOX).eye(camera).fov == pytest.approx(2 * math.atan(15 / 25))


@pytest.mark.parametrize(("width", "height"), [(1280, 800), (390, 844), (800, 800), (5, 9000)])
def test_all_of_an_image_is_on_any_canvas(width: int, height: int) -> None:
    eye = Eye((1, 0, 0, 0), (1, 2, 3), 0.7, 400, 300)
    found = whole_on(eye, Eye((1, 0, 0, 0), (0, 0, 0), 1.0, width, height))
    across = math.tan(found.fov / 2) * width / height
    assert (found.wxyz, found.position) == (eye.wxyz, eye.position)
    assert eye.fov <= found.fov <= math.radians(120)
    if height < 9000:
        assert across >= math.tan(eye.fov / 2) * 400 / 300 * (1 - 1e-9)
    if width * 300 >= height * 400:
        assert found == eye
