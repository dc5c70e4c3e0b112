"""What posed-image formats share: reading JSON, listing frames with their images, views."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from polyfield.errors import InputError
from polyfield.files import read_json
from polyfield.scenes.base import ReadOptions
from polyfield.scenes.cameras import Camera, Cameras
from polyfield.scenes.color import block_mean
from polyfield.scenes.formats.depth_keys import depth_image, names_depth
from polyfield.scenes.formats.headers import Header, memory_needed
from polyfield.scenes.formats.keys import TRANSPARENT, Keys
from polyfield.scenes.formats.listing import Listed, find_images
from polyfield.scenes.formats.masks import Mask, check_shared
from polyfield.scenes.formats.pictures import Pictures
from polyfield.scenes.formats.pixels import PixelFacts
from polyfield.scenes.formats.posed import Views
from polyfield.scenes.formats.times import at_time, times_of
from polyfield.scenes.images import read_image
from polyfield.scenes.similarity import Similarity


@dataclass(frozen=True)
class FrameList:
    """The frames of a file."""

    listed: list[Listed]
    """Those with an image on disk, in the file's order."""
    missing: list[str] = field(default_factory=list)
    """Names of the images of the others."""
    warnings: list[str] = field(default_factory=list)
    """One line each."""


@dataclass(frozen=True, eq=False)
class PosedImage:
    """An image on disk and the camera that took it."""

    name: str
    """Its name in reports."""
    image: Path
    """The image on disk."""
    camera: Camera
    """At the image's full size."""
    header: Header
    """What the image's file says before it is decoded."""
    transparent: tuple[str, ...] = ()
    """Which of `TRANSPARENT` hold for it."""
    mask: Mask | None = None
    """Which of its pixels count; None for all."""
    depth: Path | None = None
    """Its depth image: 16-bit, float or half."""
    depth_scale: float = 1.0
    """What its values are multiplied by: world units."""
    time: float | None = None
    """When it was taken, where the data says so."""


def read_object(path: Path) -> dict[str, object]:
    """A JSON file whose outermost value is an object.

    Raises:
        InputError: it can't be read or isn't such a file; the line is in the message.
    """
    value = read_json(path)
    if not isinstance(value, dict):
        raise InputError(
            f"a JSON object with frames in {path}", "another kind of value", "check the file"
        )
    return value


def list_frames(
    content: Mapping[str, object],
    path: Path,
    options: ReadOptions,
    keys: Keys,
    optional: bool = False,
) -> FrameList:
    """The frames of a parsed file that have an image on disk; each image's header is read.

    Args:
        content: the file, parsed.
        path: where it lies; image names are relative to its folder.
        options: `strict` makes a missing image an error.
        keys: those of the format.
        optional: no frames, or none with an image, is a warning and no error.

    Raises:
        InputError: no frames, a frame without an image name, a key that changes the meaning, a
            damaged image, or too many missing ones.
    """
    frames = content.get("frames")
    if optional and frames == []:
        return FrameList([], [], [f"{path} has no frames: taken as no split"])
    if not isinstance(frames, list) or not frames:
        raise InputError(
            f'a list "frames" with at least one view in {path}',
            "zero views" if isinstance(frames, list) or frames is None else "something else",
            "check that the export finished",
        )
    for i, frame in enumerate(frames):
        _name(frame, i, path)
    frames = at_time(frames, options, path, optional)
    names = [_name(frame, i, path) for i, frame in enumerate(frames)]
    warnings = keys.check(content, frames, path)
    check_shared(content, path)
    if optional and not frames:
        return FrameList([], [], [f"{path} has no frames at that time: taken as no split"])
    search = find_images(names, path.parent, path, options, optional, frames)
    pictures = Pictures(path.parent, options.allow_outside)
    listed = []
    for frame, found in zip(frames, search.found, strict=True):
        if found is not None:
            depth = depth_image(frame, pictures, found.where)
            listed.append(replace(found, frame=frame, depth=depth))
    gone = sum(found.depth is None and names_depth(found.frame) for found in listed)
    if gone:
        search.warnings.append(
            f"{gone} depth images named in {path} are missing: done without them"
        )
    return FrameList(listed, search.missing, [*warnings, *search.warnings])


def _name(frame: object, number: int, path: Path) -> str:
    """The image that a frame names, with forward slashes."""
    name = frame.get("file_path") if isinstance(frame, dict) else None
    if not isinstance(name, str) or not name.strip():
        raise InputError(
            f"a file_path in frame {number} of {path}", "none", "add the path of its image"
        )
    return name.replace("\\", "/")


def views_of(images: Sequence[PosedImage], options: ReadOptions, frame: Similarity) -> Views:
    """Posed images as the views of a split, shrunk as the options say.

    Args:
        images: at least one.
        options: `downscale` applies.
        frame: what takes the user's frame to that of rays.

    Raises:
        InputError: an image is smaller than the downscale, or floats and integers are mixed.
    """
    factor = options.downscale
    for image in images:
        if min(image.camera.width, image.camera.height) < factor:
            raise InputError(
                f"images of at least {factor}x{factor} pixels for downscale {factor}",
                f"{image.camera.width}x{image.camera.height} in {image.name}",
                "choose a smaller downscale",
            )
        if image.header.info.is_float != images[0].header.info.is_float:
            raise InputError(
                "images of floats only or of integers only",
                f"both, in {images[0].name} and {image.name}",
                "convert them to one kind",
            )

    def read(index: int) -> np.ndarray:
        image = images[index]
        array = read_pixels(image)
        return block_mean(array, factor, associated=array.dtype.kind == "f")

    def kept(index: int) -> np.ndarray | None:
        mask = images[index].mask
        return None if mask is None else mask.kept(factor)

    cameras = [image.camera.reduced(factor) for image in images]
    sizes = [(image.camera.width, image.camera.height) for image in images]
    stored, decoding = memory_needed(sizes, [image.header.depth for image in images], factor)
    facts = PixelFacts(
        stored,
        decoding,
        not any(image.header.info.has_alpha or image.transparent for image in images),
        tuple(_pixel_key(image, factor) for image in images),
    )
    return Views(
        Cameras.stack(cameras, frame=frame, times=times_of([image.time for image in images])),
        tuple(image.name for image in images),
        read,
        facts,
        factor,
        kept,
    )


def _pixel_key(image: PosedImage, factor: int) -> str:
    """What changes when the pixels of an image do."""
    parts: list[object] = [factor, image.transparent]
    for file in (image.image, *([] if image.mask is None else [image.mask.path])):
        stat = os.stat(file)
        parts += [os.path.realpath(file), stat.st_size, stat.st_mtime_ns]
    return repr(parts)


def read_pixels(image: PosedImage) -> np.ndarray:
    """The pixels of an image in their stored type, with the transparency that the data sets."""
    array = read_image(image.image)
    for key, value in zip(TRANSPARENT, (1, 0), strict=True):
        if key in image.transparent:
            array = _with_hole(array, value)
    return array


def _with_hole(array: np.ndarray, value: int) -> np.ndarray:
    """The same image, transparent where all colours are at their largest (1) or least (0)."""
    top = 1 if array.dtype.kind == "f" else np.iinfo(array.dtype).max
    colors = array.shape[2] - (array.shape[2] in (2, 4))
    hole = (array[..., :colors] == value * top).all(-1, keepdims=True)
    alpha = array[..., colors:] if colors < array.shape[2] else np.full_like(hole, top, array.dtype)
    alpha = np.where(hole, array.dtype.type(0), alpha)
    return np.concatenate([array[..., :colors], alpha], axis=-1)
