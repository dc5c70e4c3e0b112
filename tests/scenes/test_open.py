"""Which format a path is."""

import pytest

from polyfield.errors import InputError
from polyfield.scenes import (
    Analytic,
    Blender,
    ReadOptions,
    Transforms,
    detect_scene,
    open_capture,
    open_picture,
)


def test_formats_are_told_by_their_files(folder, blender, transforms):
    assert detect_scene("demo") == Analytic()
    transforms(3)
    assert detect_scene(folder.path) == Transforms()
    assert detect_scene(str(folder.path / "transforms.json")) == Transforms()
    blender("train")
    assert detect_scene(folder.path) == Blender()
    assert len(open_capture(folder.path, ReadOptions()).cameras("train")) == 3
    chosen = open_capture(folder.path, ReadOptions(test_every=0), Transforms())
    assert chosen.views["train"].names[0].startswith("images/")


def test_no_known_format_lists_what_was_looked_for(folder):
    with pytest.raises(InputError, match=r"transforms_train\.json or transforms\.json"):
        detect_scene(folder.path)
    folder.write("notes.txt", "hello")
    with pytest.raises(InputError, match="got a file"):
        detect_scene(folder.path / "notes.txt")


def test_a_missing_path(folder):
    with pytest.raises(InputError, match="no such path"):
        open_capture(folder.path / "none", ReadOptions())


def test_the_built_in_data():
    config = Analytic(size=8, train=1, val=1, test=1)
    assert len(open_capture("demo", ReadOptions(), config).scene("val")) == 1
    assert open_picture("demo", ReadOptions(downscale=4)).width == 128
