"""HEIC and HEIF, as telephones store photographs: through pillow-heif (the extra `capture`).

10 and 12 bits come as 16. The decoder applies the turns and mirrors that the file asks for, so
that pixels are upright and there is no EXIF orientation left.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from polyfield.errors import MissingBackend, shown
from polyfield.scenes.image_info import AnyPath, ImageInfo, several, unsupported

_BRANDS = frozenset(b"heic heix heim heis hevc hevx mif1 msf1 mif2".split())
"""Words with which such files begin; AVIF, which Pillow reads, has its own."""
_CHANNELS = {"L": 1, "RGB": 3, "RGBA": 4}


def is_heic(start: bytes) -> bool:
    """Whether a file that begins so is one."""
    if start[4:8] != b"ftyp":
        return False
    length = min(int.from_bytes(start[:4], "big"), len(start))
    brands = {start[8:12], *(start[at : at + 4] for at in range(16, length - 3, 4))}
    return start[8:12] in _BRANDS and b"avif" not in brands


def heic_info(path: AnyPath) -> ImageInfo:
    """What the boxes ahead of the pixels say.

    Raises:
        MissingBackend: pillow-heif is not installed.
        InputError: several images, or one of a kind that would lose bits.
    """
    image = _opened(path)
    mode, _, bits = str(image.mode).partition(";")
    if len(image) > 1:
        raise several(path, f"{len(image)} images")
    if mode not in _CHANNELS:
        raise unsupported(path, f"HEIC in mode {image.mode}")
    width, height = image.size
    channels = _CHANNELS[mode]
    return ImageInfo(
        width,
        height,
        has_alpha=mode == "RGBA",
        is_float=False,
        channels=channels,
        decoded=width * height * channels * (4 if bits else 2),
    )


def read_heic(path: AnyPath) -> np.ndarray:
    """All pixels, uint8 or uint16 [h, w] or [h, w, 3-4]; whole numbers with alpha are straight.

    Raises:
        MissingBackend: pillow-heif is not installed.
        InputError: as `heic_info`.
    """
    image = _opened(path)
    if image.premultiplied_alpha:
        raise unsupported(path, "HEIC with premultiplied alpha")
    return np.asarray(image)


def _opened(path: AnyPath) -> Any:
    """A file whose pixels are decoded when they are asked for.

    Raises:
        MissingBackend: pillow-heif is not installed.
    """
    try:
        import pillow_heif
    except ImportError:
        raise MissingBackend(
            f"pillow-heif for {shown(path)}",
            "not installed",
            'pip install "polyfield[capture]", or save it as JPEG or PNG',
        ) from None
    return pillow_heif.open_heif(Path(os.fspath(path)), convert_hdr_to_8bit=False)
