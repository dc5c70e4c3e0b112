"""Images that a file names in other ways than the disk does."""

import json
import unicodedata

import numpy as np
import pytest
from PIL import Image

from polyfield.errors import InputError
from polyfield.scenes.base import ReadOptions
from polyfield.scenes.formats import headers
from polyfield.scenes.formats.transforms import Transforms
from polyfield.scenes.images import write_image


def build(folder, **options):
    return Transforms().open(folder.path, ReadOptions(**options))


def named(folder, transforms, in_json, on_disk, count=4):
    """A capture whose images are called one thing and are another."""
    content = transforms(count)
    for i, frame in enumerate(content["frames"]):
        file = folder.path / on_disk(i)
        file.parent.mkdir(parents=True, exist_ok=True)
        (folder.path / frame["file_path"]).rename(file)
        frame["file_path"] = in_json(i)
    folder.write("transforms.json", content)


COMPOSED, DECOMPOSED = (unicodedata.normalize(form, "images/café{}.png") for form in ("NFC", "NFD"))


@pytest.mark.parametrize(
    ("in_json", "on_disk"),
    [
        ("images/DJI_{}.PNG", "images/DJI_{}.png"),
        ("images/DJI_{}", "images/DJI_{}.PNG"),
        ("Images/x{}.png", "images/x{}.png"),
        ("images\\x{}.png", "images/x{}.png"),
        ("images/my%20view{}.png", "images/my view{}.png"),
        (COMPOSED, DECOMPOSED),
        (DECOMPOSED, COMPOSED),
    ],
)
def test_another_spelling_is_found(folder, transforms, in_json, on_disk):
    named(folder, transforms, in_json.format, on_disk.format)
    capture = build(folder)
    assert len(capture.cameras("train")) == 3 and not capture.warnings


@pytest.mark.parametrize("ending", [".webp", ".bmp", ".TIF", ".jpeg"])
def test_other_endings_are_tried(folder, transforms, ending):
    named(folder, transforms, "images/x{}".format, f"images/x{{}}{ending}".format)
    for i in range(4):
        Image.new("RGB", (6, 4)).save(folder.path / f"images/x{i}{ending}")
    assert len(build(folder).cameras("train")) == 3


@pytest.mark.parametrize("place", ["D:/toy/capture/", "C:\\Users\\me\\toy\\", "/home/nobody/toy/"])
def test_the_place_on_another_machine(folder, transforms, place):
    named(folder, transforms, f"{place}images/x{{}}.png".format, "images/x{}.png".format)
    (warning,) = build(folder).warnings
    assert "4 images" in warning and "another machine" in warning


def test_two_that_differ_in_case_only_are_not_guessed(folder, transforms):
    content = transforms(4)
    for name in ("a.png", "A.png"):
        folder.picture(f"images/{name}")
    content["frames"][0]["file_path"] = "images/a.PNG"
    folder.write("transforms.json", content)
    assert build(folder).frames_skipped == ["images/a.PNG"]


def test_the_near_name_is_offered(folder, transforms):
    named(folder, transforms, "images/x{}.jpg".format, "images/x{}.png".format)
    with pytest.raises(InputError, match=r"4 of 4 missing: images/x0\.jpg \(there is images/x0\.p"):
        build(folder)


@pytest.mark.parametrize("how", ["absolute", "up", "link"])
def test_pictures_outside_the_folder_have_to_be_allowed(folder, transforms, how):
    content = transforms(4)
    outside = folder.path.parent / "elsewhere"
    (folder.path / "images").rename(outside)
    if how == "link":
        (folder.path / "images").symlink_to(outside)
    for i, frame in enumerate(content["frames"]):
        name = f"{i:04d}.png"
        where = {"absolute": f"{outside}/{name}", "up": f"../elsewhere/{name}"}
        frame["file_path"] = where.get(how, frame["file_path"])
    folder.write("transforms.json", content)
    with pytest.raises(InputError, match=r"images below .*--allow-outside"):
        build(folder)
    assert len(build(folder, allow_outside=True).scene("train")) == 3


@pytest.mark.parametrize("name", ["x" * 300, "a\0b", "/", "\ud800", "images"])
def test_names_the_system_refuses_are_missing_pictures(folder, transforms, name):
    content = transforms(4)
    content["frames"][1]["file_path"] = name
    folder.write("transforms.json", content)
    assert build(folder).frames_skipped == [name]


@pytest.mark.parametrize(
    "spelt",
    ["./images/2.png", "images//2.png", "images/../images/2.png", "images/2.PNG", "images/2"],
)
def test_one_picture_under_two_spellings(folder, transforms, spelt):
    named(folder, transforms, "images/{}.png".format, "images/{}.png".format)
    content = json.loads((folder.path / "transforms.json").read_text())
    content["frames"].append({**content["frames"][2], "file_path": spelt})
    folder.write("transforms.json", content)
    with pytest.raises(InputError, match="each image once.*one image as"):
        build(folder)


def turned(path, size, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.new("RGB", size, (90, 20, 30)).save(path, exif=exif)


def test_an_exif_orientation_is_told(folder, transforms):
    content = transforms(4)
    for i, frame in enumerate(content["frames"]):
        frame["file_path"] = f"images/{i}.jpg"
        turned(folder.path / frame["file_path"], (6, 4), 6 if i < 3 else 1)
    folder.write("transforms.json", content)
    (warning,) = build(folder).warnings
    assert warning.startswith("3 of 4 images") and "EXIF orientation" in warning
    for frame in content["frames"]:
        turned(folder.path / frame["file_path"], (4, 6), 6)
    with pytest.raises(InputError, match="EXIF orientation is not applied"):
        build(folder)


@pytest.mark.parametrize("ending", ["png", "jpg"])
def test_a_picture_cut_short(tmp_path, ending):
    path = tmp_path / f"x.{ending}"
    picture = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    write_image(path, picture)
    assert headers.read_header(path).depth == 1
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(InputError, match="damaged"):
        headers.read_header(path)


def test_bytes_after_the_end_are_no_damage(tmp_path):
    path = tmp_path / "x.jpg"
    write_image(path, np.zeros((8, 8, 3), np.uint8))
    path.write_bytes(path.read_bytes() + b"\0" * 10000)
    assert headers.read_header(path).info.width == 8


def test_a_capture_larger_than_memory_is_refused_before_it_is_read(folder, transforms, monkeypatch):
    transforms(10)
    capture = build(folder)
    kept = 6 * 4 * 4
    facts = capture.views["train"].facts
    assert (facts.stored, facts.decoding) == (8 * kept, 4 * 6 * 4)
    monkeypatch.setattr(headers, "free_memory", lambda: 9 * kept + headers.VIEW * 24)
    with pytest.raises(InputError, match=r"the 8 train images of .*--downscale 2"):
        capture.scene("train")
    assert len(capture.scene("test")) == 2
    monkeypatch.setattr(headers, "free_memory", lambda: 20 * kept + headers.VIEW * 24)
    assert len(capture.scene("train")) == 8


def test_free_memory_is_a_number_here():
    free = headers.free_memory()
    assert free is None or free > 0
