"""OpenEXR <-> arrays: one flat image of R G B or Y, with or without A, in its display window.

What is stored beside it (other channels, other parts) is named; what can't be read without a loss
(luminance with chroma, subsampled or whole-number channels, deep pixels) is refused.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from polyfield.errors import InputError, shown, terse
from polyfield.files import plain_name
from polyfield.quiet import quiet_stderr
from polyfield.scenes.image_info import AnyPath, ImageInfo, several

MAGIC = b"\x76\x2f\x31\x01"
_COLORS = (["R", "G", "B"], ["Y"])


@dataclass(frozen=True)
class _Window:
    """A rectangle of pixels, upper left corner included, lower right one not."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.bottom - self.top, self.right - self.left


@dataclass(frozen=True)
class _Layout:
    """Where in the file the image is."""

    part: int
    channels: list[str]
    data: _Window
    display: _Window
    notes: tuple[str, ...]
    bytes_read: int


def exr_info(path: AnyPath) -> ImageInfo:
    """What the headers say.

    Raises:
        InputError: no image that can be read without a loss.
    """
    layout = _layout(path)
    height, width = layout.display.size
    channels = len(layout.channels)
    return ImageInfo(
        width,
        height,
        has_alpha="A" in layout.channels,
        is_float=True,
        channels=channels,
        decoded=layout.bytes_read + 4 * height * width * channels,
        notes=layout.notes,
    )


def read_exr(path: AnyPath) -> np.ndarray:
    """The image in its display window, [h, w, c] of float16 or float32; 0 outside its data.

    Raises:
        InputError: as `exr_info`.
    """
    import OpenEXR

    layout = _layout(path)
    with _silence(), plain_name(path) as name:
        part = OpenEXR.File(name, separate_channels=True).parts[layout.part]
        planes = [part.channels[name].pixels for name in layout.channels]
    if any(plane.dtype.kind != "f" for plane in planes):
        expected = f"half or float channels in {shown(path)}"
        raise InputError(expected, "whole numbers (uint)", "export it as half or float")
    stored = np.stack(planes, axis=-1).astype(np.result_type(*planes), copy=False)
    if layout.data == layout.display:
        return stored
    data, display = layout.data, layout.display
    placed = np.zeros((*display.size, stored.shape[2]), stored.dtype)
    left, right = max(data.left, display.left), min(data.right, display.right)
    top, bottom = max(data.top, display.top), min(data.bottom, display.bottom)
    if left < right and top < bottom:
        rows = slice(top - display.top, bottom - display.top)
        columns = slice(left - display.left, right - display.left)
        placed[rows, columns] = stored[
            top - data.top : bottom - data.top, left - data.left : right - data.left
        ]
    return placed


def write_exr(array: np.ndarray, path: Path) -> None:
    """Write [h, w, 1-4] of float16 or float32, compressed without loss."""
    import OpenEXR

    names = {1: "Y", 2: "YA", 3: "RGB", 4: "RGBA"}[array.shape[2]]
    planes = {name: np.ascontiguousarray(array[:, :, i]) for i, name in enumerate(names)}
    header = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
    with _silence(), plain_name(path) as name:
        OpenEXR.File(header, planes).write(name)


def _layout(path: AnyPath) -> _Layout:
    import OpenEXR

    with _silence(), plain_name(path) as name:
        parts = OpenEXR.File(name, header_only=True).parts
        headers = [dict(part.header) for part in parts]
        names = [str(header.get("name", number)) for number, header in enumerate(headers)]
    if any(h["type"] in (OpenEXR.deepscanline, OpenEXR.deeptile) for h in headers):
        got = "deep pixels, several samples each"
        raise InputError(f"a flat image in {shown(path)}", got, "flatten it")
    stored = [[channel.name for channel in header["channels"]] for header in headers]
    colored = [i for i, names_ in enumerate(stored) if _color(names_)]
    if len(colored) > 1:
        raise several(path, f"{len(colored)} parts with colours")
    if not colored and len(headers) > 1:
        raise InputError(
            f"a part with R G B, or Y, in {shown(path)}", f"parts {', '.join(names)}", "add one"
        )
    part = colored[0] if colored else 0
    channels = _channels(stored[part], path)
    for channel in headers[part]["channels"]:
        if channel.name in channels and (channel.xSampling, channel.ySampling) != (1, 1):
            raise _subsampled(path)
    data, display = _window(headers[part], "dataWindow"), _window(headers[part], "displayWindow")
    if min(*data.size, *display.size) < 1:
        raise InputError(f"an image with pixels in {shown(path)}", "an empty window", "mend it")
    bytes_read = sum(
        4 * len(header["channels"]) * height * width
        for header in headers
        for height, width in [_window(header, "dataWindow").size]
    )
    notes = [*_left_out(stored[part], channels, path), *_other_parts(names, part, path)]
    if not (
        display.left <= data.left < data.right <= display.right
        and display.top <= data.top < data.bottom <= display.bottom
    ):
        notes.append(f"of {shown(path)}, what lies outside its display window is not read")
    return _Layout(part, channels, data, display, tuple(map(terse, notes)), bytes_read)


def _window(header: dict[str, Any], key: str) -> _Window:
    low, high = ([int(value) for value in corner] for corner in header[key])
    return _Window(low[0], low[1], high[0] + 1, high[1] + 1)


def _color(names: list[str]) -> list[str]:
    """R G B or Y, whichever is there first; empty where neither is."""
    return next((color for color in _COLORS if all(name in names for name in color)), [])


def _channels(names: list[str], path: AnyPath) -> list[str]:
    """R G B or Y, with A where there is one; else the single channel."""
    if "RY" in names or "BY" in names:
        raise InputError(
            f"channels R G B, or Y, in {shown(path)}",
            "luminance and chroma (Y RY BY)",
            "export it as R G B",
        )
    if color := _color(names):
        return color + (["A"] if "A" in names else [])
    if len(names) == 1:
        return names
    raise InputError(
        f"channels R G B, or Y, in {shown(path)}",
        " ".join(sorted(names)),
        "export a single layer",
    )


def _left_out(names: list[str], channels: list[str], path: AnyPath) -> list[str]:
    rest = [name for name in names if name not in channels]
    if not rest:
        return []
    return [f"of {shown(path)}, channels {' '.join(channels)} are read, not {' '.join(rest)}"]


def _other_parts(names: list[str], part: int, path: AnyPath) -> list[str]:
    rest = [name for number, name in enumerate(names) if number != part]
    if not rest:
        return []
    return [f"of {shown(path)}, part {names[part]} is read, not {' '.join(rest)}"]


def _subsampled(path: AnyPath) -> InputError:
    expected = f"channels of one size in {shown(path)}"
    return InputError(expected, "subsampled channels", "export it without subsampling")


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """OpenEXR prints complaints, from Python and C++, before it raises; the raise is enough."""
    with quiet_stderr(), contextlib.redirect_stdout(io.StringIO()):
        yield
