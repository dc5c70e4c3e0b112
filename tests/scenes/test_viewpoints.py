import pytest
import torch

from polyfield.errors import InputError
from polyfield.scenes.cameras import Camera
from polyfield.scenes.viewpoints import check_frames, parse_size, sized


def test_another_size_keeps_pixels_square_and_all_in_sight() -> None:
    camera = Camera(torch.eye(4), 40, 30, 50.0, 51.0, 18.0, 16.0)
    assert sized(camera, 80, 60).fl_x == pytest.approx(100.0)
    wide = sized(camera, 160, 30)
    assert (wide.fl_x, wide.fl_y) == (50.0, 51.0)
    assert (wide.cx, wide.cy) == (78.0, 16.0)


def test_a_size_in_words() -> None:
    assert parse_size("640x480") == (640, 480)
    assert parse_size(" 8X6 ") == (8, 6)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("3", "WxH"),
        ("axb", "WxH"),
        ("-4x4", "WxH"),
        ("4x", "WxH"),
        ("4x4x4", "WxH"),
        ("\u0663x\u0663", "WxH"),
        ("9" * 5000 + "x1", "WxH"),
        ("0x4", "1 to 65536"),
        ("65537x4", "1 to 65536"),
        ("999999999x4", "1 to 65536"),
        ("65536x65536", "fits in memory"),
    ],
)
def test_a_size_that_can_not_be_drawn_is_one_short_line(text: str, word: str) -> None:
    with pytest.raises(InputError, match=word) as caught:
        parse_size(text)
    assert len(str(caught.value)) < 300 and str(caught.value).isprintable()


@pytest.mark.parametrize("count", [0, -1, 100_001, 10**12, 10**400])
def test_frames_have_an_upper_bound(count: int) -> None:
    check_frames(1, "--frames")
    check_frames(100_000, "--frames")
    with pytest.raises(InputError, match="1 to 100000") as caught:
        check_frames(count, "--frames")
    assert len(str(caught.value)) < 300
