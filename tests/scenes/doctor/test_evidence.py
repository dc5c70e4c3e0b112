"""Conventions, epipolar errors and what is concluded from them, on matches made by a formula."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polyfield.scenes.demo.capture import look_at
from polyfield.scenes.doctor.conventions import (
    OPENCV,
    OPENGL,
    OURS,
    Convention,
    are_rigid,
    conventions,
)
from polyfield.scenes.doctor.epipolar import agreement, gather, triangulated
from polyfield.scenes.doctor.evidence import weigh
from polyfield.scenes.doctor.features import Matches, neighbours
from polyfield.scenes.doctor.rows import Place
from polyfield.scenes.doctor.shots import Shot

SIZE, FOCAL = (400, 300), 350.0
SWAP = np.eye(4)[[0, 2, 1, 3]]


def ring(count=9):
    found = []
    for i in range(count):
        pose = (
            look_at(0.55 * i, 0.5 + 0.25 * math.sin(2.1 * i), 4.0 + 0.3 * (i % 3)).double().numpy()
        )
        u, _, v = np.linalg.svd(pose[:3, :3])  # look_at has float32's digits
        pose[:3, :3] = u @ v
        found.append(pose)
    return np.stack(found)


def distorted(plane, k1):
    return plane * (1 + k1 * (plane**2).sum(1, keepdims=True))


def undistorted(plane, k1):
    found = plane.copy()
    for _ in range(60):
        found = plane / (1 + k1 * (found**2).sum(1, keepdims=True))
    return found


def seen(pose, points, focal=FOCAL, k1=0.0):
    local = (points - pose[:3, 3]) @ pose[:3, :3]
    plane = np.stack([local[:, 0], -local[:, 1]], 1) / -local[:, 2:]
    return distorted(plane, k1) * focal + np.array(SIZE) / 2


def shots_of(matrices, focal=FOCAL, k1=0.0):
    def ideal(pixels):
        return undistorted((pixels - np.array(SIZE) / 2) / focal, k1)

    def read():
        raise AssertionError("no pixels are needed")

    center = (SIZE[0] / 2, SIZE[1] / 2)
    return [
        Shot(str(i), "train", matrix, SIZE, (focal, focal), center, ideal, read)
        for i, matrix in enumerate(matrices)
    ]


def matches_of(poses, noise=0.2, wrong=0.1, focal=FOCAL, k1=0.0):
    """Points in a ball seen by neighbours, with noise and some wrong ones."""
    generator = np.random.default_rng(5)
    found = []
    for i, j in itertools.pairwise(range(len(poses))):
        points = generator.normal(size=(60, 3)) * 0.7
        a, b = (seen(poses[k], points, focal, k1) for k in (i, j))
        bad = generator.random(60) < wrong
        b[bad] = generator.random((int(bad.sum()), 2)) * SIZE
        found.append(Matches(i, j, a + generator.normal(size=a.shape) * noise, b))
    return found


def written(convention, poses):
    """Matrices that a convention reads as these poses."""
    matrices = poses.copy()
    for row, (column, sign) in enumerate(convention.axes):
        matrices[:, :3, column] = sign * poses[:, :3, row]
    if convention.layout == "world-to-camera":
        matrices = np.linalg.inv(matrices)
    if convention.layout == "transposed":
        matrices = np.swapaxes(matrices, 1, 2)
    if convention.layout == "rotation transposed":
        matrices[:, :3, :3] = np.swapaxes(matrices[:, :3, :3], 1, 2).copy()
    if convention.layout == "translation of world-to-camera":
        turned = np.swapaxes(matrices[:, :3, :3], 1, 2)
        matrices[:, :3, 3] = -np.einsum("nij,nj->ni", turned, matrices[:, :3, 3])
    return SWAP @ matrices if convention.mirrored else matrices


@given(st.sampled_from(conventions()))
@settings(max_examples=60)
def test_what_is_written_by_a_convention_is_read_by_it(convention):
    poses = ring()
    np.testing.assert_allclose(convention.read(written(convention, poses)), poses, atol=1e-9)


def test_each_convention_is_tried_once_and_ours_first():
    every = conventions()
    assert len(set(every)) == len(every) == 2 * 5 * 48
    assert every[0] == OURS and OURS.is_ours and OURS.read(ring()).tolist() == ring().tolist()
    assert {c.axes for c in every[:10]} == {OPENGL, OPENCV}


@pytest.mark.parametrize(
    "convention",
    [
        OURS,
        Convention("camera-to-world", OPENCV),
        Convention("world-to-camera", OPENGL),
        Convention("world-to-camera", OPENCV),
        Convention("transposed", OPENGL),
        Convention("transposed", OPENCV),
        Convention("rotation transposed", OPENGL),
        Convention("translation of world-to-camera", OPENCV),
        Convention("camera-to-world", ((1, -1), (0, 1), (2, 1))),
        Convention("camera-to-world", ((0, -1), (1, 1), (2, 1))),
        Convention("camera-to-world", OPENGL, mirrored=True),
        Convention("world-to-camera", OPENCV, mirrored=True),
    ],
    ids=lambda convention: convention.words,
)
def test_the_convention_is_found_and_mended(convention):
    poses = ring()
    matrices = written(convention, poses)
    row = weigh(shots_of(matrices), matches_of(poses)).rows[0]
    if convention == OURS:
        assert (row.verdict, row.mend) == ("ok", None)
        return
    assert row.verdict == "fault" and row.mend is not None and row.mend.frame is not None
    mended = []
    for matrix in matrices:
        values = row.mend.frame(Place("", 0), {"transform_matrix": matrix.tolist()})
        mended.append(np.array(values["transform_matrix"]))
    again = weigh(shots_of(np.stack(mended)), matches_of(poses)).rows
    assert [r.verdict for r in again] == ["ok", "ok", "ok"], again
    if not convention.mirrored:  # a mirrored world comes back up to a rotation
        np.testing.assert_allclose(np.stack(mended), poses, atol=1e-9)


@pytest.mark.parametrize("factor", [0.5, 0.7, 1.15, 1.6])
def test_the_focal_length_is_found(factor):
    poses = ring()
    rows = weigh(shots_of(poses, FOCAL * factor), matches_of(poses)).rows
    assert [row.name for row in rows] == ["axes", "focal length", "distortion"]
    assert (rows[0].verdict, rows[1].verdict) == ("ok", "fault")
    assert rows[1].mend is not None and rows[1].mend.shared is not None
    found = rows[1].mend.shared({"fl_x": FOCAL * factor, "camera_angle_x": 1.0})
    assert found["fl_x"] == pytest.approx(FOCAL, rel=0.02)
    scale = found["fl_x"] / (FOCAL * factor)
    assert np.tan(found["camera_angle_x"] / 2) == pytest.approx(np.tan(0.5) / scale)


@pytest.mark.parametrize(
    ("true", "said", "verdict", "words"),
    [
        (0.15, 0.15, "ok", "as given"),
        (0.15, -0.15, "fault", "negate"),
        (0.0, 0.3, "fault", "undistorted"),
        (0.0, 0.0, "ok", "none"),
        (0.0, 1e-4, "ok", "too little"),
    ],
)
def test_the_sign_of_the_distortion(true, said, verdict, words):
    poses = ring()
    row = weigh(shots_of(poses, k1=said), matches_of(poses, k1=true)).rows[2]
    assert row.verdict == verdict and words in f"{row.found} {row.advice}"


def test_shuffled_poses_fit_no_convention():
    poses = ring()
    order = np.random.default_rng(1).permutation(len(poses))
    rows = weigh(shots_of(poses[order]), matches_of(poses)).rows
    assert rows[0].verdict == "fault" and "no convention" in rows[0].found
    assert rows[1].verdict == rows[2].verdict == "not checked"


def test_a_tripod_and_few_matches_are_not_judged():
    poses = ring()
    poses[:, :3, 3] = [1.0, 2.0, 3.0]
    assert "one point" in weigh(shots_of(poses), matches_of(ring())).rows[0].found
    few = [Matches(m.first, m.second, m.a[:5], m.b[:5]) for m in matches_of(ring())]
    assert "too few" in weigh(shots_of(ring()), few).rows[0].found


def test_errors_are_pixels_and_points_lie_where_they_were():
    poses = ring()
    shots = shots_of(poses)
    exact = gather(shots, matches_of(poses, noise=0, wrong=0))
    found = agreement(exact, poses)
    assert found.error.max() < 1e-8 and found.ahead.all() and found.share == 1
    # A pixel across the line in one image is 1/sqrt(2) of Sampson's error, roughly.
    moved = matches_of(poses, noise=0, wrong=0)
    lines = agreement(gather(shots, moved), poses)
    assert lines.median < 1e-8
    noisy = agreement(gather(shots, matches_of(poses, noise=1.0, wrong=0)), poses)
    assert 0.3 < noisy.median < 0.7  # of |N(0, 1)| / sqrt(2): 0.48
    points = triangulated(exact, poses, found)
    assert len(points) == len(exact) and np.abs(points).max() < 4
    again = seen(poses[exact.first[0]], points[:50])
    np.testing.assert_allclose(again, moved[0].a[:50], atol=1e-6)


def test_things_behind_are_told():
    poses = ring()
    evidence = gather(shots_of(poses), matches_of(poses, noise=0, wrong=0))
    mirrored = poses.copy()
    mirrored[:, :3, 3] *= -1  # the same epipolar lines, but all points behind
    found = agreement(evidence, mirrored)
    assert found.error.max() < 1e-8 and found.ahead.mean() < 0.05


def test_rigid_is_what_the_readers_take():
    poses = ring(4)
    poses[1, :3, :3] *= 1.1
    poses[2, :3, 0] *= -1
    poses[3, 0, 3] = np.nan
    assert are_rigid(poses).tolist() == [True, False, False, False]


def test_neighbours_are_the_same_in_every_convention():
    poses = ring()
    wanted = neighbours(shots_of(poses))
    assert {(i, i + 1) for i in range(8)} <= set(wanted)
    for convention in conventions()[:20:3]:
        assert neighbours(shots_of(written(convention, poses))) == wanted
