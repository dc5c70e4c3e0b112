"""Frames as an animated GIF: 256 colours, no player needed."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from polyfield.errors import InputError
from polyfield.renderers.exports.writing import check_place, staged, writing

USUAL = 20.0
"""Frames per second unless somebody says otherwise."""
RATES = (1.0, 50.0)
"""Frames of less than two hundredths of a second are slowed down by players."""


@dataclass(frozen=True)
class Gif:
    """An endless loop of pictures in 256 colours each."""

    is_film: ClassVar[bool] = True
    fps: float = USUAL
    """Frames per second, 1 to 50; each frame lasts whole hundredths of a second."""

    def __post_init__(self) -> None:
        low, high = RATES
        if not low <= self.fps <= high:
            raise InputError(
                f"fps between {low:g} and {high:g} for a GIF", f"{self.fps:g}", "change --fps"
            )

    def check(self, path: Path, overwrite: bool) -> None:
        """Raise before any work if the place can't be used.

        Raises:
            InputError: something is there and no `overwrite`.
        """
        check_place(path, overwrite)

    def write(self, frames: Iterator[np.ndarray], path: Path) -> int:
        """Write the film whole, or leave what was there.

        Args:
            frames: uint8 [h w 3], all of one size.
            path: Ends with .gif.

        Returns:
            How many frames there were.

        Raises:
            InputError: no frames.
            WriteError: the disk is full ...
        """
        from PIL import Image

        first = next(frames, None)
        if first is None:
            raise InputError("at least one frame for a film", "none", "give more --frames")
        # Dithering flickers where nothing moves.
        pictures = [
            Image.fromarray(frame).quantize(256, dither=Image.Dither.NONE)
            for frame in itertools.chain([first], frames)
        ]
        with staged(path) as staging:
            film = staging / f"film{path.suffix}"
            with writing(path):
                pictures[0].save(
                    film,
                    format="GIF",
                    save_all=True,
                    append_images=pictures[1:],
                    duration=self._durations(len(pictures)),
                    loop=0,
                )
                with open(film, "rb+") as file:
                    os.fsync(file.fileno())
                os.replace(film, path)
        return len(pictures)

    def _durations(self, count: int) -> list[int]:
        """Milliseconds of each frame: hundredths of a second that keep the rate on average."""
        ends = [round(100 * (i + 1) / self.fps) for i in range(count)]
        return [10 * (end - begin) for begin, end in zip([0, *ends], ends, strict=False)]
