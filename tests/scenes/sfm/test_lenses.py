"""Which images share a camera, and what a user knows of its lens."""

import json

import pytest

from polyfield.errors import InputError
from polyfield.scenes.sfm.config import Sfm
from polyfield.scenes.sfm.intake import Prepared
from polyfield.scenes.sfm.known import Intrinsics, read_intrinsics
from polyfield.scenes.sfm.lenses import choose_lenses


def image(name="a.png", size=(100, 60), device="", focal=None, shrunk=1):
    copy = (size[0] // shrunk, size[1] // shrunk)
    return Prepared(name, f"images/{name}", size, f"{name}.png", copy, None, focal, device)


def members(lenses):
    return sorted(lens.images for lens in lenses)


def test_size_and_exif_decide_who_shares_a_camera():
    images = [image(), image(device="x 5.0 mm"), image(), image(size=(60, 100))]
    lenses, said = choose_lenses(images, Sfm())
    assert members(lenses) == [(0, 2), (1,), (3,)]
    assert said.startswith("3 cameras for 4 images (by size and EXIF), SIMPLE_RADIAL")
    assert members(choose_lenses(images, Sfm(cameras="each"))[0]) == [(0,), (1,), (2,), (3,)]
    assert members(choose_lenses(images[:3], Sfm(cameras="one"))[0]) == [(0, 1, 2)]
    with pytest.raises(InputError, match="one size for --cameras one.*100x60.*60x100"):
        choose_lenses(images, Sfm(cameras="one"))


def test_a_camera_of_many_images_gets_the_richer_lens():
    (lens,), _ = choose_lenses([image()] * 12, Sfm())
    assert lens.model == "OPENCV" and lens.params == (120, 120, 50, 30, 0, 0, 0, 0)
    (lens,), _ = choose_lenses([image()] * 12, Sfm(camera_model="PINHOLE"))
    assert lens.params == (120, 120, 50, 30) and not lens.has_prior and not lens.is_known


def test_the_focal_length_of_exif_is_for_the_copy():
    (lens,), said = choose_lenses([image(focal=90.0, shrunk=2)] * 2, Sfm())
    assert lens.params == (45, 25, 15, 0) and lens.has_prior
    assert "focal length by EXIF" in said


def test_known_intrinsics_are_scaled_to_the_copy_and_stay():
    (lens,), said = choose_lenses([image(shrunk=2)], Sfm(intrinsics="80,82,50,31"))
    assert (lens.model, lens.params, lens.is_known) == ("PINHOLE", (40, 41, 25, 15.5), True)
    assert "intrinsics given" in said
    (lens,), _ = choose_lenses([image()], Sfm(intrinsics="80,82,50,31,0.1,0.2,0.3,0.4"))
    assert (lens.model, lens.params[4:]) == ("OPENCV", (0.1, 0.2, 0.3, 0.4))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("80,80", "4 to 8 numbers"),
        ("80,80,nan,3", "4 to 8 numbers"),
        ("nowhere.json", "check the numbers or the path"),
        ("80,80,500,30", "cx cy inside"),
        ("-80,80,50,30", "field of view"),
    ],
)
def test_intrinsics_that_cannot_be(text, message):
    with pytest.raises(InputError, match=message):
        choose_lenses([image()], Sfm(intrinsics=text))


def test_intrinsics_of_a_transforms_json_go_by_name_and_size(tmp_path):
    own = {"file_path": "./images/b.png", "fl_x": 70.0, "cx": 30.0, "cy": 50.0, "w": 60, "h": 100}
    content = {"fl_x": 160.0, "cx": 100.0, "cy": 60.0, "w": 200, "h": 120, "k1": 0.1}
    path = tmp_path / "transforms.json"
    path.write_text(json.dumps({**content, "frames": [own, {"file_path": "c.png"}]}))
    known = read_intrinsics(str(path))
    assert known.of("c.png", (100, 60)) == Intrinsics(80.0, 80.0, 50.0, 30.0, 0.1)
    assert known.of("x/b.png", (60, 100)).fl_x == 70.0
    with pytest.raises(InputError, match="the shape of c.png"):
        known.of("c.png", (60, 100))
    assert read_intrinsics(str(tmp_path)).shared == known.shared
    path.write_text(json.dumps({"frames": []}))
    with pytest.raises(InputError, match="fl_x fl_y cx cy"):
        read_intrinsics(str(path))
