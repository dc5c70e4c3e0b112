"""Picture files: every type there and back, and files that only look like pictures."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from polyfield.errors import InputError
from polyfield.scenes import png
from polyfield.scenes.images import read_image, read_info, write_image


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
    file = tmp_path / f"picture{ending}"
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
    assert read_info(tmp_path / "a.jpg").width == 8


def damaged(kind: str) -> bytes:
    """A file that starts well and ends early, or isn't what it says."""
    if kind == "empty":
        return b""
    if kind == "text":
        return b"not a picture at all"
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
    file = tmp_path / "picture.png"
    file.write_bytes(damaged(kind))
    with pytest.raises(InputError, match=r"picture\.png") as error:
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
