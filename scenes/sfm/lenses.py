"""Which images share a camera, and with what numbers its lens begins: known, from EXIF, guessed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from polyfield.errors import InputError, shown
from polyfield.scenes.sfm.config import Sfm
from polyfield.scenes.sfm.intake import Prepared
from polyfield.scenes.sfm.known import Intrinsics, read_intrinsics

GUESS = 1.2
"""Focal length without any word of it, in longer sides of the image: some 45 degrees."""
_PLAINER = {"OPENCV": "SIMPLE_RADIAL", "SIMPLE_RADIAL": "SIMPLE_PINHOLE"}
MANY = 12
"""Images from which on a camera has enough of them to find four terms of distortion."""


@dataclass(frozen=True)
class Lens:
    """The camera of one or more images, at the size of the copies that features are found in."""

    images: tuple[int, ...]
    """Numbers of its images."""
    model: str
    """As COLMAP calls it."""
    size: tuple[int, int]
    params: tuple[float, ...]
    """In COLMAP's order."""
    is_known: bool
    """Whether the user gave it, so that it stays as it is."""
    has_prior: bool
    """Whether EXIF or the user told the focal length."""


def choose_lenses(images: Sequence[Prepared], config: Sfm) -> tuple[list[Lens], str]:
    """The cameras of images, and one line that says how they were chosen.

    Args:
        images: at least one.
        config: `cameras`, `camera_model` and `intrinsics` apply.

    Raises:
        InputError: intrinsics that can't be used, or one camera for images of several sizes.
    """
    known = None if config.intrinsics is None else read_intrinsics(config.intrinsics)
    groups = _groups(images, config)
    lenses = []
    for members in groups:
        first = images[members[0]]
        if known is None:
            lenses.append(_begun(images, members, config))
            continue
        # Each image may have its own: those that are equal share a camera.
        by_value: dict[Intrinsics, list[int]] = {}
        for i in members:
            found = known.of(images[i].name, images[i].size)
            by_value.setdefault(found, []).append(i)
        lenses += [_given(first, tuple(same), found) for found, same in by_value.items()]
    return lenses, _said(images, lenses, config)


def plainer_lenses(lenses: Sequence[Lens]) -> list[Lens] | None:
    """The same cameras with fewer terms of distortion to find; None where there are none."""
    found = []
    for lens in lenses:
        plainer = None if lens.is_known else _PLAINER.get(lens.model)
        if plainer is None:
            found.append(lens)
            continue
        x, y = lens.params[2:4] if lens.model == "OPENCV" else lens.params[1:3]
        params = Intrinsics(lens.params[0], lens.params[0], x, y).params(plainer)
        found.append(replace(lens, model=plainer, params=params))
    return None if found == list(lenses) else found


def _groups(images: Sequence[Prepared], config: Sfm) -> list[tuple[int, ...]]:
    """Numbers of the images that share a camera."""
    if config.cameras == "each":
        return [(i,) for i in range(len(images))]
    if config.cameras == "one":
        for image in images[1:]:
            if image.copy_size != images[0].copy_size:
                raise InputError(
                    "images of one size for --cameras one",
                    f"{_pixels(images[0])} in {images[0].name} and {_pixels(image)} in"
                    f" {image.name}",
                    "leave it out, or give --cameras each",
                )
        return [tuple(range(len(images)))]
    found: dict[tuple[tuple[int, int], str], list[int]] = {}
    for i, image in enumerate(images):
        found.setdefault((image.copy_size, image.device), []).append(i)
    return [tuple(members) for members in found.values()]


def _begun(images: Sequence[Prepared], members: tuple[int, ...], config: Sfm) -> Lens:
    """A camera whose lens is still to be found."""
    first = images[members[0]]
    width, height = first.copy_size
    focal = first.focal and first.focal * width / first.size[0]
    model = config.camera_model
    if model == "auto":
        model = "OPENCV" if len(members) >= MANY else "SIMPLE_RADIAL"
    value = focal or GUESS * max(width, height)
    params = Intrinsics(value, value, width / 2, height / 2).params(model)
    return Lens(members, model, first.copy_size, params, False, focal is not None)


def _given(image: Prepared, members: tuple[int, ...], known: Intrinsics) -> Lens:
    """A camera that the user knows."""
    x, y = (to / of for to, of in zip(image.copy_size, image.size, strict=True))
    scaled = known.scaled(x, y)
    model = scaled.model()
    return Lens(members, model, image.copy_size, scaled.params(model), True, True)


def _said(images: Sequence[Prepared], lenses: Sequence[Lens], config: Sfm) -> str:
    """What was decided, and by what."""
    count = "one camera" if len(lenses) == 1 else f"{len(lenses)} cameras"
    models = ", ".join(dict.fromkeys(lens.model for lens in lenses))
    if config.intrinsics is not None:
        how = "with the intrinsics given"
    else:
        told = sum(lens.has_prior for lens in lenses)
        how = f"focal length by EXIF for {told} of them" if told else "focal length not known"
        if len(lenses) == 1 and told:
            how = "focal length by EXIF"
    why = {"auto": "by size and EXIF", "one": "as asked", "each": "as asked"}[config.cameras]
    return f"{count} for {len(images)} images ({why}), {models}, {how}"


def _pixels(image: Prepared) -> str:
    return f"{image.size[0]}x{image.size[1]}"


def check_source(config: Sfm) -> None:
    """Raise early for paths in the config that are not there.

    Raises:
        InputError: no folder of masks.
    """
    if config.masks is not None and not Path(config.masks).is_dir():
        raise InputError("a folder of masks", shown(config.masks), "check the path of --masks")
