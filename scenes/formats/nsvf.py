"""NSVF and its Tanks and Temples: intrinsics.txt, bbox.txt, pose/ and rgb/."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
from jaxtyping import Float64

from polyfield.errors import InputError, shown
from polyfield.scenes.base import ReadOptions
from polyfield.scenes.cameras import PINHOLE, Camera
from polyfield.scenes.checks import check_lens, check_pose
from polyfield.scenes.formats.frames import PosedImage
from polyfield.scenes.formats.posed import PosedCapture
from polyfield.scenes.formats.shots import Shot, image_names, posed_shots, split_every_nth
from polyfield.scenes.formats.text_matrix import read_rows
from polyfield.scenes.formats.whole import Parts, capture_of
from polyfield.scenes.images import read_info

FILE = "intrinsics.txt"
PREFIXES = {"0_": "train", "1_": "val", "2_": "test"}
"""What the names of a split's images begin with; without 2_, 1_ is the test."""
_FLIP = np.diag([1.0, -1.0, -1.0, 1.0])


@dataclass(frozen=True)
class Nsvf:
    """rgb/NAME with pose/NAME.txt, camera-to-world in OpenCV's axes, and one pinhole for all.

    intrinsics.txt is a 4x4 or 3x3 matrix, its 16 or 9 numbers in one line, or has "f cx cy 0" first
    and height and width last. Names begin with 0_, 1_ and 2_ for training, validation and test;
    where none does, every `test_every`-th is for the test. bbox.txt is the box: nothing is outside.
    """

    name: ClassVar[str] = "nsvf"
    """What it is called on the command line."""
    looks_for: ClassVar[str] = "intrinsics.txt, pose/"
    """What a path must hold."""

    def found_at(self, path: str | os.PathLike[str]) -> bool:
        """Whether a path is a folder of this format."""
        return os.path.isfile(Path(path) / FILE) and os.path.isdir(Path(path) / "pose")

    def open(self, path: str | os.PathLike[str], options: ReadOptions) -> PosedCapture:
        """Read poses and the headers of images; pixels are read later.

        Args:
            path: the folder.
            options: how to read it.

        Raises:
            InputError: a file or an image is not as it should be.
        """
        root = Path(path)
        names = image_names(root / "rgb")
        if not names:
            raise InputError(f"images in {shown(root / 'rgb')}", "none", "add them")
        given = _intrinsics(root / FILE)
        shots = [Shot(name, _camera(root, name, given)) for name in names]
        posed = posed_shots(shots, root / "rgb", root / FILE, options)
        return capture_of(
            Parts(
                name=root.resolve().name,
                path=str(path),
                splits=_splits(posed.images, options, root),
                missing=posed.missing,
                warnings=posed.warnings,
                box=_box(root / "bbox.txt"),
            ),
            options,
            lambda outward: outward and not os.path.isfile(root / "bbox.txt"),
        )


@dataclass(frozen=True)
class _Intrinsics:
    """Pixels; the size where the file has it."""

    focal: tuple[float, float]
    center: tuple[float, float]
    size: tuple[int, int] | None


def _intrinsics(file: Path) -> _Intrinsics:
    """What intrinsics.txt says, in any of its forms.

    Raises:
        InputError: none of them.
    """
    rows = read_rows(file, "intrinsics")
    lengths = [len(row) for row in rows]
    if lengths in ([16], [9]):
        side = 4 if lengths == [16] else 3
        rows = [rows[0][i : i + side] for i in range(0, side * side, side)]
    lengths = [len(row) for row in rows]
    if lengths in ([4] * 4, [3] * 3, [4] * 3):
        return _Intrinsics((rows[0][0], rows[1][1]), (rows[0][2], rows[1][2]), None)
    if lengths and lengths[0] in (3, 4):
        focal, cx, cy = rows[0][:3]
        last = rows[-1]
        whole = len(rows) > 1 and len(last) == 2 and all(v % 1 == 0 and v >= 1 for v in last)
        return _Intrinsics(
            (focal, focal), (cx, cy), (int(last[1]), int(last[0])) if whole else None
        )
    raise InputError(
        f"a 4x4 matrix, or f cx cy in the first line, in {shown(file)}",
        f"lines of {', '.join(map(str, lengths[:6]))} numbers" if lengths else "no numbers",
        "write the 4x4 matrix of the intrinsics",
    )


def _camera(root: Path, name: str, given: _Intrinsics) -> Camera:
    """The camera of an image, in our axes.

    Raises:
        InputError: no pose, one that can't be, or a centre outside of the image.
    """
    file = root / "pose" / f"{os.path.splitext(name)[0]}.txt"
    rows = read_rows(file, f"the pose of {name}")
    if [len(row) for row in rows] == [16]:
        rows = [rows[0][i : i + 4] for i in range(0, 16, 4)]
    pose = check_pose(rows, str(file)).numpy() @ _FLIP
    info = read_info(root / "rgb" / name)
    width, height = given.size or (info.width, info.height)
    check_lens((width, height), given.focal, given.center, PINHOLE, str(root / FILE))
    if not (0 <= given.center[0] <= width and 0 <= given.center[1] <= height):
        raise InputError(
            f"cx cy inside the {width}x{height} image {name} in {root / FILE}",
            f"{given.center[0]:g} {given.center[1]:g}",
            "the intrinsics are for another image size: scale them with the image",
        )
    return Camera(pose, width, height, *given.focal, *given.center)


def _box(file: Path) -> Float64[np.ndarray, "2 3"] | None:
    """The box that bbox.txt gives; None where there is no such file.

    With a seventh number, the size of the first voxels, its corners are the middles of the
    outermost ones, as NSVF's released code lays them: half a voxel more belongs to the scene.

    Raises:
        InputError: not six numbers, corners in the wrong order, or a size that is none.
    """
    if not file.is_file():
        return None
    numbers = [value for row in read_rows(file, "a bounding box") for value in row]
    if (
        len(numbers) not in (6, 7)
        or any(a >= b for a, b in zip(numbers[:3], numbers[3:6], strict=True))
        or any(size <= 0 for size in numbers[6:])
    ):
        raise InputError(
            f"xmin ymin zmin xmax ymax zmax, and a voxel's size or none, in {shown(file)}",
            " ".join(f"{value:g}" for value in numbers)[:80],
            "correct it, or remove it for automatic bounds",
        )
    box, voxel = np.array(numbers[:6]).reshape(2, 3), sum(numbers[6:])
    steps = np.round((box[1] - box[0]) / voxel) if voxel else 0.0
    high = box[0] + steps * voxel if voxel else box[1]
    return np.stack([box[0] - voxel / 2, high + voxel / 2])


def _splits(
    images: Sequence[PosedImage], options: ReadOptions, root: Path
) -> dict[str, list[PosedImage]]:
    """By the beginnings of names.

    Raises:
        InputError: nothing to train on, or some names begin so and others don't.
    """
    splits: dict[str, list[PosedImage]] = {split: [] for split in PREFIXES.values()}
    strange = [image for image in images if image.name[:2] not in PREFIXES]
    if len(strange) == len(images):
        return split_every_nth(images, options, root)
    if strange:
        raise InputError(
            f"names that begin with {', '.join(PREFIXES)} in {shown(root / 'rgb')}",
            strange[0].name,
            "rename it, or move it away",
        )
    for image in images:
        splits[PREFIXES[image.name[:2]]].append(image)
    if not splits["test"]:
        splits["test"], splits["val"] = splits["val"], []
    if not splits["train"]:
        raise InputError(
            f"images to train on in {shown(root / 'rgb')}", "none named 0_...", "add some"
        )
    return {split: chosen for split, chosen in splits.items() if chosen}
