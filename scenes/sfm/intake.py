"""Photographs and frames of a video -> images of the new capture, and copies to find features in.

An image is copied byte by byte where that will do. One that EXIF says is turned, that is to be
shrunk or is of a kind that few programs read, is decoded and stored anew.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from polyfield.errors import InputError, shown
from polyfield.memory import check_memory
from polyfield.scenes.color import from_float, straight, to_float
from polyfield.scenes.images import read_image, upright, write_image
from polyfield.scenes.sfm.config import Sfm
from polyfield.scenes.sfm.photographs import Photograph
from polyfield.scenes.sfm.video import Frame

IMAGES, MASKS = "images", "masks"
"""Folders of the new capture."""
_KEPT = (".png", ".jpg", ".jpeg")
"""Endings that every program reads: such files are copied."""
Count = Callable[[int, int], None]


@dataclass(frozen=True)
class Prepared:
    """An image of the new capture."""

    name: str
    """Of its source, for reports."""
    image: str
    """Where it is below the capture."""
    size: tuple[int, int]
    """Width and height, pixels."""
    copy: str
    """Name of what features are looked for in."""
    copy_size: tuple[int, int]
    mask: str | None
    """Where its mask is below the capture."""
    focal: float | None
    """Focal length by EXIF, pixels of the image."""
    device: str
    """What it was taken with, in EXIF's words."""


@dataclass(frozen=True)
class Places:
    """Folders that images are written to."""

    capture: Path
    """The new capture, not yet whole."""
    copies: Path
    """What features are looked for in."""
    copy_masks: Path
    """Masks of those, by the names that COLMAP expects."""

    def make(self) -> None:
        """Make those that are not there."""
        for place in (self.capture, self.copies, self.copy_masks):
            place.mkdir(parents=True, exist_ok=True)


def take_photographs(
    photographs: Sequence[Photograph], places: Places, config: Sfm, count: Count
) -> list[Prepared]:
    """Put photographs into a new capture.

    Args:
        photographs: at least one.
        places: where to.
        config: `max_side`, `feature_side` and `masks` apply.
        count: called with how many are done, and how many there are.

    Raises:
        InputError: an image or a mask can't be read, or a mask is missing or of another size.
    """
    found = []
    for i, photograph in enumerate(photographs):
        count(i, len(photographs))
        found.append(_take(photograph, i, places, config))
    return found


def take_frames(frames: Iterable[Frame], places: Places, config: Sfm) -> list[Prepared]:
    """Put frames of a video into a new capture, as JPEG."""
    found = []
    for i, frame in enumerate(frames):
        name = f"frame_{i + 1:05d}.jpg"
        array = fitted(frame.pixels, config.max_side)
        _store(places.capture / IMAGES / name, array)
        copy = _copy(places, i, array, config)
        found.append(
            Prepared(
                name=f"{name} (frame {frame.number} of the video)",
                image=f"{IMAGES}/{name}",
                size=(array.shape[1], array.shape[0]),
                copy=copy[0],
                copy_size=copy[1],
                mask=None,
                focal=None,
                device="video",
            )
        )
    return found


def _take(photograph: Photograph, index: int, places: Places, config: Sfm) -> Prepared:
    size = (photograph.width, photograph.height)
    final = size_within(size, config.max_side)
    suffix = photograph.path.suffix.lower()
    as_it_is = photograph.orientation == 1 and final == size and suffix in _KEPT
    array: np.ndarray | None = None
    if as_it_is:
        target = places.capture / IMAGES / _plain(photograph.name, index)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(photograph.path, target)
    else:
        array = fitted(
            upright(read_image(photograph.path), photograph.orientation), config.max_side
        )
        # The old ending is kept in the name: a.webp and a.png may lie side by side.
        name = _plain(photograph.name, index)
        ending = _ending(array, suffix)
        target = places.capture / IMAGES / (name if suffix == ending else name + ending)
        _store(target, array)
    if as_it_is and photograph.depth == 1 and max(size) <= config.feature_side:
        copy, copy_size = f"{index:06d}{suffix}", size
        _link(target, places.copies / copy)
    else:
        copy, copy_size = _copy(
            places, index, read_image(target) if array is None else array, config
        )
    mask = None
    if config.masks is not None:
        mask = _take_mask(photograph, target, Path(config.masks), places, final)
        _store_copy_mask(places, mask, copy, copy_size)
    return Prepared(
        name=photograph.name,
        image=target.relative_to(places.capture).as_posix(),
        size=final,
        copy=copy,
        copy_size=copy_size,
        mask=mask,
        focal=None if photograph.focal is None else photograph.focal * final[0] / size[0],
        device=photograph.device,
    )


def size_within(size: tuple[int, int], side: int) -> tuple[int, int]:
    """Width and height with the longer one at most `side`; 0 is no limit."""
    if not side or max(size) <= side:
        return size
    scale = side / max(size)
    return max(round(size[0] * scale), 1), max(round(size[1] * scale), 1)


def fitted(array: np.ndarray, side: int) -> np.ndarray:
    """An image shrunk to a longest side, in its type; colours with alpha are weighed by it.

    Args:
        array: [h, w, c]; whole numbers with straight alpha, floats multiplied by it.
        side: pixels; 0 is no limit.
    """
    height, width = array.shape[:2]
    size = size_within((width, height), side)
    if size == (width, height):
        return array
    check_memory(f"shrinking {width}x{height} pixels", array.size * 12, "shrink them before")
    values = to_float(array)
    weighed = array.shape[2] in (2, 4) and array.dtype.kind != "f"
    if weighed:
        values[..., :-1] *= values[..., -1:]
    stack = torch.from_numpy(np.ascontiguousarray(values.transpose(2, 0, 1)))[None]
    small = torch.nn.functional.interpolate(stack, (size[1], size[0]), mode="area")[0]
    values = small.numpy().transpose(1, 2, 0)
    return from_float(straight(values) if weighed else values, array.dtype)


def _store(target: Path, array: np.ndarray) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    write_image(target, array)


def _ending(array: np.ndarray, suffix: str) -> str:
    """What an image is stored as: JPEG stays JPEG, floats EXR, all else PNG."""
    if array.dtype.kind == "f":
        return ".exr"
    is_jpeg = suffix in (".jpg", ".jpeg") and array.dtype == np.uint8 and array.shape[2] in (1, 3)
    return suffix if is_jpeg else ".png"


def _plain(name: str, index: int) -> str:
    """A name that JSON can hold: as it is, else a number."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return f"image_{index + 1:05d}{Path(name).suffix.lower()}"
    return name


def _copy(
    places: Places, index: int, array: np.ndarray, config: Sfm
) -> tuple[str, tuple[int, int]]:
    """Store what features are looked for in: 8-bit RGB or grey of a bounded size."""
    small = fitted(array, config.feature_side)
    if small.dtype != np.uint8:
        values = to_float(small)
        if small.dtype.kind == "f":  # linear light: roughly as a screen would show it
            values = np.clip(values / max(float(np.quantile(values, 0.99)), 1e-6), 0, 1) ** 0.45
        small = from_float(values, np.uint8)
    channels = small.shape[2]
    small = small[..., :1] if channels < 3 else small[..., :3]
    name = f"{index:06d}.png"
    write_image(places.copies / name, np.ascontiguousarray(small))
    return name, (small.shape[1], small.shape[0])


def _link(source: Path, target: Path) -> None:
    """The same file under another name, without a second copy where the disk can do that."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _take_mask(
    photograph: Photograph, target: Path, masks: Path, places: Places, size: tuple[int, int]
) -> str:
    """Store the mask of an image at the image's size, black and white; its place in the capture."""
    stem = Path(photograph.name).with_suffix("").as_posix()
    candidates = [masks / f"{photograph.name}.png", masks / f"{stem}.png"]
    path = next((candidate for candidate in candidates if candidate.is_file()), None)
    if path is None:
        raise InputError(
            f"a mask for each image in {shown(masks)}",
            f"none for {photograph.name}",
            f"name it {Path(photograph.name).name}.png",
        )
    mask = read_image(path)
    stored = (photograph.height, photograph.width)
    if photograph.orientation >= 5 and mask.shape[:2] == stored[::-1] != stored:
        mask = upright(mask, photograph.orientation)
    if mask.shape[:2] != stored:
        raise InputError(
            f"a mask of {stored[1]}x{stored[0]} pixels, as its image, at {shown(path)}",
            f"{mask.shape[1]}x{mask.shape[0]}",
            "make it as large as its image",
        )
    white = (mask[..., : 1 if mask.shape[2] < 3 else 3] > 0).any(-1)
    name = f"{MASKS}/{target.relative_to(places.capture / IMAGES).as_posix()}.png"
    _store(places.capture / name, _nearest(np.where(white, np.uint8(255), np.uint8(0)), size))
    return name


def _store_copy_mask(places: Places, mask: str, copy: str, size: tuple[int, int]) -> None:
    array = read_image(places.capture / mask)[..., 0]
    write_image(places.copy_masks / f"{copy}.png", _nearest(array, size))


def _nearest(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """A mask at another size, each pixel the one that lies below its middle."""
    width, height = size
    rows = (np.arange(height) * 2 + 1) * mask.shape[0] // (2 * height)
    columns = (np.arange(width) * 2 + 1) * mask.shape[1] // (2 * width)
    return np.ascontiguousarray(mask[rows][:, columns])
