"""A Record3D export: metadata with poses and intrinsics of the images in rgb/."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from polyfield.errors import InputError, shown
from polyfield.scenes.base import ReadOptions
from polyfield.scenes.cameras import PINHOLE, Camera
from polyfield.scenes.checks import check_lens, check_pose
from polyfield.scenes.formats.frames import read_object
from polyfield.scenes.formats.posed import PosedCapture
from polyfield.scenes.formats.shots import Shot, image_names, posed_shots, split_every_nth
from polyfield.scenes.formats.whole import Parts, capture_of
from polyfield.scenes.json_values import as_number, number

FILES = ("metadata.json", "metadata")


@dataclass(frozen=True)
class Record3d:
    """metadata.json (or metadata) beside rgb/NUMBER.jpg: the number is that of the pose.

    A pose is a quaternion x y z w and a position, camera-to-world in OpenGL axes, metres. K is a
    3x3 matrix column by column; perFrameIntrinsicCoeffs, fx fy cx cy of each image, goes before it.
    Depth is passed over. Every `test_every`-th image is for the test.
    """

    name: ClassVar[str] = "record3d"
    """What it is called on the command line."""
    looks_for: ClassVar[str] = "metadata.json, rgb/"
    """What a path must hold."""

    def found_at(self, path: str | os.PathLike[str]) -> bool:
        """Whether a path is a folder of this format."""
        root = Path(path)
        return os.path.isdir(root / "rgb") and any(os.path.isfile(root / f) for f in FILES)

    def open(self, path: str | os.PathLike[str], options: ReadOptions) -> PosedCapture:
        """Read the cameras and the headers of images; pixels are read later.

        Args:
            path: the folder.
            options: how to read it.

        Raises:
            InputError: the metadata or an image is not as it should be.
        """
        root = Path(path)
        file = next((root / f for f in FILES if (root / f).is_file()), root / FILES[0])
        content = read_object(file)
        poses = _table(content, "poses", 7, file)
        names = image_names(root / "rgb")
        rows = _rows(names, len(poses), root)
        coefficients = _intrinsics(content, len(poses), file)
        size = (_side(content, "w", file), _side(content, "h", file))
        shots = []
        for name, row in zip(names, rows, strict=True):
            fx, fy, cx, cy = coefficients[row]
            where = f"pose {row} of {file}"
            check_lens(size, (fx, fy), (cx, cy), PINHOLE, where)
            shots.append(Shot(name, Camera(_pose(poses[row], where), *size, fx, fy, cx, cy)))
        posed = posed_shots(shots, root / "rgb", file, options)
        return capture_of(
            Parts(
                name=root.resolve().name,
                path=str(path),
                splits=split_every_nth(posed.images, options, root),
                missing=posed.missing,
                warnings=posed.warnings,
            ),
            options,
            lambda _: True,
        )


def _table(content: Mapping[str, object], key: str, width: int, file: Path) -> list[list[float]]:
    """A list of lists of so many numbers.

    Raises:
        InputError: something else.
    """
    rows, expected = content.get(key), f"rows of {width} numbers for {key} in {file}"
    if not isinstance(rows, list) or not rows:
        raise InputError(expected, "none", "export the capture again")
    for row in rows:
        if not isinstance(row, list) or len(row) != width:
            raise InputError(expected, repr(row)[:40], "export the capture again")
    return [[as_number(value, expected) for value in row] for row in rows]


def _rows(names: Sequence[str], count: int, root: Path) -> list[int]:
    """Of each image the number of its pose: that of its name, else its place by name.

    Raises:
        InputError: no images, or images without poses.
    """
    stems = [os.path.splitext(name)[0] for name in names]
    numbers = [int(stem) for stem in stems if stem.isdecimal() and len(stem) < 9]
    if names and len(numbers) == len(names) and max(numbers) < count:
        return numbers
    if names and len(names) == count:
        return list(range(count))
    raise InputError(
        f"images 0 to {count - 1} in {shown(root / 'rgb')}, one for each pose",
        f"{len(names)} images",
        "export the capture again",
    )


def _intrinsics(
    content: Mapping[str, object], count: int, file: Path
) -> Sequence[tuple[float, float, float, float]]:
    """fx, fy, cx, cy of each pose.

    Raises:
        InputError: not so many, or no numbers.
    """
    if content.get("perFrameIntrinsicCoeffs"):
        rows = _table(content, "perFrameIntrinsicCoeffs", 4, file)
        if len(rows) == count:
            return [(row[0], row[1], row[2], row[3]) for row in rows]
    matrix, expected = content.get("K"), f"nine numbers for K in {file}"
    if not isinstance(matrix, list) or len(matrix) != 9:
        raise InputError(expected, repr(matrix)[:40], "export the capture again")
    k = [as_number(value, expected) for value in matrix]
    # Column by column, as Record3D writes it; a matrix row by row has its centre elsewhere.
    cx, cy = (k[6], k[7]) if k[6] or k[7] else (k[2], k[5])
    return [(k[0], k[4], cx, cy)] * count


def _side(content: Mapping[str, object], key: str, file: Path) -> int:
    value = number(content, key, str(file))
    if value is None or not 1 <= value < 1e6 or value % 1:
        raise InputError(f"a whole {key} in {shown(file)}", f"{value}", "export the capture again")
    return int(value)


def _pose(row: Sequence[float], where: str) -> np.ndarray:
    """A camera-to-world matrix from x y z w and a position.

    Raises:
        InputError: no quaternion of length 1, or a position that can't be.
    """
    quaternion = np.array(row[:4])
    length = float(np.linalg.norm(quaternion))
    if not 0.99 < length < 1.01:
        raise InputError(
            f"a quaternion x y z w of length 1 in {where}", f"length {length:.3g}", "correct it"
        )
    x, y, z, w = quaternion / length
    pose = np.eye(4)
    pose[:3, :3] = [
        [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
        [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
        [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ]
    pose[:3, 3] = row[4:]
    return check_pose(pose, where).numpy()
