"""What every format must do: the built-in scene, written in it, comes back equal."""

import importlib.util
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from polyfield.errors import InputError
from polyfield.scenes import FORMATS, Analytic, ReadOptions, detect, open_capture
from polyfield.scenes.camera_files import read_cameras, write_capture

_spec = importlib.util.spec_from_file_location("writers", Path(__file__).with_name("writers.py"))
assert _spec is not None and _spec.loader is not None
writers = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(writers)

NAMES = [name for name in FORMATS if name != "demo"]
VIEWS = 10
Written = Callable[[str], Path]


@pytest.fixture(scope="module")
def views() -> list[Any]:
    """Those of the built-in scene, small."""
    demo = Analytic(size=16, train=VIEWS, val=1, test=1)
    return list(writers.views_of(demo.open("demo", ReadOptions())))


@pytest.fixture
def written(tmp_path: Path, views: list[Any]) -> Written:
    """Writes the scene in a format and says where."""

    def write(name: str) -> Path:
        folder = tmp_path / name
        folder.mkdir()
        writers.WRITERS[name](folder, views)
        return folder

    return write


def test_each_has_a_writer() -> None:
    assert list(writers.WRITERS) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_cameras_and_pixels_come_back(name: str, written: Written, views: list[Any]) -> None:
    folder = written(name)
    assert detect(folder) is FORMATS[name]
    capture = open_capture(folder, ReadOptions(test_every=0))
    scene, cameras = capture.scene("train"), capture.cameras("train")
    assert len(cameras) == VIEWS and capture.splits == ("train",) and not capture.warnings
    for view in views:
        found, wanted = cameras[view.number], view.camera
        torch.testing.assert_close(found.pose, wanted.pose, atol=1e-6, rtol=0)
        ours = (found.fl_x, found.fl_y, found.cx, found.cy)
        theirs = (wanted.fl_x, wanted.fl_y, wanted.cx, wanted.cy)
        np.testing.assert_allclose(ours, theirs, rtol=1e-6)
        assert found.lens == wanted.lens
        pixels = (scene.view(view.number)[1] * 255).round().to(torch.uint8)
        assert np.array_equal(pixels.numpy(), view.pixels)


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("blender", "nsvf")])
def test_every_eighth_is_held_out(name: str, written: Written) -> None:
    capture = open_capture(written(name), ReadOptions())
    names = open_capture(capture.path, ReadOptions(test_every=0)).names("train")
    assert capture.names("test") == (names[0], names[8])
    assert len(capture.names("train")) == VIEWS - 2


@pytest.mark.parametrize("name", NAMES)
def test_a_run_keeps_its_cameras(name: str, written: Written, tmp_path: Path) -> None:
    capture = open_capture(written(name), ReadOptions(downscale=2))
    write_capture(tmp_path / "cameras.json", capture)
    found = read_cameras(tmp_path / "cameras.json")["train"]
    cameras = capture.cameras("train")
    assert [c.lens for c in found] == list(cameras.lenses)
    assert all(torch.equal(c.pose, cameras[i].pose) for i, c in enumerate(found))


@pytest.mark.parametrize("name", NAMES)
def test_a_missing_image_is_told(name: str, written: Written) -> None:
    folder = written(name)
    image = sorted(folder.rglob("*.png"))[3]
    image.unlink()
    try:
        capture = open_capture(folder, ReadOptions(test_every=0))
    except InputError as error:  # rows of LLFF say nothing without all of their images
        assert name in ("llff", "record3d") and "9 images" in str(error)
        return
    assert len(capture.cameras("train")) == VIEWS - 1
    told = capture.frames_skipped or name in ("nsvf", "polycam", "record3d")
    assert told


@pytest.mark.parametrize("name", NAMES)
def test_one_line_for_damage(name: str, written: Written) -> None:
    """Each file that isn't an image, cut to half, empty or of other bytes."""
    folder = written(name)
    files = [f for f in sorted(folder.rglob("*")) if f.is_file() and f.suffix != ".png"]
    for file in files[:4]:
        whole = file.read_bytes()
        for spoiled in (b"", whole[: len(whole) // 2], b"\xff\xfe\x00garbage" * 5):
            file.write_bytes(spoiled)
            try:
                open_capture(folder, ReadOptions(), FORMATS[name])
            except InputError as error:
                assert "\n" not in str(error) and len(str(error)) <= 300
        file.write_bytes(whole)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_of_it_is_one_line(name: str, tmp_path: Path, written: Written) -> None:
    with pytest.raises(InputError) as error:
        FORMATS[name].open(tmp_path, ReadOptions())
    assert "\n" not in str(error.value)
    assert not FORMATS[name].found_at(tmp_path)
    folder = written(name)
    for file in folder.rglob("*.png"):
        file.unlink()
    with pytest.raises(InputError) as error:
        open_capture(folder, ReadOptions(), FORMATS[name])
    assert "\n" not in str(error.value)
    shutil.rmtree(folder)
