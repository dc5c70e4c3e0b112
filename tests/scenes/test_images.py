"""ImageSignal files: every type there and back, and files that only look like images."""

import io
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from polyfield import memory
from polyfield.errors import LONGEST, InputError
from polyfield.quiet import quiet_stderr
from polyfield.scenes import png
from polyfield.scenes.images import read_image, read_info, read_upright, write_image


def noise(dtype: str, channels: int, size: tuple[int, int] = (5, 7)) -> np.ndarray:
    generator = np.random.default_rng(channels)
    if dtype.startswith("float"):
        return (10 * generator.random((*size, channels))).astype(dtype)
    return generator.integers(0, np.iinfo(dtype).max + 1, (*size, channels)).astype(dtype)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize(
    ("dtype", "ending"),
    [("uint8", ".png"), ("uint16", ".png"), ("float16", ".exr"), ("float32", ".exr")],
)
def test_every_type_survives_bit_for_bit(tmp_path, dtype, ending, channels):
    array = noise(dtype, channels)
    file = tmp_path / f"image{ending}"
    write_image(file, array)
    back = read_image(file)
    assert back.dtype == array.dtype and np.array_equal(back, array)
    info = read_info(file)
    assert (info.width, info.height) == (7, 5)
    assert info.has_alpha == (channels in (2, 4)) and info.is_float == (ending == ".exr")
    assert list(tmp_path.iterdir()) == [file]  # nothing temporary is left


def test_sixteen_bits_are_really_stored(tmp_path):
    write_image(tmp_path / "a.png", noise("uint16", 3))
    assert (tmp_path / "a.png").read_bytes()[24] == 16  # the bit depth in the PNG header


def test_two_dimensions_are_grey(tmp_path):
    write_image(tmp_path / "a.png", noise("uint8", 1)[:, :, 0])
    assert read_image(tmp_path / "a.png").shape == (5, 7, 1)


def test_jpeg_there_and_nearly_back(tmp_path):
    smooth = np.add.outer(np.arange(32), np.arange(48)).astype(np.uint8)
    for channels in (1, 3):
        array = np.repeat(smooth[:, :, None], channels, axis=2)
        write_image(tmp_path / "a.jpg", array)
        back = read_image(tmp_path / "a.jpg")
        assert back.shape == array.shape and back.dtype == np.uint8
        assert np.abs(back.astype(int) - array).max() < 6


def test_palettes_become_colours(tmp_path):
    image = Image.new("P", (3, 2), 1)
    image.putpalette([9, 9, 9, 10, 200, 30])
    image.save(tmp_path / "plain.png")
    image.save(tmp_path / "clear.png", transparency=1)
    assert read_image(tmp_path / "plain.png")[0, 0].tolist() == [10, 200, 30]
    assert not read_info(tmp_path / "plain.png").has_alpha
    assert read_image(tmp_path / "clear.png")[0, 0].tolist() == [10, 200, 30, 0]
    assert read_info(tmp_path / "clear.png").has_alpha


@pytest.mark.parametrize(
    ("mode", "ending", "shape"),
    [("CMYK", "jpg", 3), ("1", "png", 1), ("L", "bmp", 1), ("RGBA", "webp", 4), ("RGB", "gif", 3)],
)
def test_other_kinds_that_pillow_knows(tmp_path, mode, ending, shape):
    file = tmp_path / f"a.{ending}"
    Image.new(mode, (4, 3), 1 if mode == "1" else None).save(file)
    array = read_image(file)
    assert array.shape == (3, 4, shape) and array.dtype == np.uint8
    assert read_info(file).has_alpha == (shape == 4)


def test_an_exif_orientation_is_not_applied(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees
    Image.new("RGB", (8, 4)).save(tmp_path / "a.jpg", exif=exif)
    assert read_image(tmp_path / "a.jpg").shape == (4, 8, 3)
    info = read_info(tmp_path / "a.jpg")
    assert info.width == 8 and info.orientation == 6


@pytest.mark.parametrize("ending", ["png", "jpg", "webp", "tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_upright_is_what_viewers_show(tmp_path, ending, orientation):
    file = tmp_path / f"a.{ending}"
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = Image.fromarray(noise("uint8", 3, (16, 24)))
    image.save(file, exif=exif)
    with Image.open(file) as stored:
        right = np.asarray(ImageOps.exif_transpose(stored))
    found, info = read_upright(file)
    assert info.orientation == orientation and np.array_equal(found, right)


@pytest.mark.parametrize("value", [0, 9, 300])
def test_an_orientation_that_means_nothing_is_none(tmp_path, value):
    exif = Image.Exif()
    exif[0x0112] = value
    for name in ("a.jpg", "a.png"):
        Image.new("RGB", (8, 4)).save(tmp_path / name, exif=exif)
        assert read_info(tmp_path / name).orientation == 1


def test_damaged_exif_is_no_damage_to_the_picture(tmp_path):
    for name in ("a.jpg", "a.png"):
        Image.new("RGB", (8, 4)).save(tmp_path / name, exif=b"Exif\0\0II*\0\xff\xff\xff\xff")
        assert read_info(tmp_path / name).orientation == 1
        assert read_image(tmp_path / name).shape == (4, 8, 3)


@pytest.mark.parametrize("ending", ["gif", "webp", "png", "avif"])
def test_several_pictures_in_a_file_are_refused(tmp_path, ending):
    first, second = (Image.fromarray(noise("uint8", c, (8, 8))).convert("RGB") for c in (3, 4))
    file = tmp_path / f"a.{ending}"
    first.save(file, save_all=True, append_images=[second], duration=100)
    for read in (read_info, read_image):
        with pytest.raises(InputError, match="one image in .*animation"):
            read(file)


def test_a_photograph_with_others_behind_it_is_read_and_said(tmp_path):
    first, second = Image.new("RGB", (8, 8), "red"), Image.new("RGB", (8, 8), "blue")
    first.save(tmp_path / "a.jpg", format="MPO", save_all=True, append_images=[second])
    assert read_image(tmp_path / "a.jpg")[0, 0, 0] > 200
    (note,) = read_info(tmp_path / "a.jpg").notes
    assert "the first is read" in note


def test_a_transparent_colour_becomes_alpha(tmp_path):
    image = Image.new("L", (3, 2), 7)
    image.putpixel((1, 0), 9)
    image.save(tmp_path / "a.gif", transparency=9)
    found = read_image(tmp_path / "a.gif")
    assert found.shape[2] in (2, 4) and found[0, 0, -1] == 255 and found[0, 1, -1] == 0
    assert read_info(tmp_path / "a.gif").has_alpha


def test_one_bit_is_black_and_white(tmp_path):
    Image.new("1", (3, 2), 1).save(tmp_path / "a.png")
    Image.new("1", (3, 2), 1).save(tmp_path / "a.bmp")
    for name in ("a.png", "a.bmp"):
        assert np.array_equal(read_image(tmp_path / name), np.full((2, 3, 1), 255, np.uint8))


def test_sixteen_bits_of_netpbm_are_not_cut(tmp_path):
    (tmp_path / "a.ppm").write_bytes(b"P6 # by hand\n2 1\n65535\n" + bytes(12))
    with pytest.raises(InputError, match="up to 65535"):
        read_image(tmp_path / "a.ppm")
    (tmp_path / "a.ppm").write_bytes(b"P6 2 1 255 " + bytes(range(6)))
    assert read_image(tmp_path / "a.ppm").tolist() == [[[0, 1, 2], [3, 4, 5]]]


def test_cmyk_says_that_it_is_converted(tmp_path):
    Image.new("CMYK", (4, 3)).save(tmp_path / "a.jpg")
    assert "CMYK" in read_info(tmp_path / "a.jpg").notes[0]


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.eps"])
def test_postscript_reaches_no_other_program(tmp_path, monkeypatch, name):
    spy = tmp_path / "gs"
    spy.write_text(f"#!/bin/sh\ntouch {tmp_path}/called\n")
    spy.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    (tmp_path / name).write_bytes(
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n%%EOF\n"
    )
    for read in (read_info, read_image):
        with pytest.raises(InputError, match="isn't an image"):
            read(tmp_path / name)
    assert not (tmp_path / "called").exists()


def test_a_fifo_named_like_a_picture_does_not_hang(tmp_path):
    os.mkfifo(tmp_path / "a.png")
    for read in (read_info, read_image):
        with pytest.raises(InputError, match="FIFO"):
            read(tmp_path / "a.png")


def test_a_picture_larger_than_the_memory_is_told_before_reading(tmp_path, monkeypatch):
    Image.new("1", (9000, 12_000)).save(tmp_path / "a.png")  # decoded to 8 bits
    monkeypatch.setattr(memory, "free_memory", lambda: 100_000_000)
    with pytest.raises(InputError, match="108 MB needed, 90 MB free"):
        read_image(tmp_path / "a.png")


def test_a_bomb_is_refused_from_its_header(tmp_path):
    Image.new("1", (20_000, 20_000)).save(tmp_path / "a.png")  # 400 MB of zeros in 50 kB
    (tmp_path / "a.ppm").write_bytes(b"P6 60000 60000 255 " + bytes(99))
    for name in ("a.png", "a.ppm"):
        with pytest.raises(InputError, match="at most 268 MB of memory for the"):
            read_image(tmp_path / name)


def test_an_escape_sequence_in_a_name_is_shown(tmp_path):
    file = tmp_path / "a\x1b[2J.png"
    file.write_bytes(b"no image")
    with pytest.raises(InputError) as caught:
        read_image(file)
    assert r"a\x1b[2J.png" in str(caught.value) and len(str(caught.value)) <= LONGEST


def test_what_libpng_says_is_kept_out(tmp_path, capfd):
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png", icc_profile=b"no profile at all" * 9)
    assert read_image(tmp_path / "a.png").shape == (8, 8, 3)
    assert capfd.readouterr() == ("", "")
    os.write(2, b"later")
    assert capfd.readouterr().err == "later"


def test_a_closed_stderr_is_no_fault(capfd):
    saved = os.dup(2)
    os.close(2)
    try:
        with quiet_stderr():
            pass
    finally:
        os.dup2(saved, 2)
        os.close(saved)


def test_quiet_inside_quiet_ends_once(capfd):
    with quiet_stderr():
        with quiet_stderr():
            os.write(2, b"lost")
        os.write(2, b"lost")
    os.write(2, b"kept")
    assert capfd.readouterr().err == "kept"


def damaged(kind: str) -> bytes:
    """A file that starts well and ends early, or isn't what it says."""
    if kind == "empty":
        return b""
    if kind == "text":
        return b"not an image at all"
    if kind == "fake png":
        return b"\x89PNG\r\n\x1a\n" + b"lies" * 40
    if kind == "short png":
        return b"\x89PNG\r\n\x1a\n\0\0"
    if kind == "pointer":
        return b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 12\n"
    buffer = io.BytesIO()
    picture = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(picture).save(buffer, kind.split()[1])
    return buffer.getvalue()[: len(buffer.getvalue()) // 2]


@pytest.mark.parametrize(
    "kind", ["empty", "text", "fake png", "short png", "pointer", "cut png", "cut jpeg"]
)
def test_damaged_files_name_themselves_in_one_line(tmp_path, kind):
    file = tmp_path / "image.png"
    file.write_bytes(damaged(kind))
    with pytest.raises(InputError, match=r"image\.png") as error:
        read_image(file)
    assert "\n" not in str(error.value)


def test_a_flipped_bit_in_a_png_is_noticed(tmp_path):
    write_image(tmp_path / "a.png", noise("uint16", 3, (40, 40)))
    data = bytearray((tmp_path / "a.png").read_bytes())
    data[len(data) // 2] ^= 0xFF
    (tmp_path / "a.png").write_bytes(data)
    with pytest.raises(InputError, match="damaged"):
        read_image(tmp_path / "a.png")


def test_a_cut_exr_is_one_error_and_prints_nothing(tmp_path, capfd):
    file = tmp_path / "a.exr"
    write_image(file, noise("float32", 4, (64, 64)))
    file.write_bytes(file.read_bytes()[:9000])
    with pytest.raises(InputError, match="damaged"):
        read_image(file)
    assert capfd.readouterr() == ("", "")


def test_missing_files_and_folders(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        read_image(tmp_path / "none.png")
    with pytest.raises(InputError, match="directory"):
        read_info(tmp_path)


@pytest.mark.parametrize(
    ("name", "dtype", "channels"),
    [("a.png", "float32", 3), ("a.jpg", "uint16", 3), ("a.jpg", "uint8", 4), ("a.exr", "uint8", 3)]
    + [("a.xyz", "uint8", 3)],
)
def test_endings_that_do_not_fit_the_values(tmp_path, name, dtype, channels):
    with pytest.raises(InputError, match="another ending"):
        write_image(tmp_path / name, noise(dtype, channels))
    assert not list(tmp_path.iterdir())


def test_a_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    file = tmp_path / "a.png"
    write_image(file, noise("uint8", 3))
    before = file.read_bytes()

    def fail(array: np.ndarray, path: Path) -> None:
        path.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(png, "write_png", fail)
    with pytest.raises(OSError, match="disk full"):
        write_image(file, noise("uint8", 1))
    assert file.read_bytes() == before and list(tmp_path.iterdir()) == [file]


def test_real_pictures(data_dir):
    albert = read_image(data_dir / "image" / "albert.exr")
    assert albert.shape == (1024, 1024, 4) and albert.dtype == np.float32
    assert read_info(data_dir / "image" / "albert.exr").is_float
    lego = read_image(data_dir / "nerf_synthetic" / "lego" / "train" / "r_0.png")
    assert lego.shape == (200, 200, 4) and lego.dtype == np.uint8
    fox = data_dir / "nerf" / "fox" / "images" / "0001.jpg"
    assert np.array_equal(read_image(fox), np.asarray(Image.open(fox)))
