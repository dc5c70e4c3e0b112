"""Frames as a folder of images: 00000.png, 00001.png and so on, or .exr."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np

from polyfield.errors import InputError
from polyfield.renderers.exports.writing import check_place, staged, writing
from polyfield.scenes.images import read_image, write_image

_NAME = re.compile(r"\d{5,}\.(png|exr)")


@dataclass(frozen=True)
class Frames:
    """A folder of images, one for each frame, in order."""

    is_film: ClassVar[bool] = False
    ending: Literal["png", "exr"] = "png"
    """PNG of 8 or 16 bits, or EXR of floats."""

    def check(self, path: Path, overwrite: bool) -> None:
        """Raise before any work if the place can't be used.

        Raises:
            InputError: a file is there, or a folder with something in it and no `overwrite`.
        """
        check_place(path, overwrite)
        self.check_folder(path)

    def check_folder(self, path: Path) -> None:
        """Raise if the place is a file.

        Raises:
            InputError: it is.
        """
        if os.path.lexists(path) and not path.is_dir():
            raise InputError("--out FILE.mp4 or a folder", f"{path}, a file", "choose another")

    def write(self, frames: Iterator[np.ndarray], path: Path) -> int:
        """Write all frames, or leave the folder as it was.

        Frames of an older render in the folder go, by their names; whatever else is there stays.

        Args:
            frames: [h w], or [h w 3], uint8 or uint16 for PNG, float32 for EXR.
            path: The folder; made where it is not there.

        Returns:
            How many frames there were.

        Raises:
            WriteError: the system couldn't write it.
        """
        count = 0
        # A folder that is there may be a mount of its own: stage inside it.
        with staged(path / "frames" if path.is_dir() else path) as staging:
            fresh = staging / "frames"
            with writing(path):
                fresh.mkdir()
            for frame in frames:
                with writing(path):
                    write_image(fresh / self.name(count), frame)
                count += 1
            with writing(path):
                _publish(fresh, path)
        return count

    def name(self, index: int) -> str:
        """The file of a frame."""
        return f"{index:05d}.{self.ending}"

    def is_whole(self, path: Path, index: int) -> bool:
        """Whether a frame is in the folder and can be read to its end."""
        try:
            read_image(path / self.name(index))
        except InputError:
            return False
        return True

    def write_one(self, frame: np.ndarray, path: Path, index: int) -> None:
        """Write one frame, whole or not at all, beside what is in the folder.

        Raises:
            WriteError: the system couldn't write it.
        """
        with writing(path):
            write_image(path / self.name(index), frame)


def _publish(fresh: Path, folder: Path) -> None:
    """Put the finished frames into their folder, in place of older ones."""
    if not folder.is_dir():
        os.rename(fresh, folder)
        return
    names = sorted(os.listdir(fresh))
    kept = set(names)
    for entry in list(folder.iterdir()):
        if _NAME.fullmatch(entry.name) and entry.name not in kept and not entry.is_dir():
            entry.unlink()
    for name in names:
        os.replace(fresh / name, folder / name)
