"""Picture files <-> arrays, in the type they are stored in.

PNG goes through imagecodecs, because Pillow cuts 16-bit colour to 8 bits. EXR goes through OpenEXR.
Everything else Pillow knows (JPEG, WebP, BMP, ...) goes through Pillow, 8 bits. An EXIF orientation
is not applied: poses of a capture belong to the pixels as they are stored.
"""

from __future__ import annotations

import contextlib
import io
import os
import struct
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from polyfield.errors import InputError
from polyfield.files import one_line, write_whole
from polyfield.scenes.color import from_float, linear_from_srgb, srgb_from_linear, to_float

__all__ = [
    "ImageInfo",
    "from_float",
    "linear_from_srgb",
    "read_image",
    "read_info",
    "srgb_from_linear",
    "to_float",
    "write_image",
]

EXTENSIONS = (".png", ".jpg", ".jpeg", ".exr", ".PNG", ".JPG", ".JPEG", ".EXR")
"""Endings tried, in this order, for a picture named without one."""

_PNG = b"\x89PNG\r\n\x1a\n"
_EXR = b"\x76\x2f\x31\x01"
_MEND_FILE = "copy or export the file again"


@dataclass(frozen=True)
class ImageInfo:
    """What the first bytes of a picture say."""

    width: int
    height: int
    has_alpha: bool
    is_float: bool


def read_info(path: str | os.PathLike[str]) -> ImageInfo:
    """Size and kind of a picture, without decoding it.

    Raises:
        InputError: no such file, or not a picture.
    """
    with _reading(path) as start:
        if start.startswith(_PNG):
            return _png_info(path, start)
        if start.startswith(_EXR):
            names, width, height = _exr_header(path)
            return ImageInfo(width, height, "A" in names, True)
        from PIL import Image

        with _pillow_limits_off(), Image.open(path) as image:
            return ImageInfo(image.width, image.height, _pillow_mode(image)[-1] == "A", False)


def read_image(path: str | os.PathLike[str]) -> np.ndarray:
    """Read a picture in its stored type.

    Args:
        path: PNG (8, 16 bits; palettes become RGB or RGBA), EXR (half, float), JPEG and what else
            Pillow reads (8 bits).

    Returns:
        [height, width, channels]: uint8, uint16, float16 or float32; 1 grey, 2 grey and alpha,
        3 RGB, 4 RGBA.

    Raises:
        InputError: no such file, not a picture, or one cut short.
    """
    with _reading(path) as start:
        if start.startswith(_PNG):
            import imagecodecs

            array = imagecodecs.png_decode(Path(path).read_bytes())
        elif start.startswith(_EXR):
            array = _read_exr(path)
        else:
            from PIL import Image

            with _pillow_limits_off(), Image.open(path) as image:
                array = np.asarray(image.convert(_pillow_mode(image)))
    return array if array.ndim == 3 else array[:, :, None]


def write_image(path: str | os.PathLike[str], array: np.ndarray) -> None:
    """Write a picture so that no half of it can ever be seen under its name.

    Args:
        path: .png (uint8, uint16), .jpg (uint8, 1 or 3 channels) or .exr (float16, float32).
        array: [height, width] or [height, width, 1-4].

    Raises:
        InputError: the ending and the type of the values don't go together.
    """
    path = Path(path)
    array = array[:, :, None] if array.ndim == 2 else array
    assert array.ndim == 3 and 1 <= array.shape[2] <= 4, array.shape
    array = np.ascontiguousarray(array)
    kind, suffix = array.dtype.name, path.suffix.lower()
    encode: Callable[[np.ndarray, Path], None]
    if suffix == ".png" and kind in ("uint8", "uint16"):
        encode = _write_png
    elif suffix in (".jpg", ".jpeg") and kind == "uint8" and array.shape[2] in (1, 3):
        encode = _write_jpeg
    elif suffix == ".exr" and kind in ("float16", "float32"):
        encode = _write_exr
    else:
        raise InputError(
            ".png for 8 or 16 bits, .jpg for 8 bits without alpha, .exr for floats",
            f"{path.name} for {array.shape[2]} channels of {kind}",
            "choose another ending",
        )
    write_whole(path, lambda temporary: encode(array, temporary))


@contextlib.contextmanager
def _reading(path: str | os.PathLike[str]) -> Iterator[bytes]:
    """The first bytes of a file; what a decoder raises becomes one InputError naming it."""
    try:
        with open(path, "rb") as file:
            start = file.read(64)
    except OSError as error:
        reason = one_line(error).lower()
        raise InputError(f"a picture at {path}", reason, "check the path") from None
    if not start:
        raise InputError(f"a picture at {path}", "an empty file", _MEND_FILE)
    try:
        yield start
    except InputError:
        raise
    except Exception as error:  # decoders raise whatever they like on damaged files
        text = one_line(error)
        known = "cannot identify" in text
        got = "a file that isn't a picture" if known else f"a damaged file ({text})"
        raise InputError(f"a picture at {path}", got, _MEND_FILE) from None


def _png_info(path: str | os.PathLike[str], start: bytes) -> ImageInfo:
    if len(start) < 33 or start[12:16] != b"IHDR":
        raise InputError(f"a picture at {path}", "a damaged file (no PNG header)", _MEND_FILE)
    width, height = struct.unpack(">II", start[16:24])
    color_type = start[25]
    # Palettes (3) and plain colours (0, 2) may be made transparent by a chunk ahead of the pixels.
    has_alpha = color_type in (4, 6) or b"tRNS" in _png_chunks_before_pixels(path)
    return ImageInfo(width, height, has_alpha, False)


def _png_chunks_before_pixels(path: str | os.PathLike[str]) -> set[bytes]:
    names: set[bytes] = set()
    with open(path, "rb") as file:
        file.seek(8)
        while len(head := file.read(8)) == 8 and head[4:] not in (b"IDAT", b"IEND"):
            names.add(head[4:])
            file.seek(int.from_bytes(head[:4], "big") + 4, os.SEEK_CUR)
    return names


@contextlib.contextmanager
def _pillow_limits_off() -> Iterator[None]:
    """Let Pillow open very large pictures without a warning: fitting those is a use of ours."""
    from PIL import Image

    limit = Image.MAX_IMAGE_PIXELS
    Image.MAX_IMAGE_PIXELS = None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        Image.MAX_IMAGE_PIXELS = limit


def _pillow_mode(image: object) -> str:
    """The 8-bit mode a Pillow image is read as."""
    from PIL import Image

    assert isinstance(image, Image.Image)
    if image.mode in ("L", "LA", "RGB", "RGBA"):
        return image.mode
    if image.mode == "1":
        return "L"
    if image.mode == "P":
        return "RGBA" if "transparency" in image.info else "RGB"
    if image.mode in ("CMYK", "YCbCr", "LAB", "HSV", "RGBX"):
        return "RGB"
    raise InputError(
        "a picture of 8 bits a channel, or 16-bit PNG, or EXR",
        f"Pillow mode {image.mode} in {Path(str(getattr(image, 'filename', ''))).name}",
        "save it as PNG or EXR",
    )


def _exr_header(path: str | os.PathLike[str]) -> tuple[list[str], int, int]:
    """Names of the channels we read, width and height."""
    import OpenEXR

    with _silence():
        header = OpenEXR.File(os.fspath(path), header_only=True).header()
    low, high = header["dataWindow"]
    names = [channel.name for channel in header["channels"]]
    return _exr_channels(names, path), int(high[0] - low[0] + 1), int(high[1] - low[1] + 1)


def _read_exr(path: str | os.PathLike[str]) -> np.ndarray:
    import OpenEXR

    with _silence():
        channels = OpenEXR.File(os.fspath(path), separate_channels=True).channels()
    planes = [channels[name].pixels for name in _exr_channels(list(channels), path)]
    if len({plane.shape for plane in planes}) > 1:
        raise InputError(
            f"channels of one size in {path}",
            "subsampled channels",
            "export it without subsampling",
        )
    dtype = np.result_type(*planes)
    return np.stack(planes, axis=-1).astype(dtype if dtype.kind == "f" else np.float32)


def _exr_channels(names: list[str], path: str | os.PathLike[str]) -> list[str]:
    """R G B or Y, with A where there is one; else the single channel."""
    for color in (["R", "G", "B"], ["Y"]):
        if all(name in names for name in color):
            return color + (["A"] if "A" in names else [])
    if len(names) == 1:
        return names
    raise InputError(
        f"channels R G B, or Y, in {path}", " ".join(sorted(names)), "export a single layer"
    )


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """OpenEXR prints complaints, from Python and C++, before it raises; the raise is enough."""
    sys.stderr.flush()
    with tempfile.TemporaryFile() as sink, contextlib.redirect_stdout(io.StringIO()):
        saved = os.dup(2)
        try:
            os.dup2(sink.fileno(), 2)
            yield
        finally:
            os.dup2(saved, 2)
            os.close(saved)


def _write_png(array: np.ndarray, path: Path) -> None:
    import imagecodecs

    path.write_bytes(imagecodecs.png_encode(array if array.shape[2] > 1 else array[:, :, 0]))


def _write_jpeg(array: np.ndarray, path: Path) -> None:
    from PIL import Image

    Image.fromarray(array if array.shape[2] == 3 else array[:, :, 0]).save(path, quality=95)


def _write_exr(array: np.ndarray, path: Path) -> None:
    import OpenEXR

    names = {1: "Y", 2: "YA", 3: "RGB", 4: "RGBA"}[array.shape[2]]
    planes = {name: np.ascontiguousarray(array[:, :, i]) for i, name in enumerate(names)}
    header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
    with _silence():
        OpenEXR.File(header, planes).write(os.fspath(path))
