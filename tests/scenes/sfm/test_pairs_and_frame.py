"""Which pairs are matched, and the frame that a reconstruction is put into."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polyfield.scenes.demo.capture import look_at
from polyfield.scenes.sfm.frame import DISTANCE, framed
from polyfield.scenes.sfm.mapping import Model, View
from polyfield.scenes.sfm.pairs import NEIGHBOURS, choose_pairs


def unused(index):
    raise AssertionError("descriptors are not needed for all pairs")


def test_all_pairs_of_few_images():
    assert choose_pairs(4, "auto", unused) == [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)]


def test_near_pairs_are_neighbours_and_those_that_look_alike():
    generator = np.random.default_rng(0)
    kinds = generator.normal(size=(20, 12, 128))

    def descriptors(index):
        # The walk comes back: image i looks like image 199 - i.
        kind = kinds[min(index, 199 - index) // 5]
        return (kind + 0.1 * generator.normal(size=kind.shape)).astype(np.float32)

    pairs = choose_pairs(200, "near", descriptors)
    assert len(set(pairs)) == len(pairs) < 200 * 40 and all(i < j for i, j in pairs)
    assert {(i, i + step) for step in range(1, NEIGHBOURS + 1) for i in range(190)} <= set(pairs)
    closing = sum((i, 199 - i) in set(pairs) for i in range(60))
    assert closing > 50


def test_images_without_descriptors_are_no_trouble():
    assert (0, 1) in choose_pairs(5, "near", lambda _: np.zeros((0, 128), np.float32))


@given(st.integers(0, 10_000))
def test_the_frame_is_upright_centred_and_of_one_size_and_keeps_shape(seed):
    generator = np.random.default_rng(seed)
    rotation, _ = np.linalg.qr(generator.normal(size=(3, 3)))
    rotation *= np.sign(np.linalg.det(rotation))
    scale, shift = float(generator.uniform(0.01, 100)), generator.normal(size=3) * 50
    views = []
    for i in range(8):
        pose = look_at(0.7 * i, 0.3 + 0.05 * i, 5.0).double().numpy()
        pose[:3, :3] = rotation @ pose[:3, :3]
        pose[:3, 3] = scale * rotation @ pose[:3, 3] + shift
        views.append(View(i, pose, {}))
    points = generator.normal(size=(20, 3)) * scale + shift
    model = Model(views, points, np.zeros((20, 3), np.uint8), 0.5, 40)
    found = framed(model)
    poses = np.stack([view.pose for view in found.views])
    up = poses[:, :3, 1].mean(0)
    np.testing.assert_allclose(up / np.linalg.norm(up), [0, 0, 1], atol=1e-9)
    distances = np.linalg.norm(poses[:, :3, 3], axis=1)
    assert distances.mean() == pytest.approx(DISTANCE)
    # A point in a camera's own axes differs by the scale alone.
    for before, after in zip(model.views, found.views, strict=True):
        local = (points - before.pose[:3, 3]) @ before.pose[:3, :3]
        moved = (found.points - after.pose[:3, 3]) @ after.pose[:3, :3]
        factor = np.linalg.norm(moved) / np.linalg.norm(local)
        np.testing.assert_allclose(moved, local * factor, rtol=1e-6, atol=1e-9)
