"""A folder with a COLMAP model and its images, as COLMAP, 3DGS and undistorters leave it."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from polyfield.errors import InputError, shown
from polyfield.scenes.base import ReadOptions
from polyfield.scenes.formats.colmap_files import ending, registered
from polyfield.scenes.formats.colmap_model import ColmapModel, read_model
from polyfield.scenes.formats.listing import NAMED
from polyfield.scenes.formats.posed import PosedCapture
from polyfield.scenes.formats.shots import Shot, images_folder, posed_shots, split_every_nth
from polyfield.scenes.formats.whole import Parts, capture_of, show_a_thing

PLACES = (
    "", "sparse", "colmap/sparse", "dense/sparse", "dense", "dense/0/sparse", "distorted/sparse",
)  # fmt: skip
"""Where a model, or numbered folders of models, may lie in a capture."""
IMAGES = ("images", "input")
"""What the folder of images may be called."""


@dataclass(frozen=True)
class Colmap:
    """cameras, images and points3D (.bin or .txt) in sparse/0, sparse or the like; images/.

    Of several models the one with most images is taken. Images by name give every `test_every`-th
    from the first to the test split. Things exist outside the bounds unless most images have alpha.
    """

    name: ClassVar[str] = "colmap"
    """What it is called on the command line."""
    looks_for: ClassVar[str] = "sparse/0/cameras.bin"
    """What a path must hold."""

    def found_at(self, path: str | os.PathLike[str]) -> bool:
        """Whether a path is a folder of this format."""
        return bool(_models(Path(path)))

    def open(self, path: str | os.PathLike[str], options: ReadOptions) -> PosedCapture:
        """Read the model and the headers of its images; pixels are read later.

        Args:
            path: the folder of the capture, or of a model.
            options: how to read it.

        Raises:
            MissingBackend: pycolmap is not installed.
            InputError: the model or an image is not as it should be.
        """
        root = Path(path)
        models = _models(root)
        if not models:
            raise InputError(
                f"a COLMAP model in {shown(root)}", "none", f"give a folder with {self.looks_for}"
            )
        model, *others = models
        found = read_model(model)
        folder, notes = _images(root, model, found)
        if others:
            notes.append(
                f"{len(models)} models in {root}: the largest is taken, {model.name} with"
                f" {registered(model)} images; the others have"
                f" {', '.join(str(registered(other)) for other in others[:NAMED])}"
            )
        if found.dropped:
            notes.append(
                f"{len(found.dropped)} images of {model} with fewer than 2 observations are left"
                f" out, such as {found.dropped[0]}"
            )
        if (root / "poses_bounds.npy").is_file():
            notes.append(f"{root} has poses_bounds.npy too; --format llff reads that")
        shots = [Shot(image.name, image.camera) for image in found.images]
        posed = posed_shots(shots, folder, model, options)
        return capture_of(
            Parts(
                name=root.resolve().name,
                path=str(path),
                splits=split_every_nth(posed.images, options, root),
                missing=posed.missing,
                warnings=[*notes, *posed.warnings],
                points=found.points if len(found.points) else None,
            ),
            options,
            lambda _: not show_a_thing(posed.images),
        )


def _models(root: Path) -> list[Path]:
    """The models of a capture, the largest first; none where there is none."""
    for place in PLACES:
        folder = root / place
        if not folder.is_dir():
            continue
        if ending(folder) is not None:
            return [folder]
        try:
            numbered = sorted(entry for entry in folder.iterdir() if entry.name.isdecimal())
        except OSError:
            continue
        models = [entry for entry in numbered if ending(entry) is not None]
        if models:
            return sorted(models, key=registered, reverse=True)
    return []


def _images(root: Path, model: Path, found: ColmapModel) -> tuple[Path, list[str]]:
    """The folder of a model's images, and a line where it is not the full size.

    Raises:
        InputError: there is none.
    """
    parents = [place for place in (model, *model.parents) if place == root or root in place.parents]
    # A model given by itself: its capture is above.
    above = list(model.absolute().parents[:3]) if model == root else []
    for place in dict.fromkeys([*parents, *above]):
        there = images_folder(place, IMAGES)
        if there is not None:
            return there
    for place in dict.fromkeys([*parents, *above]):
        if (place / found.images[0].name).is_file():
            return place, []
    raise InputError(
        f"the images of {shown(model)}: {IMAGES[0]}/{found.images[0].name}",
        "no folder of that name",
        f"put them into {shown(root / IMAGES[0])}",
    )
