"""The images that a capture lists, on disk: which are there, what is said of those that are not."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from polyfield.errors import InputError
from polyfield.scenes.base import ReadOptions
from polyfield.scenes.formats.headers import Header, read_header
from polyfield.scenes.formats.masks import Mask, find_mask
from polyfield.scenes.formats.pictures import Pictures, check_companions

NAMED = 20
"""How many missing images a warning names before it only counts."""
FEW = 4
"""How many an error names."""


@dataclass(frozen=True)
class Listed:
    """An image on disk that a capture lists."""

    where: str
    """What to call it in a message."""
    name: str
    """Its image as the file names it, with forward slashes."""
    image: Path
    """The image on disk."""
    header: Header
    """What the image's file says before it is decoded."""
    mask: Mask | None = None
    """Which of its pixels count; None for all."""
    frame: Mapping[str, object] = field(default_factory=dict)
    """Its frame as parsed, in formats that have frames."""
    depth: Path | None = None
    """Its depth image on disk."""

    @property
    def identity(self) -> tuple[int, int]:
        """The same for all spellings of one file."""
        stat = os.stat(self.image)
        return stat.st_dev, stat.st_ino


@dataclass(frozen=True)
class Search:
    """What was looked for on disk."""

    found: list[Listed | None]
    """One for each name; None where the image is missing."""
    missing: list[str]
    """Names of the others."""
    warnings: list[str]
    """One line each."""


def find_images(
    names: Sequence[str],
    folder: Path,
    path: Path,
    options: ReadOptions,
    optional: bool = False,
    frames: Sequence[Mapping[str, object]] | None = None,
) -> Search:
    """The images that a capture names; each one's header is read.

    Args:
        names: with forward slashes.
        folder: what they are relative to.
        path: the file that names them, for messages.
        options: `strict` makes a missing image an error.
        optional: none of them on disk is a warning and no error.
        frames: of each image, what may name its mask; None in formats without frames.

    Raises:
        InputError: a damaged image, a mask of another size, a file outside the folder, or too many
            missing images.
    """
    search = Search([], [], [])
    pictures = Pictures(folder, options.allow_outside)
    for i, name in enumerate(names):
        where = f"frame {i} ({name}) of {path}"
        image = pictures.find(name, where)
        if image is None:
            search.missing.append(name)
            search.found.append(None)
            continue
        check_companions(image, where)
        header = read_header(image)
        mask = find_mask({} if frames is None else frames[i], image, pictures, where)
        if mask is not None:
            mask.check(header.info.width, header.info.height, where)
        search.found.append(Listed(where, name, image, header, mask))
    found = [image for image in search.found if image is not None]
    search.warnings.extend(_moved(pictures, path))
    search.warnings.extend(_turned(found, path))
    if optional and not found and not options.strict:
        search.warnings.append(
            f"none of the {len(names)} images named in {path} is there: taken as no split"
        )
        return search
    hint = pictures.near(search.missing[0]) if search.missing else ""
    if hint in {os.path.normpath(image.name) for image in found}:
        hint = ""
    search.warnings.extend(_missing_policy(search.missing, len(names), path, options, hint))
    return search


def _moved(pictures: Pictures, path: Path) -> list[str]:
    """The warning that names of another machine were found by their last parts."""
    if not pictures.moved:
        return []
    return [
        f"{len(pictures.moved)} images named in {path} by their place on another machine, such as"
        f" {pictures.moved[0]}, were found below its folder"
    ]


def _turned(listed: Sequence[Listed], path: Path) -> list[str]:
    """The warning that images carry an EXIF orientation."""
    turned = [frame for frame in listed if frame.header.orientation != 1]
    if not turned:
        return []
    return [
        f"{len(turned)} of {len(listed)} images named in {path} carry an EXIF orientation that is"
        f" not applied (poses and lens are taken to be for the stored pixels), such as"
        f" {turned[0].name}"
    ]


def _missing_policy(
    missing: Sequence[str], total: int, path: Path, options: ReadOptions, hint: str
) -> list[str]:
    """Warnings about missing images; an error if strict or more than half are missing."""
    if not missing:
        return []
    first = f"{missing[0]} (there is {hint})" if hint else missing[0]
    refused = options.strict or 2 * len(missing) > total
    most = FEW if refused else NAMED
    names = ", ".join([first, *missing[1:most]])
    more = f" and {len(missing) - most} more" if len(missing) > most else ""
    count = f"{len(missing)} of {total}"
    if options.strict:
        raise InputError(
            f"every image named in {path}",
            f"{count} missing: {names}{more}",
            "add them, or leave out --strict",
        )
    if refused:
        raise InputError(
            f"at least half of the images named in {path}",
            f"{count} missing: {names}{more}",
            "check that file_path is relative to that file and that the images were copied",
        )
    return [f"{count} images named in {path} are missing and skipped: {names}{more}"]
