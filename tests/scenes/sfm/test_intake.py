"""Photographs on the way into a capture: order, EXIF, turning, shrinking, masks."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from polyfield.errors import InputError
from polyfield.scenes.images import read_image, write_image
from polyfield.scenes.sfm.config import Sfm
from polyfield.scenes.sfm.intake import Places, fitted, take_photographs
from polyfield.scenes.sfm.photographs import focal_of, photographs_in


def nothing(done: int, total: int) -> None:
    pass


def picture(path: Path, width: int = 12, height: int = 8, **exif: object) -> np.ndarray:
    path.parent.mkdir(parents=True, exist_ok=True)
    array = np.random.default_rng(len(path.name)).integers(0, 256, (height, width, 3), np.uint8)
    tags = Image.Exif()
    for tag, value in exif.items():
        tags[int(tag[1:], 16)] = value
    Image.fromarray(array).save(path, exif=tags)
    return array


def test_images_come_in_the_order_of_their_numbers_and_no_others(tmp_path):
    for name in ("b/2.png", "a10.png", "a9.png", ".hidden.png", "B1.PNG"):
        picture(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no image")
    (tmp_path / "broken.png").write_bytes(b"no image either")
    found, refused = photographs_in(tmp_path, nothing)
    assert [p.name for p in found] == ["B1.PNG", "a9.png", "a10.png", "b/2.png"]
    (line,) = refused
    assert line.startswith("broken.png is left out") and "isn't an image" in line


def test_a_folder_without_images_is_told(tmp_path):
    with pytest.raises(InputError, match="photographs in .*; got none; give a folder"):
        photographs_in(tmp_path, nothing)


@pytest.mark.parametrize(
    ("exif", "focal"),
    [
        ({0xA405: 26}, 26 / np.hypot(36, 24) * np.hypot(4000, 3000)),
        ({0x920A: 5.0, 0xA20E: 8000.0, 0xA210: 2}, 5.0 * 8000 / 25.4),
        ({0x920A: 5.0, 0xA20E: 8000.0, 0xA210: 1}, None),
        ({0x920A: 5.0}, None),
        ({0xA405: 0}, None),
        ({0xA405: "none"}, None),
        ({0x920A: 5.0, 0xA20E: 1e9, 0xA210: 2}, None),
        ({}, None),
    ],
)
def test_the_focal_length_of_exif(exif, focal):
    assert focal_of(exif, 4000, 3000) == (None if focal is None else pytest.approx(focal))


def take(folder: Path, out: Path, **options: object):
    places = Places(out / "capture", out / "copies", out / "masks")
    places.make()
    found, _ = photographs_in(folder, nothing)
    return take_photographs(found, places, Sfm(**options), nothing), places


def test_an_image_that_needs_nothing_is_copied_byte_by_byte(tmp_path):
    picture(tmp_path / "in/a.png")
    (image,), places = take(tmp_path / "in", tmp_path / "out")
    assert (places.capture / image.image).read_bytes() == (tmp_path / "in/a.png").read_bytes()
    assert image.size == image.copy_size == (12, 8) and image.image == "images/a.png"


def test_a_turned_image_is_stored_upright(tmp_path):
    array = picture(tmp_path / "in/a.png", x0112=6)
    (image,), places = take(tmp_path / "in", tmp_path / "out")
    stored = read_image(places.capture / image.image)
    np.testing.assert_array_equal(stored, np.rot90(array, -1))
    assert image.size == (8, 12)
    assert 0x0112 not in Image.open(places.capture / image.image).getexif()


def test_shrinking_keeps_the_mean_and_scales_the_focal_length(tmp_path):
    write_image(tmp_path / "a.png", np.full((80, 120, 3), 77, np.uint8))
    array = fitted(read_image(tmp_path / "a.png"), 50)
    assert array.shape == (33, 50, 3) and (array == 77).all()
    (tmp_path / "in").mkdir()
    picture(tmp_path / "in/b.jpg", 120, 80, xA405=50)
    full, _ = take(tmp_path / "in", tmp_path / "one")
    small, places = take(tmp_path / "in", tmp_path / "two", max_side=64)
    assert small[0].size == (64, 43)
    assert small[0].focal == pytest.approx(full[0].focal * 64 / 120)
    assert read_image(places.capture / "images/b.jpg").shape == (43, 64, 3)


def test_colour_under_no_alpha_does_not_leak_when_shrunk():
    array = np.zeros((4, 4, 4), np.uint8)
    array[:2] = [200, 100, 50, 255]
    array[2:] = [255, 255, 255, 0]
    small = fitted(array, 1)
    np.testing.assert_array_equal(small[0, 0], [200, 100, 50, 128])


def test_other_kinds_become_png_beside_their_namesakes(tmp_path):
    picture(tmp_path / "in/a.webp")
    picture(tmp_path / "in/a.png")
    images, places = take(tmp_path / "in", tmp_path / "out")
    assert sorted(i.image for i in images) == ["images/a.png", "images/a.webp.png"]
    assert read_image(places.capture / "images/a.webp.png").shape == (8, 12, 3)


def test_masks_come_along(tmp_path):
    picture(tmp_path / "in/sub/a.jpg")
    mask = np.zeros((8, 12), np.uint8)
    mask[:, 6:] = 1
    (tmp_path / "masks/sub").mkdir(parents=True)
    write_image(tmp_path / "masks/sub/a.jpg.png", mask)
    (image,), places = take(tmp_path / "in", tmp_path / "out", masks=str(tmp_path / "masks"))
    assert image.mask == "masks/sub/a.jpg.png"
    np.testing.assert_array_equal(read_image(places.capture / image.mask)[..., 0], mask * 255)
    (copy,) = places.copy_masks.iterdir()
    assert copy.name == f"{image.copy}.png"
    write_image(tmp_path / "masks/sub/a.jpg.png", mask[:4])
    with pytest.raises(InputError, match="a mask of 12x8 pixels"):
        take(tmp_path / "in", tmp_path / "again", masks=str(tmp_path / "masks"))
    (tmp_path / "masks/sub/a.jpg.png").unlink()
    with pytest.raises(InputError, match="none for sub/a.jpg"):
        take(tmp_path / "in", tmp_path / "more", masks=str(tmp_path / "masks"))


def test_a_name_that_json_cannot_hold_becomes_a_number(tmp_path):
    import os

    picture(tmp_path / "in/a.png")
    os.rename(tmp_path / "in/a.png", os.fsencode(tmp_path / "in") + b"/\xff.png")
    (image,), _ = take(tmp_path / "in", tmp_path / "out")
    assert image.image == "images/image_00001.png"
