"""LLFF: columns, sizes, which images, the box; the real ones."""

from pathlib import Path

import numpy as np
import pytest

from polyfield.errors import InputError
from polyfield.scenes import ReadOptions
from polyfield.scenes.formats.llff import Llff
from polyfield.scenes.images import write_image
from polyfield.scenes.similarity import IDENTITY

OPTIONS = ReadOptions(test_every=0)


def write(folder: Path, count: int = 3, images: str = "images", size=(6, 4)) -> np.ndarray:
    rows = []
    for i in range(count):
        # Looks along -z with y up: down, right, back.
        matrix = np.array([[0, 1, 0, i, 8], [-1, 0, 0, 0, 12], [0, 0, 1, 0, 14]], float)
        rows.append([*matrix.ravel(), 2.0, 6.0])
        (folder / images).mkdir(exist_ok=True)
        write_image(folder / images / f"{i}.png", np.full((size[1], size[0], 3), 9, np.uint8))
    np.save(folder / "poses_bounds.npy", np.array(rows))
    return np.array(rows)


def test_columns_are_down_right_back(tmp_path: Path) -> None:
    write(tmp_path)
    one = Llff().open(tmp_path, OPTIONS).cameras("train")[2]
    wanted = np.eye(4)
    wanted[0, 3] = 2
    np.testing.assert_allclose(one.pose.numpy(), wanted, atol=1e-6)
    assert (one.width, one.height, one.fl_x, one.cx, one.cy) == (6, 4, 7.0, 3.0, 2.0)


def test_reduced_images_stand_in(tmp_path: Path) -> None:
    write(tmp_path, images="images_2")
    capture = Llff().open(tmp_path, OPTIONS)
    assert any("images_2 is read" in line for line in capture.warnings)
    assert capture.cameras("train")[0].fl_x == 7.0
    write(tmp_path, size=(12, 8))
    capture = Llff().open(tmp_path, OPTIONS)
    assert not any("images_2" in line for line in capture.warnings)
    assert capture.cameras("train")[0].fl_x == 14.0


def test_the_box_is_at_the_middle_of_the_depths(tmp_path: Path) -> None:
    write(tmp_path)
    box = Llff().open(tmp_path, OPTIONS).in_frame(IDENTITY).bounds
    half = 1.05 * 3.0 * 6 / 14  # the mean disparity of 2 and 6 is that of 3
    np.testing.assert_allclose(box.mean(0).numpy(), [1, 0, -3], atol=1e-5)
    np.testing.assert_allclose((box[1] - box[0]).numpy() / 2, [half] * 3, rtol=1e-5)


@pytest.mark.parametrize(
    ("spoil", "word"),
    [
        (lambda rows: rows[:, :15], "rows of 17 numbers.*3x15"),
        (lambda rows: rows[:2], "each of the 2 rows.*3 images"),
        (lambda rows: rows * np.nan, "nearest < farthest depth in row 0"),
        (lambda rows: rows[:, [*range(15), 16, 15]], "nearest < farthest"),
        (lambda rows: np.where(np.arange(17) == 1, 2.0, rows), "a rotation in the pose of row 0"),
        (lambda rows: np.where(np.arange(17) == 14, -1.0, rows), "field of view"),
        (lambda rows: np.where(np.arange(17) == 4, 8.5, rows), "whole height"),
        (lambda rows: rows.astype(object), "an array of numbers"),
        (lambda rows: np.array(["a"]), "an array of numbers"),
    ],
)
def test_broken_files_are_one_line(tmp_path: Path, spoil, word: str) -> None:
    rows = write(tmp_path)
    np.save(tmp_path / "poses_bounds.npy", spoil(rows), allow_pickle=True)
    with pytest.raises(InputError, match=word):
        Llff().open(tmp_path, OPTIONS)


def test_fern_and_carton(data_dir: Path) -> None:
    fern = Llff().open(data_dir / "llff" / "fern", ReadOptions())
    one = fern.cameras("train")[0]
    assert (one.width, one.height) == (504, 378) and abs(one.fl_x - 3260.5 / 8) < 0.1
    assert len(fern.names("test")) == 3 and fern.unbounded
    assert "images_8 is read" in " ".join(fern.warnings)
    carton = Llff().open(data_dir / "llff" / "carton", ReadOptions())
    assert len(carton.names("train")) == 56 and len(carton.names("test")) == 8
