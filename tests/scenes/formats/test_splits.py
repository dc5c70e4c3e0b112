"""Splits: those the data names, those without images, and those a run once had."""

import pytest
import torch

from polyfield.errors import InputError
from polyfield.scenes.base import ReadOptions
from polyfield.scenes.formats.blender import Blender
from polyfield.scenes.formats.transforms import Transforms


def build(folder, **options):
    return Transforms().open(folder.path, ReadOptions(**options))


def picture(i):
    return f"images/{i:04d}.png"


def test_the_lists_of_a_file_are_its_splits(folder, transforms):
    content = transforms(6)
    content["train_filenames"] = ["./images/0004.png", picture(0), picture(2)]
    content["test_filenames"] = [picture(1), picture(3)]
    content["val_filenames"] = [picture(3)]
    folder.write("transforms.json", content)
    capture = build(folder)
    assert capture.splits == ("train", "val", "test")
    assert capture.names("train") == (picture(0), picture(2), picture(4))
    assert capture.names("test") == (picture(1), picture(3))
    assert capture.names("val") == (picture(3),)
    (warning,) = capture.warnings
    assert "1 frames" in warning and picture(5) in warning


def test_what_no_list_names_is_for_training(folder, transforms):
    content = transforms(6, test_filenames=[picture(1)], val_filenames=[])
    capture = build(folder)
    assert capture.splits == ("train", "test") and len(capture.names("train")) == 5
    (folder.path / picture(1)).unlink()
    folder.write("transforms.json", content)
    missing, empty = build(folder).warnings
    assert "missing and skipped" in missing and "val_filenames and test_filenames" in empty


@pytest.mark.parametrize(
    ("lists", "message"),
    [
        ({"train_filenames": []}, "images to train on"),
        ({"test_filenames": ["images/0099.png"]}, r"test_filenames of .*0099\.png"),
        ({"val_filenames": "images/0001.png"}, "a list of image names"),
        ({"val_filenames": [3]}, "a list of image names"),
    ],
)
def test_lists_that_cannot_be(folder, transforms, lists, message):
    transforms(4, **lists)
    with pytest.raises(InputError, match=message):
        build(folder)


def test_training_on_test_pictures_is_told(folder, transforms, blender):
    transforms(4, train_filenames=[picture(i) for i in range(3)], test_filenames=[picture(2)])
    assert "1 of 1 test images" in build(folder).warnings[-1]
    content = blender("train", 3)
    folder.write("transforms_test.json", content)
    (warning,) = Blender().open(folder.path, ReadOptions()).warnings
    assert "3 of 3 test images" in warning and "training images too" in warning


@pytest.mark.parametrize("how", ["empty", "no images"])
def test_a_test_split_without_pictures_is_none(folder, blender, how):
    blender("train")
    content = blender("test", 4)
    for i in range(4):
        (folder.path / "test" / f"r_{i}.png").unlink()
    if how == "empty":
        folder.write("transforms_test.json", {**content, "frames": []})
    capture = Blender().open(folder.path, ReadOptions())
    assert capture.splits == ("train",)
    (warning,) = capture.warnings
    assert "transforms_test.json" in warning and "taken as no split" in warning
    assert len(capture.frames_skipped) == (0 if how == "empty" else 4)
    if how == "no images":
        with pytest.raises(InputError, match="4 of 4 missing"):
            Blender().open(folder.path, ReadOptions(strict=True))


def test_training_pictures_have_to_be_there(folder, blender):
    content = blender("train")
    folder.write("transforms_train.json", {**content, "frames": []})
    with pytest.raises(InputError, match="zero views"):
        Blender().open(folder.path, ReadOptions())


def test_views_held_out_stay_so_when_pictures_come_back(folder, transforms):
    transforms(10)
    away = folder.path / picture(1)
    kept = away.read_bytes()
    away.unlink()
    before = build(folder, test_every=3)
    held = {split: before.names(split) for split in before.splits}
    away.write_bytes(kept)
    now = build(folder, test_every=3)
    assert now.names("test") != held["test"]
    again = now.regrouped(held)
    assert {split: again.names(split) for split in again.splits} == held
    assert "1 views of" in again.warnings[-1] and picture(1) in again.warnings[-1]
    for split in held:
        one, two = before.scene(split), again.scene(split)
        torch.testing.assert_close(
            one.cameras.user_poses, two.cameras.user_poses, atol=1e-6, rtol=0
        )
        for i in range(len(one)):
            assert torch.equal(one.view(i)[1], two.view(i)[1])
    gone = now.regrouped({"train": [picture(2), "images/lost.png"], "test": ["images/lost.png"]})
    assert gone.splits == ("train",) and "no longer" in gone.warnings[0]
