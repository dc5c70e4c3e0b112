"""Damage is found when a capture is opened, not when its test images are measured."""

import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from polyfield.apps import cli
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


@pytest.mark.parametrize("kind", ["png", "tif"])
def test_damage_inside_a_test_image_is_told_before_training(
    kind: str, transforms: Callable[..., Any], folder: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its header and its end are whole; only what is decoded shows it. Nothing is written."""
    content = transforms(9, w=48, h=32, cx=24, cy=16)
    pixels = np.random.default_rng(0).integers(0, 256, (32, 48, 3), dtype=np.uint8)
    for frame in content["frames"]:
        frame["file_path"] = f"{Path(frame['file_path']).stem}.{kind}"
        with Image.fromarray(pixels) as image:
            extra = {"compression": "tiff_lzw"} if kind == "tif" else {}
            image.save(folder.path / frame["file_path"], **extra)
    folder.write("transforms.json", content)
    held = folder.path / sorted(frame["file_path"] for frame in content["frames"])[0]
    held.write_bytes(DAMAGE[kind](held.read_bytes()))
    out = folder.path.parent / "run"
    assert cli.run(["fit", "scene", str(folder.path), "--steps", "2", "--out", str(out)]) == 2
    assert "damaged" in capsys.readouterr().err and not out.exists()


def _stream_without_end(content: bytes) -> bytes:
    """A PNG whose sums are right and whose compressed stream is not."""
    at = content.index(b"IDAT")
    (length,) = struct.unpack(">I", content[at - 4 : at])
    data = content[at + 4 : at + 4 + length // 2] + bytes(length - length // 2)
    total = struct.pack(">I", zlib.crc32(b"IDAT" + data))
    return content[: at + 4] + data + total + content[at + 8 + length :]


def _codes_out_of_table(content: bytes) -> bytes:
    """A TIFF whose LZW codes are not in its table."""
    return content[:8] + b"\xff" * 200 + content[208:]


DAMAGE = {"png": _stream_without_end, "tif": _codes_out_of_table}


def test_a_wrong_sum_that_no_pixel_depends_on_is_no_damage(image: Path) -> None:
    content = image.read_bytes()
    note = struct.pack(">I", 4) + b"teXt" + b"a\0bc" + struct.pack(">I", zlib.crc32(b"other"))
    image.write_bytes(content[:33] + note + content[33:])
    assert not is_sound(image)
    assert read_header(image).info.width == 30
