"""Frames as a folder of images: 00000.png, 00001.png and so on."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from polyfield.errors import InputError
from polyfield.renderers.exports.writing import check_place, staged, writing
from polyfield.scenes.images import write_image

_NAME = re.compile(r"\d{5,}\.png")


@dataclass(frozen=True)
class Frames:
    """A folder of PNG, one for each frame, in order."""

    def check(self, path: Path, overwrite: bool) -> None:
        """Raise before any work if the place can't be used.

        Raises:
            InputError: a file is there, or a folder with something in it and no `overwrite`.
        """
        check_place(path, overwrite)
        if os.path.lexists(path) and not path.is_dir():
            raise InputError("--out FILE.mp4 or a folder", f"{path}, a file", "choose another")

    def write(self, frames: Iterator[np.ndarray], path: Path) -> int:
        """Write all frames, or leave the folder as it was.

        Frames of an older render in the folder go, by their names; whatever else is there stays.

        Args:
            frames: uint8 [h w 3].
            path: The folder; made if it isn't there.

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
                    write_image(fresh / f"{count:05d}.png", frame)
                count += 1
            with writing(path):
                _publish(fresh, path)
        return count


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
