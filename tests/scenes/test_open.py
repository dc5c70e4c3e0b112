"""Which format a path is."""

import pytest

from polyfield.errors import InputError
from polyfield.scenes import (
    Analytic,
    Blender,
    ReadOptions,
    Transforms,
    detect,
    format_named,
    open_capture,
    open_image,
)


def test_formats_are_told_by_their_files(folder, blender, transforms):
    assert detect("demo") == Analytic()
    transforms(3)
    assert detect(folder.path) == Transforms()
    assert detect(str(folder.path / "transforms.json")) == Transforms()
    blender("train")
    assert detect(folder.path) == Blender()
    assert len(open_capture(folder.path, ReadOptions()).cameras("train")) == 3
    chosen = open_capture(folder.path, ReadOptions(test_every=0), Transforms())
    assert chosen.views["train"].names[0].startswith("images/")


def test_no_known_format_lists_what_was_looked_for(folder):
    with pytest.raises(InputError, match=r"transforms_train\.json, transforms\.json, sparse/0/cam"):
        detect(folder.path)
    folder.write("notes.txt", "hello")
    with pytest.raises(InputError, match="got a file"):
        detect(folder.path / "notes.txt")


def test_a_format_by_its_name():
    assert format_named("transforms") == Transforms()
    with pytest.raises(
        InputError, match="blender, transforms, colmap, llff, nsvf, polycam, record3d, demo"
    ):
        format_named("colmup")


def test_a_folder_called_demo_is_the_folder(folder, transforms, monkeypatch):
    transforms(10)
    monkeypatch.chdir(folder.path.parent)
    (folder.path.parent / "demo").mkdir()
    assert detect("demo") == Analytic()  # nothing of ours in it
    (folder.path.parent / "demo").rmdir()
    folder.path.rename("demo")
    capture = open_capture("demo", ReadOptions())
    assert len(capture.cameras("train")) == 8 and "built-in scene" in capture.warnings[0]
    built_in = open_capture("demo", ReadOptions(), Analytic(size=8, train=1, val=1, test=1))
    assert len(built_in.cameras("train")) == 1 and not built_in.warnings


def test_a_missing_path(folder):
    with pytest.raises(InputError, match="no such path"):
        open_capture(folder.path / "none", ReadOptions())


def test_the_built_in_data():
    config = Analytic(size=8, train=1, val=1, test=1)
    assert len(open_capture("demo", ReadOptions(), config).scene("val")) == 1
    assert open_image("demo", ReadOptions(downscale=4)).width == 128
