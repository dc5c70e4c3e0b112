"""Photographs of the painted box, their poses taken away, and what comes back."""

import json
import shutil
import sys

import numpy as np
import pytest
import trimesh

import polyfield
from polyfield.errors import InputError, MissingBackend
from polyfield.scenes.base import ReadOptions
from polyfield.scenes.captures import open_capture
from polyfield.scenes.sfm.config import Sfm

ARC = 0.35
"""Of a circle: 7 degrees from view to view, for points must be seen in three."""


def aligned(found, wanted):
    """Largest distance of points after a similarity, of the wanted ones' extent (Umeyama 1991)."""
    a, b = found - found.mean(0), wanted - wanted.mean(0)
    u, s, v = np.linalg.svd(b.T @ a)
    sign = np.diag([1, 1, np.sign(np.linalg.det(u @ v))])
    rotation, scale = u @ sign @ v, (s * np.diag(sign)).sum() / (a**2).sum()
    error = np.linalg.norm(scale * a @ rotation.T - b, axis=1)
    return error.max() / np.ptp(wanted, axis=0).max()


def centers(content):
    return {
        frame["file_path"]: np.array(frame["transform_matrix"])[:3, 3]
        for frame in content["frames"]
    }


@pytest.mark.slow
def test_poses_come_back(painted, tmp_path):
    pytest.importorskip("pycolmap")
    capture = painted(arc=ARC)
    out = tmp_path / "out"
    report = polyfield.process(capture.path / "images", out, threads=1)
    assert report.registered == report.images == 18 and not report.warnings
    assert report.reprojection_error < 1
    content = json.loads((out / "transforms.json").read_text())
    found, wanted = centers(content), centers(capture.content)
    names = sorted(wanted)
    assert sorted(found) == names
    places = [np.stack([one[name] for name in names]) for one in (found, wanted)]
    assert aligned(*places) < 0.01
    assert content["fl_x"] == pytest.approx(230, rel=0.02)
    assert content["camera_angle_x"] == pytest.approx(2 * np.arctan(120 / content["fl_x"]))
    opened = open_capture(out, ReadOptions())
    assert opened.unbounded and len(opened.cameras("train")) + len(opened.cameras("test")) == 18
    cloud = trimesh.load(out / content["ply_file_path"])
    assert len(cloud.vertices) == report.points > 100
    written = json.loads((out / "process.json").read_text())
    assert written["registered"] == 18 and written["groups"] == [18]
    assert sorted(p.name for p in out.iterdir()) == [
        "images", "process.json", "sparse_pc.ply", "transforms.json",
    ]  # fmt: skip
    assert not [p for p in tmp_path.iterdir() if p.name.startswith(".")]
    # Known intrinsics stay; one lens for each image stands in each frame.
    report = polyfield.process(
        capture.path / "images",
        out,
        options=Sfm(intrinsics="230,230,120,90", cameras="each", matching="near"),
        overwrite=True,
    )
    content = json.loads((out / "transforms.json").read_text())
    assert report.registered == 18 and content["fl_x"] == 230 and content["k1"] == 0


@pytest.mark.slow
def test_two_things_that_do_not_connect_are_told_loudly(painted, tmp_path):
    pytest.importorskip("pycolmap")
    capture = painted(arc=ARC)
    from polyfield.scenes.images import read_image, write_image

    photographs = tmp_path / "photographs"
    photographs.mkdir()
    for i in range(18):
        image = read_image(capture.image(i))
        write_image(photographs / f"a{i:02d}.png", image)
        if i < 6:  # Mirrored: another place, as far as features tell.
            write_image(photographs / f"b{i:02d}.png", np.ascontiguousarray(image[:, ::-1]))
    write_image(photographs / "c.png", np.full((180, 240, 3), 128, np.uint8))
    report = polyfield.process(photographs, tmp_path / "out")
    assert report.images == 25 and report.registered == 18
    assert len(report.groups) == 2 and "2 groups that don't connect" in report.warnings[0]
    why = {failed.name: failed.why for failed in report.failed}
    assert why["c.png"] == "too few features" and why["b00.png"] == "not connected"
    names = {p.name for p in (tmp_path / "out/images").iterdir()}
    assert len(names) == 18 and "c.png" not in names


@pytest.mark.slow
def test_a_video_becomes_a_capture(painted, tmp_path):
    pytest.importorskip("pycolmap")
    import imageio_ffmpeg

    from polyfield.scenes.images import read_image

    capture = painted(arc=ARC)
    film = tmp_path / "film.mp4"
    writer = imageio_ffmpeg.write_frames(
        str(film), (240, 180), fps=4, quality=10, macro_block_size=1
    )
    writer.send(None)
    for i in range(18):
        writer.send(read_image(capture.image(i)).tobytes())
    writer.close()
    report = polyfield.process(film, tmp_path / "out", options=Sfm(frames=18))
    assert report.registered >= 16
    assert (tmp_path / "out/images/frame_00001.jpg").is_file()


def test_images_without_anything_in_common(tmp_path):
    pytest.importorskip("pycolmap")
    from polyfield.scenes.images import write_image

    (tmp_path / "in").mkdir()
    for i in range(3):
        write_image(tmp_path / f"in/{i}.png", np.full((40, 60, 3), 50 * i, np.uint8))
    with pytest.raises(InputError, match="no poses for 3: too few features in 3"):
        polyfield.process(tmp_path / "in", tmp_path / "out")
    assert [p.name for p in tmp_path.iterdir()] == ["in"]


def test_without_pycolmap_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pycolmap", None)
    (tmp_path / "in").mkdir()
    with pytest.raises(MissingBackend, match=r"got none; pip install 'polyfield\[capture\]'"):
        polyfield.process(tmp_path / "in", tmp_path / "out")
    assert [p.name for p in tmp_path.iterdir()] == ["in"]


@pytest.mark.parametrize(
    ("source", "options", "message"),
    [
        ("none", Sfm(), "no such file"),
        ("text.txt", Sfm(), "a folder of photographs or a video"),
        ("empty", Sfm(), "photographs in"),
        ("empty", Sfm(masks="nowhere"), "a folder of masks"),
        ("empty", Sfm(frames=1), "frames between 3"),
    ],
)
def test_what_cannot_be_processed(tmp_path, source, options, message):
    pytest.importorskip("pycolmap")
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.txt").write_text("text")
    with pytest.raises(InputError, match=message):
        polyfield.process(tmp_path / source, tmp_path / "out", options=options)
    assert not (tmp_path / "out").exists()


def test_photographs_are_never_overwritten(painted, tmp_path):
    capture = painted(shrink=4)
    for out in (capture.path, capture.path / "images", capture.path / "images/out"):
        with pytest.raises(InputError):
            polyfield.process(capture.path / "images", out, overwrite=True)
    other = tmp_path / "other"
    shutil.copytree(capture.path, other)
    with pytest.raises(InputError, match="which is there"):
        polyfield.process(capture.path / "images", other)
    with pytest.raises(InputError, match=r"holds process.json"):
        polyfield.process(capture.path / "images", other, overwrite=True)
    assert len(list((capture.path / "images").iterdir())) == 18
