"""Sizes of images in words."""

from __future__ import annotations

import re

from polyfield.errors import InputError

LARGEST = 65536
"""Pixels along an edge."""


def image_size(text: str | None) -> tuple[int, int] | None:
    """Width and height of a size such as 640x480; None for None.

    Raises:
        InputError: not such words, or a size that can't be.
    """
    if text is None:
        return None
    found = re.fullmatch(r"(\d{1,5})x(\d{1,5})", text)
    width, height = (int(found[1]), int(found[2])) if found else (0, 0)
    if not (0 < width <= LARGEST and 0 < height <= LARGEST):
        raise InputError("--size WxH in pixels", repr(text[:40]), "give for instance 640x480")
    return width, height
