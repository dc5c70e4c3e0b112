"""Frames of several times: one is picked, or asked for."""

import pytest

from polyfield.errors import InputError
from polyfield.files import read_json
from polyfield.scenes.base import ReadOptions
from polyfield.scenes.camera_files import write_capture
from polyfield.scenes.formats.blender import Blender
from polyfield.scenes.formats.transforms import Transforms


def timed(folder, blender, split, times):
    content = blender(split, len(times))
    for frame, time in zip(content["frames"], times, strict=True):
        frame["time"] = time
    folder.write(f"transforms_{split}.json", content)


def test_several_times_are_asked_for(folder, blender):
    timed(folder, blender, "train", [0.0, 0.5, 1.0, 0.5])
    with pytest.raises(InputError, match="3 times from 0 to 1; give --time 0"):
        Blender().open(folder.path, ReadOptions())


def test_the_frames_of_a_time(folder, blender, tmp_path):
    timed(folder, blender, "train", [0.0, 0.5, 1.0, 0.5])
    timed(folder, blender, "test", [0.5, 0.6])
    timed(folder, blender, "val", [0.1, 0.2])
    capture = Blender().open(folder.path, ReadOptions(time=0.5))
    assert capture.names("train") == ("./train/r_1", "./train/r_3")
    assert capture.names("test") == ("./test/r_0",) and capture.splits == ("train", "test")
    assert capture.cameras("train").times == (0.5, 0.5)
    assert any("no frames at that time" in line for line in capture.warnings)
    write_capture(tmp_path / "cameras.json", capture)
    kept = read_json(tmp_path / "cameras.json")["splits"]["train"]
    assert [entry["time"] for entry in kept] == [0.5, 0.5]
    again = capture.regrouped({"train": capture.names("test"), "test": capture.names("train")})
    assert again.cameras("train").times == (0.5,)


def test_one_time_needs_no_flag(folder, transforms):
    content = transforms(4)
    for frame in content["frames"]:
        frame["time"] = 0.25
    folder.write("transforms.json", content)
    assert len(Transforms().open(folder.path, ReadOptions()).cameras("train")) == 3


@pytest.mark.parametrize(
    ("time", "word"), [(0.4, "--time 0.5"), (7.0, "--time 1"), (float("nan"), "a finite time")]
)
def test_a_time_that_no_frame_has(folder, blender, time, word):
    timed(folder, blender, "train", [0.0, 0.5, 1.0])
    with pytest.raises(InputError, match=word):
        Blender().open(folder.path, ReadOptions(time=time))


def test_no_times_at_all(folder, transforms):
    transforms(4)
    with pytest.raises(InputError, match="no times; leave out --time"):
        Transforms().open(folder.path, ReadOptions(time=0.0))
