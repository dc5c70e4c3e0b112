"""What formats share whose files hold cameras, not frames: images of another size, splits."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from polyfield.errors import InputError
from polyfield.scenes.base import ReadOptions
from polyfield.scenes.cameras import Camera
from polyfield.scenes.formats.frames import PosedImage
from polyfield.scenes.formats.intrinsics import check_different
from polyfield.scenes.formats.listing import Listed, find_images
from polyfield.scenes.formats.pictures import ENDINGS
from polyfield.scenes.formats.splits import train_and_test


@dataclass(frozen=True, eq=False)
class Shot:
    """A camera, and the name of the image that it took."""

    name: str
    """Below the folder of the images, with forward slashes."""
    camera: Camera
    """At the size that its intrinsics are for."""
    depth: Path | None = None
    """Its depth image."""
    depth_scale: float = 1.0
    """World units of one step of it."""


@dataclass(frozen=True)
class Posed:
    """Shots with their images."""

    images: list[PosedImage]
    """Those on disk, in the order of the shots."""
    missing: list[str]
    """Names of the others."""
    warnings: list[str]
    """One line each."""


def posed_shots(shots: Sequence[Shot], folder: Path, source: Path, options: ReadOptions) -> Posed:
    """Shots with their images on disk; intrinsics are scaled where those have another size.

    Args:
        shots: at least one.
        folder: of the images.
        source: the file that holds the cameras, for messages.
        options: how to read them.

    Raises:
        InputError: an image of another shape, damaged, or outside; too many missing; or all poses
            are the same.
    """
    search = find_images([shot.name for shot in shots], folder, source, options)
    images: list[PosedImage] = []
    scaled: list[str] = []
    for shot, found in zip(shots, search.found, strict=True):
        if found is None:
            continue
        camera = _fitted(shot.camera, found)
        if camera is not shot.camera:
            scaled.append(
                f"{found.name} is {camera.width}x{camera.height} and its camera for"
                f" {shot.camera.width}x{shot.camera.height}"
            )
        images.append(
            PosedImage(
                shot.name,
                found.image,
                camera,
                found.header,
                mask=found.mask,
                depth=shot.depth,
                depth_scale=shot.depth_scale,
            )
        )
    warnings = list(search.warnings)
    if scaled:
        warnings.append(
            f"intrinsics of {len(scaled)} of {len(images)} images of {source} are scaled to their"
            f" images: {scaled[0]}"
        )
    check_different(images, str(source))
    return Posed(images, search.missing, warnings)


def split_every_nth(
    images: Sequence[PosedImage], options: ReadOptions, source: Path
) -> dict[str, list[PosedImage]]:
    """Every n-th image by name for the test, the others for training.

    Raises:
        InputError: nothing is left to train on.
    """
    ordered = sorted(images, key=lambda image: image.name)
    split = train_and_test(len(ordered), options, str(source))
    return {name: [ordered[i] for i in chosen] for name, chosen in split.items()}


def image_names(folder: Path) -> list[str]:
    """The images in a folder, by name; none where there is no such folder."""
    try:
        entries = sorted(os.listdir(folder))
    except OSError:
        return []
    return [name for name in entries if name.lower().endswith(ENDINGS) and not name.startswith(".")]


def images_folder(root: Path, names: Sequence[str] = ("images",)) -> tuple[Path, list[str]] | None:
    """The folder of a capture's images, and a line where it is not the full size.

    Args:
        root: the capture.
        names: what it may be called; NAME_8 and the like stand in, the largest images first.
    """
    for name in names:
        if (root / name).is_dir():
            return root / name, []
    for name in names:
        for factor in (2, 4, 8):
            reduced = root / f"{name}_{factor}"
            if reduced.is_dir():
                note = (
                    f"{root} has no {name}: {reduced.name} is read; --downscale counts from there"
                )
                return reduced, [note]
    return None


def _fitted(camera: Camera, found: Listed) -> Camera:
    """A camera at the size of its image.

    Raises:
        InputError: the sides have another ratio, rounding aside.
    """
    info = found.header.info
    size, wanted = (camera.width, camera.height), (info.width, info.height)
    if size == wanted:
        return camera
    if abs(info.width * camera.height - info.height * camera.width) > max(*size, *wanted):
        turned = found.header.orientation >= 5
        raise InputError(
            f"an image of the shape of its camera, {size[0]}x{size[1]}, in {found.where}",
            f"{info.width}x{info.height}",
            "its EXIF orientation is not applied: store the images turned"
            if turned
            else "take the images that were posed, not cropped ones",
        )
    return camera.resized(info.width, info.height)
