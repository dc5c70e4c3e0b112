"""HEIC: pixels of 8 and 10 bits, turned as the file asks; without pillow-heif, one line."""

import builtins
from pathlib import Path

import numpy as np
import pytest

from polyfield.errors import MissingBackend
from polyfield.scenes.heic import is_heic
from polyfield.scenes.images import read_image, read_info, read_upright


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A picture of four flat corners."""
    pillow_heif = pytest.importorskip("pillow_heif")
    from PIL import Image

    image = Image.fromarray(_corners().repeat(32, 0).repeat(32, 1))
    exif = Image.Exif()
    exif[0x0112] = 6
    found = pillow_heif.from_pillow(image)
    found.info["exif"] = exif.tobytes()
    found.save(tmp_path / "a.heic", quality=-1)
    return tmp_path / "a.heic"


def _corners() -> np.ndarray:
    return np.array([[(250, 10, 10), (10, 240, 10)], [(10, 10, 230), (200, 200, 10)]], np.uint8)


def test_a_photograph_of_a_telephone(file: Path) -> None:
    info = read_info(file)
    array = read_image(file)
    assert array.shape == (info.height, info.width, 3) == (64, 64, 3)
    assert info.orientation == 1 and np.array_equal(read_upright(file)[0], array)
    middles = array[16::32, 16::32].astype(int)
    wanted = [np.rot90(_corners(), turn).astype(int) for turn in range(4)]
    assert min(abs(middles - corner).max() for corner in wanted) < 20


def test_ten_bits_come_as_sixteen(tmp_path: Path) -> None:
    pillow_heif = pytest.importorskip("pillow_heif")
    ramp = np.linspace(0, 65535, 64).astype(np.uint16)
    array = np.ascontiguousarray(np.broadcast_to(ramp[None, :, None], (64, 64, 3)))
    found = pillow_heif.from_bytes("RGB;16", (64, 64), array.tobytes())
    found.save(tmp_path / "a.heic", quality=-1)
    back = read_image(tmp_path / "a.heic")
    assert back.dtype == np.uint16
    assert abs(back.astype(int) - array).max() < 2000
    assert len(np.unique(back)) > 60


def test_without_the_package_one_line_names_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name == "pillow_heif":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    (tmp_path / "a.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(40))
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(MissingBackend, match=r"polyfield\[capture\]") as error:
        read_image(tmp_path / "a.heic")
    assert "\n" not in str(error.value)


def test_which_files_they_are() -> None:
    assert is_heic(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
    assert is_heic(b"\0\0\0\x18ftypmif1\0\0\0\0mif1heic")
    assert not is_heic(b"\0\0\0\x1cftypmif1\0\0\0\0mif1avifmiaf")
    assert not is_heic(b"\0\0\0\x18ftypavif\0\0\0\0mif1avif")
    assert not is_heic(b"\xff\xd8\xff" + bytes(40)) and not is_heic(b"")
