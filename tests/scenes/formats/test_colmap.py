"""COLMAP folders: which model, which images, lenses, points; the real one."""

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from polyfield.errors import InputError
from polyfield.scenes import ReadOptions, detect
from polyfield.scenes.cameras import Cameras
from polyfield.scenes.formats.colmap import Colmap
from polyfield.scenes.formats.colmap_model import read_model
from polyfield.scenes.images import write_image
from polyfield.scenes.lenses.equirectangular import Equirectangular
from polyfield.scenes.lenses.opencv import OpenCV
from polyfield.scenes.lenses.opencv_fisheye import OpenCVFisheye

pycolmap = pytest.importorskip("pycolmap")
OPTIONS = ReadOptions(test_every=0)
LENS = "PINHOLE 6 4 7 8 3 2"


def model(
    folder: Path, count: int = 4, lens: str = LENS, points: int = 3, seen: int | None = None
) -> Path:
    """A text model of cameras along x that look at z; each but `seen` observes three points."""
    folder.mkdir(parents=True)
    (folder / "cameras.txt").write_text(f"# comment\n1 {lens}\n")
    lines = []
    for i in range(count):
        few = seen is not None and i >= seen
        track = " ".join(f"{j + 1} {j + 1} {j + 1}" for j in range(1 if few else points))
        lines += [f"{i + 1} 1 0 0 0 {-i} 0 0 1 {i:03d}.png", track]
    (folder / "images.txt").write_text("\n".join(lines) + "\n")
    full = range(count if seen is None else seen)
    tracks = [" ".join(f"{i + 1} {j}" for i in full) for j in range(points)]
    rows = [f"{j + 1} {j} 0 5 9 9 9 0.1 {track}" for j, track in enumerate(tracks)]
    (folder / "points3D.txt").write_text("\n".join(rows) + "\n")
    return folder


def images(folder: Path, count: int = 4, size: tuple[int, int] = (6, 4)) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for i in range(count):
        write_image(folder / f"{i:03d}.png", np.full((size[1], size[0], 3), 40 * i, np.uint8))


def test_axes_and_position(tmp_path: Path) -> None:
    model(tmp_path / "sparse" / "0")
    images(tmp_path / "images")
    one = Colmap().open(tmp_path, OPTIONS).cameras("train")[2]
    wanted = np.diag([1.0, -1.0, -1.0, 1.0])
    wanted[0, 3] = 2.0
    np.testing.assert_allclose(one.pose.numpy(), wanted, atol=1e-12)
    assert (one.fl_x, one.fl_y, one.cx, one.cy, one.lens) == (7, 8, 3, 2, OpenCV())


@pytest.mark.parametrize(
    "place", ["sparse/0", "sparse", "colmap/sparse/0", "dense/sparse", "dense/0/sparse", "."]
)
@pytest.mark.parametrize("binary", [False, True])
def test_where_models_lie(tmp_path: Path, place: str, binary: bool) -> None:
    folder = model(tmp_path / "x")
    if binary:
        found = pycolmap.Reconstruction(str(folder))
        shutil.rmtree(folder)
        folder.mkdir()
        found.write_binary(str(folder))
    root = tmp_path / "capture"
    shutil.copytree(folder, root / place, dirs_exist_ok=True)
    images((root / "dense" / "0" if "dense/0" in place else root) / "images")
    assert detect(root) == Colmap()
    assert len(Colmap().open(root, OPTIONS).cameras("train")) == 4
    alone = Colmap().open(root / place, OPTIONS)
    assert len(alone.cameras("train")) == 4


def test_of_several_models_the_largest(tmp_path: Path) -> None:
    for i, count in enumerate((2, 4, 3)):
        model(tmp_path / "sparse" / str(i), count)
    images(tmp_path / "images")
    capture = Colmap().open(tmp_path, OPTIONS)
    assert len(capture.cameras("train")) == 4
    assert any("3 models" in w and "1 with 4 images" in w and "3, 2" in w for w in capture.warnings)


def test_images_that_hardly_observe_anything_are_left_out(tmp_path: Path) -> None:
    model(tmp_path / "sparse" / "0", seen=3)
    images(tmp_path / "images")
    capture = Colmap().open(tmp_path, OPTIONS)
    assert capture.names("train") == ("000.png", "001.png", "002.png")
    assert any("1 images" in w and "003.png" in w for w in capture.warnings)


def test_a_model_without_points_keeps_its_images(tmp_path: Path) -> None:
    model(tmp_path / "sparse" / "0", points=0)
    images(tmp_path / "images")
    assert len(Colmap().open(tmp_path, OPTIONS).cameras("train")) == 4


def test_images_of_another_size_scale_the_lens(tmp_path: Path) -> None:
    model(tmp_path / "sparse" / "0", lens="SIMPLE_RADIAL 12 8 14 6 4 0.01")
    images(tmp_path / "images_2")
    capture = Colmap().open(tmp_path, OPTIONS)
    one = capture.cameras("train")[0]
    assert (one.width, one.fl_x, one.cy, one.lens) == (6, 7.0, 2.0, OpenCV(0.01))
    text = " ".join(capture.warnings)
    assert "images_2 is read" in text and "4 of 4 images" in text and "12x8" in text
    images(tmp_path / "images", size=(6, 6))
    with pytest.raises(InputError, match="the shape of its camera, 12x8"):
        Colmap().open(tmp_path, OPTIONS)


def test_a_missing_image_follows_the_policy(tmp_path: Path) -> None:
    model(tmp_path / "sparse" / "0")
    images(tmp_path / "images", 3)
    capture = Colmap().open(tmp_path, OPTIONS)
    assert capture.frames_skipped == ["003.png"] and len(capture.cameras("train")) == 3
    with pytest.raises(InputError, match="1 of 4 missing"):
        Colmap().open(tmp_path, ReadOptions(strict=True))


@pytest.mark.parametrize(
    ("lens", "kind"),
    [
        ("SIMPLE_PINHOLE 6 4 7 3 2", OpenCV()),
        ("RADIAL 6 4 7 3 2 0.01 0.02", OpenCV(0.01, 0.02)),
        ("OPENCV_FISHEYE 6 4 7 8 3 2 0.01 0.02 0 0.04", OpenCVFisheye(0.01, 0.02, 0.0, 0.04)),
        ("SIMPLE_RADIAL_FISHEYE 6 4 7 3 2 0.01", OpenCVFisheye(0.01)),
    ],
)
def test_lenses(tmp_path: Path, lens: str, kind: OpenCV | OpenCVFisheye) -> None:
    model(tmp_path / "sparse" / "0", lens=lens)
    images(tmp_path / "images")
    one = Colmap().open(tmp_path, OPTIONS).cameras("train")[0]
    assert one.lens == kind and one.fl_x == 7 and (one.cx, one.cy) == (3, 2)


def test_every_camera_model_of_colmap(tmp_path: Path) -> None:
    """Each of pycolmap's is read, and agrees with it; panoramas by their directions."""
    pixel = np.array([[1.0, 1.5], [3.0, 2.0], [4.5, 3.5]])
    for i, name in enumerate(pycolmap.CameraModelId.__members__):
        if name == "INVALID":
            continue
        camera = pycolmap.Camera.create_from_model_name(1, name, 7.0, 6, 4)
        params = camera.params
        focal = len(camera.focal_length_idxs()) + len(camera.principal_point_idxs())
        params[focal:] = 0.002 * (1 + np.arange(len(params) - focal))
        camera.params = params
        text = " ".join(f"{value:.17g}" for value in params)
        root = tmp_path / str(i)
        model(root / "sparse" / "0", lens=f"{name} 6 4 {text}")
        images(root / "images")
        one = Colmap().open(root, OPTIONS).cameras("train")[0]
        if one.lens == Equirectangular():
            continue
        rays = Cameras.stack([one]).rays(
            torch.zeros(3, dtype=torch.int64), torch.tensor(pixel).float()
        )
        local = (rays.directions.double() @ one.pose[:3, :3]).numpy()
        theirs = camera.cam_from_img(pixel)
        np.testing.assert_allclose(local[:, :2] / -local[:, 2:] * [1, -1], theirs, atol=1e-5)


def test_a_damaged_model_is_one_line(tmp_path: Path) -> None:
    folder = model(tmp_path / "x")
    found = pycolmap.Reconstruction(str(folder))
    root = tmp_path / "capture"
    (root / "sparse" / "0").mkdir(parents=True)
    found.write_binary(str(root / "sparse" / "0"))
    images(root / "images")
    for name in ("cameras.bin", "images.bin", "points3D.bin"):
        file = root / "sparse" / "0" / name
        whole = file.read_bytes()
        for cut in (0, 3, 9, len(whole) // 2, len(whole) - 1):
            file.write_bytes(whole[:cut])
            with pytest.raises(InputError) as error:
                Colmap().open(root, OPTIONS)
            assert "\n" not in str(error.value) and len(str(error.value)) <= 300
        file.write_bytes(whole)
    assert len(Colmap().open(root, OPTIONS).cameras("train")) == 4


def test_the_statue(data_dir: Path) -> None:
    capture = Colmap().open(data_dir / "colmap" / "statue_undistorted", ReadOptions())
    assert len(capture.names("train")) == 20 and len(capture.names("test")) == 3
    cameras = capture.cameras("train")
    assert len({tuple(focal) for focal in cameras.focal.tolist()}) == 20
    assert capture.unbounded and not capture.frames_skipped


def test_points_of_the_statue_are_seen_where_colmap_saw_them(data_dir: Path) -> None:
    folder = data_dir / "colmap" / "statue_undistorted" / "sparse" / "0"
    theirs = pycolmap.Reconstruction(str(folder))
    named = {image.name: image for image in theirs.images.values()}
    errors = []
    for image in read_model(folder).images:
        seen = [point for point in named[image.name].points2D if point.has_point3D()]
        where = torch.tensor(np.array([theirs.points3D[p.point3D_id].xyz for p in seen]))
        camera = image.camera
        local = (where - camera.pose[:3, 3]) @ camera.pose[:3, :3]
        x, y = camera.lens.project((local[:, 0], -local[:, 1], -local[:, 2]), None)
        found = torch.stack([x * camera.fl_x + camera.cx, y * camera.fl_y + camera.cy], 1)
        errors.append((found - torch.tensor(np.array([p.xy for p in seen]))).norm(dim=1))
    assert torch.cat(errors).median() < 0.15
