"""Scaled, shifted and turned captures are the same captures: boxes, paths and poses follow."""

import dataclasses
import json
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from polyfield.scenes.base import ReadOptions
from polyfield.scenes.bounds import at_one_point, automatic_bounds, layout_of, scene_bounds
from polyfield.scenes.camera_files import write_capture
from polyfield.scenes.camera_paths import RunCameras, path_of
from polyfield.scenes.cameras import Camera, Cameras
from polyfield.scenes.demo.capture import look_at
from polyfield.scenes.formats.transforms import Transforms
from polyfield.scenes.formats.whole import Parts, capture_of
from polyfield.scenes.similarity import Similarity

FRONT = [(0.2 * x, 0.1 * y, 4.0) for x in (-1, 0, 1) for y in (-1, 1)]


def ring(count=9):
    return [look_at(2.4 * i, 0.2 + 0.05 * i, 4.0).double() for i in range(count)]


def front():
    poses = [torch.eye(4, dtype=torch.float64) for _ in FRONT]
    for pose, place in zip(poses, FRONT, strict=True):
        pose[:3, 3] = torch.tensor(place, dtype=torch.float64)
        pose[:3, :3] = torch.linalg.matrix_exp(
            0.05 * torch.tensor([[0, 0, -place[0]], [0, 0, 0], [place[0], 0, 0]]).double()
        )
    return poses


def cameras(poses):
    return [Camera(pose, 40, 30, 50.0, 50.0, 20.0, 15.0) for pose in poses]


turns = st.tuples(*[st.floats(-3, 3)] * 3)


@st.composite
def moves(draw):
    """A scale, a rotation and a shift of up to a hundred times the scene."""
    scale = 10 ** draw(st.floats(-5, 5))
    x, y, z = draw(turns)
    skew = torch.tensor([[0, -z, y], [z, 0, -x], [-y, x, 0]], dtype=torch.float64)
    shift = torch.tensor(draw(st.tuples(*[st.floats(-400, 400)] * 3)), dtype=torch.float64)
    return scale, torch.linalg.matrix_exp(skew), shift * scale


def moved(pose, move):
    scale, turn, shift = move
    found = pose.clone()
    found[:3, :3] = turn @ pose[:3, :3]
    found[:3, 3] = scale * turn @ pose[:3, 3] + shift
    return found


@pytest.mark.parametrize(("word", "poses"), [("orbit", ring), ("interpolate", ring),
                                             ("spiral", front)])  # fmt: skip
@given(moves())
def test_paths_move_with_the_capture(word, poses, move):
    middle = torch.tensor([0.0, 0.0, 0.25], dtype=torch.float64)
    box = torch.stack([middle - 1, middle + 1])
    center = move[0] * move[1] @ middle + move[2]
    there = torch.stack([center - move[0], center + move[0]])
    here = path_of(word).cameras(RunCameras({"train": cameras(poses())}, box), 6).cameras
    run = RunCameras({"train": cameras([moved(pose, move) for pose in poses()])}, there)
    for one, other in zip(here, path_of(word).cameras(run, 6).cameras, strict=True):
        wanted = moved(one.pose, move)
        torch.testing.assert_close(other.pose[:3, :3], wanted[:3, :3], atol=1e-5, rtol=0)
        assert (other.pose[:3, 3] - wanted[:3, 3]).abs().max() < 1e-5 * 4 * move[0]


@given(moves())
def test_boxes_and_points_move_with_the_capture(move):
    here = Cameras.stack(cameras(ring()))
    scale, _, shift = move
    still = (scale, torch.eye(3, dtype=torch.float64), shift)
    x, y, z = shift.tolist()
    frame = Similarity((x, y, z), 1 / scale)
    there = Cameras.stack(cameras([moved(pose, still) for pose in ring()]), frame=frame)
    wanted = scene_bounds(here, ReadOptions()).double()
    found = frame.users(scene_bounds(there, ReadOptions()))
    torch.testing.assert_close(found, wanted * scale + shift, atol=2e-5 * scale, rtol=0)
    similar = Similarity.of_box(found)
    points = torch.randn(7, 3).double() * scale + shift
    torch.testing.assert_close(
        similar.users(similar.normalised(points)), points, atol=1e-9 * 400 * scale, rtol=0
    )
    corners = similar.normalised(found)
    torch.testing.assert_close(
        corners, torch.tensor([[-1.0] * 3, [1.0] * 3]).double(), atol=1e-6, rtol=0
    )
    assert not at_one_point(there) and layout_of(there, True) == "unbounded"


@pytest.mark.parametrize("unbounded", [False, True])
@pytest.mark.parametrize("place", ["a power of two", "anywhere"])
def test_what_is_learned_from_is_the_same_at_any_scale_and_place(
    folder, transforms, unbounded, place
):
    """The same numbers: rays, box and points of a capture whose unit and zero are others."""
    transforms(12)
    images = _posed(folder)
    points = np.random.default_rng(0).normal(size=(200, 3))
    scale, shift = (8.0, [16, -32, 64]) if place == "a power of two" else (3.7, [0.3, 1e3, -77.7])
    move = scale, torch.eye(3, dtype=torch.float64), torch.tensor(shift, dtype=torch.float64)

    def opened(images, points):
        parts = Parts("a", "a", {"train": images}, [], [], points)
        return capture_of(parts, ReadOptions(), lambda outward: unbounded)

    here = opened(images, points)
    there = opened([_moved_image(image, move) for image in images], points * scale + shift)
    assert there.frame.scale == pytest.approx(here.frame.scale / scale, rel=1e-12)
    for one, other in (
        (here.bounds, there.bounds),
        (here.points, there.points),
        (here.cameras("train").poses, there.cameras("train").poses),
    ):
        if place == "a power of two":  # but for what is 1e-17 in place of 0
            torch.testing.assert_close(one, other, rtol=0, atol=1e-14)
        torch.testing.assert_close(one, other, rtol=2e-7, atol=1e-7)


def _moved_image(image, move):
    camera = image.camera
    pose = moved(camera.pose, move)
    size = camera.width, camera.height
    lens = camera.fl_x, camera.fl_y, camera.cx, camera.cy
    return dataclasses.replace(image, camera=Camera(pose, *size, *lens, camera.lens))


def test_a_tripod_is_one_point_and_a_small_scene_is_none():
    for scale, alone in ((1e-3, False), (1e-9, False), (4.0, False)):
        small = [moved(p, (scale, torch.eye(3).double(), torch.zeros(3))) for p in ring()]
        assert at_one_point(Cameras.stack(cameras(small))) is alone
    outward = []
    for i, pose in enumerate(ring()):
        pose[:3, 3] = 1e-4 * torch.tensor([math.sin(i), math.cos(3 * i), math.sin(7 * i)])
        outward.append(pose)
    assert at_one_point(Cameras.stack(cameras(outward)))


def test_what_a_capture_is():
    for poses, unbounded, layout in (
        (ring(), False, "bounded"), (ring(), True, "unbounded"), (front(), True, "forward-facing"),
    ):  # fmt: skip
        assert layout_of(Cameras.stack(cameras(poses)), unbounded) == layout


def test_points_say_how_large_an_unbounded_box_is(folder, transforms):
    transforms(10)
    plain = Transforms().open(folder.path, ReadOptions())
    half, center = 1 / plain.frame.scale, torch.tensor(plain.frame.center)
    images = {"train": _posed(folder)}

    def opened(reach, count=1000, unbounded=True):
        points = (torch.rand(count, 3).double() * 2 - 1) * reach + center.double()
        points[0] = math.nan
        parts = Parts("a", "a", images, [], [], points.numpy())
        found = capture_of(parts, ReadOptions(), lambda outward: unbounded)
        assert found.points.shape == (count - 1, 3)
        return 1 / found.frame.scale

    # The largest coordinate of a point in a cube is below 0.8^(1/3) of the half for 0.8 of them.
    assert opened(1.2 * half) == pytest.approx(1.05 * 0.8 ** (1 / 3) * 1.2 * half, rel=0.03)
    assert opened(100 * half) == pytest.approx(2 * half)
    assert opened(0.01 * half) == pytest.approx(half)
    assert opened(1.2 * half, count=30) == pytest.approx(half)
    bounded = {opened(reach * half, unbounded=False) for reach in (0.01, 1.2, 100)}
    assert len(bounded) == 1 and bounded.pop() == pytest.approx(
        float(automatic_bounds(plain.cameras("train")).amax()) * half
    )


def _posed(folder):
    from polyfield.scenes.formats.frames import list_frames, read_object
    from polyfield.scenes.formats.intrinsics import posed_images
    from polyfield.scenes.formats.keys import TRANSFORMS

    file = folder.path / "transforms.json"
    listed = list_frames(read_object(file), file, ReadOptions(), TRANSFORMS).listed
    return posed_images(listed, read_object(file), file)[0]


def test_a_run_keeps_the_similarity(folder, transforms, tmp_path):
    transforms(4)
    capture = Transforms().open(folder.path, ReadOptions())
    write_capture(tmp_path / "cameras.json", capture)
    kept = json.loads((tmp_path / "cameras.json").read_text())["normalisation"]
    found = Similarity((*kept["center"],), kept["scale"])
    assert np.allclose(found.center, capture.frame.center, atol=1e-6)
    assert found.scale == pytest.approx(capture.frame.scale)
