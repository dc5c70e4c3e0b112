"""Damage is found when a capture is opened, not when its test images are measured."""

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest

from polyfield.errors import InputError
from polyfield.scenes.formats.headers import read_header
from polyfield.scenes.images import write_image
from polyfield.scenes.png import is_sound


@pytest.fixture
def image(tmp_path: Path) -> Path:
    pixels = np.random.default_rng(0).integers(0, 256, (20, 30, 3), dtype=np.uint8)
    write_image(tmp_path / "x.png", pixels)
    return tmp_path / "x.png"


def test_a_png_with_a_byte_changed_in_its_middle(image: Path) -> None:
    assert is_sound(image)
    read_header(image)
    content = bytearray(image.read_bytes())
    content[len(content) // 2] ^= 4
    image.write_bytes(content)
    assert not is_sound(image)
    with pytest.raises(InputError, match="damaged"):
        read_header(image)


def test_a_wrong_sum_that_no_pixel_depends_on_is_no_damage(image: Path) -> None:
    content = image.read_bytes()
    note = struct.pack(">I", 4) + b"teXt" + b"a\0bc" + struct.pack(">I", zlib.crc32(b"other"))
    image.write_bytes(content[:33] + note + content[33:])
    assert not is_sound(image)
    assert read_header(image).info.width == 30
