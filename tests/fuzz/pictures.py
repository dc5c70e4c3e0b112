"""Pictures of every format a user may have, good ones and damaged ones."""

from __future__ import annotations

import functools
import io
import os
import struct
import tempfile
import zlib
from pathlib import Path

import numpy as np
from case import Entry, Fifo, Folder, Link
from hostile import WORDS, damaged
from hypothesis import strategies as st
from PIL import Image

SIZE = (10, 8)
"""Width and height of most."""

POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 8\nshowpage\n"
SVG = b'<svg xmlns="http://www.w3.org/2000/svg" width="10" height="8"/>'
TEXTS = (b"", b"no picture", b"\x89PNG\r\n\x1a\n", b"v/1\x01", POSTSCRIPT, SVG, b"%PDF-1.4\n")


def noise(width: int, height: int, channels: int, kind: str = "uint8", seed: int = 0) -> np.ndarray:
    """Pixels [height, width, channels], alpha with holes."""
    rng = np.random.default_rng(seed)
    values = rng.random((height, width, channels))
    if channels in (2, 4):
        values[..., -1] = rng.random((height, width)) > 0.3
    top = {"uint8": 255, "uint16": 65535}.get(kind, 1)
    return (values * top).astype(kind)


def _pillow(array: np.ndarray, form: str, mode: str | None = None, **options: object) -> bytes:
    image = Image.fromarray(array if array.ndim == 3 and array.shape[2] > 1 else array.squeeze())
    stream = io.BytesIO()
    (image if mode is None else image.convert(mode)).save(stream, form, **options)
    return stream.getvalue()


def png(array: np.ndarray) -> bytes:
    """8 or 16 bits a channel."""
    import imagecodecs

    return bytes(imagecodecs.png_encode(array if array.shape[2] > 1 else array[:, :, 0]))


def exr(array: np.ndarray, names: str = "", header: dict[str, object] | None = None) -> bytes:
    """Half, float or uint, with the channels named."""
    import OpenEXR

    names = names or {1: "Y", 2: "YA", 3: "RGB", 4: "RGBA"}[array.shape[2]]
    planes = {n: np.ascontiguousarray(array[:, :, i]) for i, n in enumerate(names)}
    about = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.exr"
        OpenEXR.File({**about, **(header or {})}, planes).write(os.fspath(path))
        return path.read_bytes()


def bomb(width: int, height: int, color_type: int = 2) -> bytes:
    """A PNG of any size that is small as a file, its pixels all black, or not all there."""
    head = struct.pack(">IIBBBBB", width, height, 8, color_type, 0, 0, 0)
    row = 1 + width * {0: 1, 2: 3, 6: 4}[color_type]
    packed = zlib.compress(bytes(min(row * height, 1 << 24)), 9)
    return (
        b"\x89PNG\r\n\x1a\n"
        + _chunk(b"IHDR", head)
        + _chunk(b"IDAT", packed)
        + _chunk(b"IEND", b"")
    )


def _chunk(name: bytes, content: bytes) -> bytes:
    crc = zlib.crc32(name + content)
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", crc)


@functools.cache
def gallery() -> dict[str, bytes]:
    """Good pictures by a name for what they are; the ending comes after the last dot."""
    w, h = SIZE
    rgb, rgba, grey, both = (noise(w, h, n) for n in (3, 4, 1, 2))
    exif = Image.Exif()
    exif[0x0112] = 6
    frames = [Image.fromarray(noise(w, h, 3, seed=i)) for i in range(3)]

    def several(form: str) -> bytes:
        stream = io.BytesIO()
        frames[0].save(stream, form, save_all=True, append_images=frames[1:])
        return stream.getvalue()

    nan = noise(w, h, 3, "float32")
    nan[2, 3, 1] = np.nan
    big = noise(w, h, 3, "float32") * np.float32(1e38)
    return {
        "rgb.png": png(rgb),
        "rgba.png": png(rgba),
        "grey.png": png(grey),
        "greyalpha.png": png(both),
        "deep.png": png(noise(w, h, 3, "uint16")),
        "deepalpha.png": png(noise(w, h, 4, "uint16")),
        "palette.png": _pillow(rgb, "PNG", "P"),
        "bits.png": _pillow(rgb, "PNG", "1"),
        "apng.png": several("PNG"),
        "one.png": png(noise(1, 1, 3)),
        "row.png": png(noise(40, 1, 3)),
        "column.png": png(noise(1, 40, 4)),
        "black.png": png(np.zeros((h, w, 3), np.uint8)),
        "clear.png": png(np.zeros((h, w, 4), np.uint8)),
        "rgb.jpg": _pillow(rgb, "JPEG"),
        "grey.jpg": _pillow(grey, "JPEG"),
        "cmyk.jpg": _pillow(rgb, "JPEG", "CMYK"),
        "turned.jpg": _pillow(rgb, "JPEG", exif=exif),
        "progressive.jpg": _pillow(rgb, "JPEG", progressive=True),
        "half.exr": exr(noise(w, h, 3, "float16")),
        "float.exr": exr(noise(w, h, 4, "float32")),
        "grey.exr": exr(noise(w, h, 1, "float32")),
        "depth.exr": exr(noise(w, h, 1, "float32"), "Z"),
        "uint.exr": exr(noise(w, h, 3, "uint8").astype(np.uint32)),
        "nan.exr": exr(nan),
        "big.exr": exr(big),
        "negative.exr": exr(-noise(w, h, 3, "float32")),
        "infinite.exr": exr(np.full((h, w, 3), np.inf, np.float16)),
        "odd.exr": exr(noise(w, h, 4, "float32"), "RGBX"),
        "rgb.tif": _pillow(rgb, "TIFF"),
        "lzw.tif": _pillow(rgba, "TIFF", compression="tiff_lzw"),
        "deep.tif": _pillow(noise(w, h, 1, "uint16"), "TIFF"),
        "float.tif": _pillow(noise(w, h, 1, "float32"), "TIFF"),
        "pages.tif": several("TIFF"),
        "rgb.webp": _pillow(rgb, "WEBP"),
        "moving.webp": several("WEBP"),
        "rgb.bmp": _pillow(rgb, "BMP"),
        "moving.gif": several("GIF"),
        "rgb.ppm": _pillow(rgb, "PPM"),
        "rgb.tga": _pillow(rgb, "TGA"),
        "rgb.ico": _pillow(rgb, "ICO"),
        "rgb.jp2": _pillow(rgb, "JPEG2000"),
        "rgb.pcx": _pillow(rgb, "PCX"),
        "rgb.dds": _pillow(rgba, "DDS"),
    }


@st.composite
def header_changed(draw: st.DrawFn, content: bytes) -> bytes:
    """A PNG whose header says something else, with sums that are right again."""
    data = bytearray(content)
    if data[:4] != b"\x89PNG" or len(data) < 33:
        return draw(damaged(content))
    sizes = (0, 1, 7, 9, 1000, 20_000, 65_535, 2**24, 2**31 - 1, 2**32 - 1)
    for at in (16, 20):
        if draw(st.booleans()):
            data[at : at + 4] = struct.pack(">I", draw(st.sampled_from(sizes)))
    for at, choices in ((24, (1, 2, 4, 8, 16, 3, 0, 255)), (25, (0, 2, 3, 4, 6, 1, 255))):
        if draw(st.booleans()):
            data[at] = draw(st.sampled_from(choices))
    if draw(st.booleans()):
        data[26 + draw(st.integers(0, 2))] = draw(st.sampled_from((0, 1, 255)))
    data[29:33] = struct.pack(">I", zlib.crc32(bytes(data[12:29])))
    if draw(st.integers(0, 3)) == 0:
        data[33:33] = _chunk(
            draw(st.sampled_from((b"tRNS", b"PLTE", b"gAMA", b"eXIf", b"iCCP", b"zTXt", b"cHRM"))),
            draw(
                st.sampled_from((b"", b"\0" * 6, b"x\0\0" + zlib.compress(b"x" * 99), *WORDS[:4]))
            ),
        )
    return bytes(data)


@st.composite
def picture(draw: st.DrawFn, bad: bool = True) -> tuple[str, Entry]:
    """The ending it has, and what is there: a picture, one damaged, or no picture at all."""
    names = sorted(gallery())
    name = draw(st.sampled_from(names))
    content = gallery()[name]
    ending = name.rpartition(".")[2]
    how = draw(st.integers(0, 11)) if bad else 11
    if how <= 3:
        return ending, draw(damaged(content))
    if how <= 5:
        return ending, draw(header_changed(content))
    if how == 6:
        return draw(st.sampled_from(("png", "jpg", "exr", "tif", "PNG", "x", ""))), content
    if how == 7:
        return "png", draw(st.sampled_from(TEXTS))
    if how == 8:
        others = (Folder(), Fifo(), Link("nowhere"), Link("/dev/zero"), Link("/dev/null"))
        return ending, draw(st.sampled_from((*others, Link("/proc/self/mem"), Link("x.png"))))
    if how == 9:
        big = st.sampled_from((1, 3000, 20_000, 60_000, 2**31 - 1))
        return "png", bomb(draw(big), draw(st.sampled_from((1, 3000, 20_000, 2**31 - 1))), 2)
    return ending, content
