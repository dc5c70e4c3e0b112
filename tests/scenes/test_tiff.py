"""TIFF: all bits or a refusal. The files are written here tag by tag."""

import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from polyfield.errors import InputError
from polyfield.scenes.images import read_image, read_info

KINDS = {"u": 1, "i": 2, "f": 3}


def tiff(array: np.ndarray, photometric: int, extra: int | None = None, order: str = "<") -> bytes:
    """A TIFF of one strip.

    Args:
        array: [h, w, c].
        photometric: 0 white is zero, 1 black is zero, 2 RGB, 5 CMYK.
        extra: what the last channel is: 0 not said, 1 premultiplied, 2 straight alpha.
        order: "<" or ">".
    """
    height, width, channels = array.shape
    data = array.astype(array.dtype.newbyteorder(order)).tobytes()
    bits, kind = array.dtype.itemsize * 8, KINDS[array.dtype.kind]
    tags = [(256, [width]), (257, [height]), (258, [bits] * channels), (259, [1])]
    tags += [(262, [photometric]), (273, [8]), (277, [channels]), (278, [height])]
    tags += [(279, [len(data)])] + ([(338, [extra])] if extra is not None else [])
    tags += [(339, [kind] * channels)]
    place = 8 + len(data)
    more = place + 2 + 12 * len(tags) + 4
    entries, beyond = b"", b""
    for tag, values in tags:
        letter, number = ("H", 3) if tag in (258, 338, 339) else ("I", 4)
        content = struct.pack(f"{order}{len(values)}{letter}", *values)
        if len(content) > 4:
            beyond += content
            content = struct.pack(f"{order}I", more + len(beyond) - len(content))
        entries += struct.pack(f"{order}HHI", tag, number, len(values)) + content.ljust(4, b"\0")
    mark = b"II" if order == "<" else b"MM"
    head = mark + struct.pack(f"{order}HI", 42, place)
    count = struct.pack(f"{order}H", len(tags))
    return head + data + count + entries + bytes(4) + beyond


def made(tmp_path: Path, *arguments, **options) -> Path:
    file = tmp_path / "a.tif"
    file.write_bytes(tiff(*arguments, **options))
    return file


def values(dtype: str, channels: int) -> np.ndarray:
    generator = np.random.default_rng(channels)
    if dtype.startswith("f"):
        return generator.random((4, 6, channels)).astype(dtype)
    return generator.integers(0, np.iinfo(dtype).max, (4, 6, channels)).astype(dtype)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float16", "float32"])
def test_every_bit_is_kept(tmp_path, dtype, channels, order):
    array = values(dtype, channels)
    file = made(tmp_path, array, 1 if channels == 1 else 2, order=order)
    found = read_image(file)
    assert found.dtype == array.dtype and np.array_equal(found, array)
    info = read_info(file)
    assert (info.width, info.height, info.channels) == (6, 4, channels)
    assert info.is_float == dtype.startswith("f") and not info.has_alpha


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
def test_white_may_be_zero(tmp_path, dtype):
    array = values(dtype, 1)
    assert np.array_equal(read_image(made(tmp_path, array, 0)), np.iinfo(dtype).max - array)


def test_straight_alpha_of_whole_numbers_stays(tmp_path):
    array = values("uint16", 4)
    file = made(tmp_path, array, 2, extra=2)
    assert np.array_equal(read_image(file), array) and read_info(file).has_alpha


def test_premultiplied_whole_numbers_become_straight(tmp_path):
    straight = np.array([[[60000, 30000, 0, 32768], [9, 9, 9, 0]]], np.uint16)
    share = straight[..., 3:] / 65535
    stored = np.concatenate([np.rint(straight[..., :3] * share), straight[..., 3:]], -1)
    found = read_image(made(tmp_path, stored.astype(np.uint16), 2, extra=1))
    assert np.abs(found[0, 0].astype(int) - straight[0, 0]).max() <= 2
    assert found[0, 1].tolist() == [0, 0, 0, 0]


def test_straight_floats_are_multiplied_by_alpha_as_in_exr(tmp_path):
    array = values("float32", 4)
    found = read_image(made(tmp_path, array, 2, extra=2))
    np.testing.assert_array_equal(found[..., :3], array[..., :3] * array[..., 3:])
    assert np.array_equal(read_image(made(tmp_path, array, 2, extra=1)), array)


@pytest.mark.parametrize(
    ("dtype", "channels", "photometric", "extra", "word"),
    [
        ("uint32", 3, 2, None, "whole numbers of 32 bits"),
        ("int16", 3, 2, None, "signed numbers of 16 bits"),
        ("float64", 3, 2, None, "floats of 64 bits"),
        ("uint16", 4, 5, None, "kind 5 in 16 bits"),
        ("uint8", 4, 2, 0, "not said to be alpha"),
        ("uint16", 4, 2, 0, "not said to be alpha"),
        ("float32", 1, 0, None, "kind 0 in 32 bits"),
    ],
)
def test_what_would_lose_something_is_refused(tmp_path, dtype, channels, photometric, extra, word):
    file = made(tmp_path, values(dtype, channels), photometric, extra)
    for read in (read_info, read_image):
        with pytest.raises(InputError, match=word):
            read(file)


def test_several_pages_are_refused(tmp_path):
    pages = [Image.new("RGB", (4, 3), color) for color in ("red", "blue")]
    pages[0].save(tmp_path / "a.tif", save_all=True, append_images=pages[1:])
    with pytest.raises(InputError, match="got 2 pages"):
        read_image(tmp_path / "a.tif")


@pytest.mark.parametrize("length", [8, 12, 60, 100, 148, 170, 250])
def test_a_file_cut_short_is_one_line(tmp_path, capfd, length):
    file = made(tmp_path, values("uint16", 3), 2)
    file.write_bytes(file.read_bytes()[:length])
    with pytest.raises(InputError, match=r"a\.tif"):
        read_image(file)
    assert capfd.readouterr() == ("", "")


def test_directories_in_a_circle_end(tmp_path):
    content = bytearray(tiff(values("uint8", 1), 1))
    place = struct.unpack_from("<I", content, 4)[0]
    count = struct.unpack_from("<H", content, place)[0]
    struct.pack_into("<I", content, place + 2 + 12 * count, place)
    (tmp_path / "a.tif").write_bytes(content)
    assert read_image(tmp_path / "a.tif").shape == (4, 6, 1)
