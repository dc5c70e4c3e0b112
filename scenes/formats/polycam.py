"""A raw-data export of Polycam: keyframes/ with one JSON file for each image."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from polyfield.errors import InputError, shown
from polyfield.scenes.base import ReadOptions
from polyfield.scenes.cameras import PINHOLE, Camera
from polyfield.scenes.checks import check_lens, check_pose
from polyfield.scenes.formats.depth import depth_points
from polyfield.scenes.formats.depth_keys import MILLIMETRE
from polyfield.scenes.formats.frames import read_object
from polyfield.scenes.formats.posed import PosedCapture
from polyfield.scenes.formats.shots import Shot, image_names, posed_shots, split_every_nth
from polyfield.scenes.formats.whole import Parts, capture_of
from polyfield.scenes.json_values import number

FOLDER = "keyframes"
PAIRS = (("corrected_images", "corrected_cameras"), ("images", "cameras"))
"""Folders of images and of their cameras; the first are those after loop closure."""


@dataclass(frozen=True)
class Polycam:
    """keyframes/corrected_images with corrected_cameras, else images with cameras.

    Poses t_00 to t_23 are camera-to-world in OpenGL axes, metres, y up. keyframes/depth, 16 bits of
    millimetres, serves the bounds. Every `test_every`-th image is for the test.
    """

    name: ClassVar[str] = "polycam"
    """What it is called on the command line."""
    looks_for: ClassVar[str] = "keyframes/"
    """What a path must hold."""

    def found_at(self, path: str | os.PathLike[str]) -> bool:
        """Whether a path is a folder of this format."""
        return any(os.path.isdir(_keyframes(Path(path)) / cameras) for _, cameras in PAIRS)

    def open(self, path: str | os.PathLike[str], options: ReadOptions) -> PosedCapture:
        """Read the cameras and the headers of images; pixels are read later.

        Args:
            path: the folder, or its keyframes.
            options: how to read it.

        Raises:
            InputError: a file or an image is not as it should be.
        """
        root = _keyframes(Path(path))
        pair = next((pair for pair in PAIRS if (root / pair[1]).is_dir()), PAIRS[0])
        folder, cameras = root / pair[0], root / pair[1]
        names = [name for name in image_names(folder) if _file(cameras, name).is_file()]
        if not names:
            raise InputError(
                f"images in {shown(folder)} with a JSON file each in {pair[1]}", "none", "add them"
            )
        notes = [] if pair is PAIRS[0] else [f"{root} has no {PAIRS[0][1]}: {pair[1]} are read"]
        bare = len(image_names(folder)) - len(names)
        if bare:
            notes.append(f"{bare} images of {folder} have no camera and are left out")
        shots = [_shot(name, cameras, root / "depth") for name in names]
        posed = posed_shots(shots, folder, cameras, options)
        return capture_of(
            Parts(
                name=Path(path).resolve().name,
                path=str(path),
                splits=split_every_nth(posed.images, options, root),
                missing=posed.missing,
                warnings=[*notes, *posed.warnings],
                points=depth_points(posed.images),
            ),
            options,
            lambda _: True,
        )


def _keyframes(path: Path) -> Path:
    return path if path.name == FOLDER else path / FOLDER


def _file(cameras: Path, name: str) -> Path:
    return cameras / f"{os.path.splitext(name)[0]}.json"


def _shot(name: str, cameras: Path, depth: Path) -> Shot:
    """An image with its camera.

    Raises:
        InputError: a number is missing or none, or the camera can't be.
    """
    file = _file(cameras, name)
    content = read_object(file)

    def value(key: str) -> float:
        found = number(content, key, str(file))
        if found is None:
            raise InputError(f"a number for {key} in {shown(file)}", "none", "export it again")
        return found

    pose = check_pose([[value(f"t_{row}{i}") for i in range(4)] for row in range(3)], str(file))
    size, focal = (int(value("width")), int(value("height"))), (value("fx"), value("fy"))
    center = (value("cx"), value("cy"))
    check_lens(size, focal, center, PINHOLE, str(file))
    image = depth / f"{os.path.splitext(name)[0]}.png"
    return Shot(
        name,
        Camera(pose, *size, *focal, *center),
        image if image.is_file() else None,
        MILLIMETRE,
    )
