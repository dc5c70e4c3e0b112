"""What is drawn -> files: `Film` is the list of kinds, `film_of` picks one by the path."""

from __future__ import annotations

import os
from pathlib import Path

from polyfield.errors import InputError
from polyfield.renderers.films.frames import Frames
from polyfield.renderers.films.gif import RATES, USUAL, Gif
from polyfield.renderers.films.video import FPS, Video

__all__ = ["FPS", "Film", "Frames", "Gif", "Video", "film_of"]

Film = Video | Gif | Frames
"""Every kind of file that frames are written to."""

FILM, LOOP = ".mp4", ".gif"
OTHER_FILES = frozenset(
    # Films, and images of one frame: a folder of such a name is surely not meant.
    ".3gp .apng .asf .avi .flv .h264 .m4v .mkv .mov .mpeg .mpg .ogg .ogv .ts .webm .webp .wmv"
    " .bmp .exr .heic .hdr .jpeg .jpg .png .ppm .tga .tif .tiff .json .yaml .yml .zip".split()
)
"""Endings that name a file we don't write."""


def film_of(path: Path, fps: float | None = None, usual_fps: float | None = None) -> Film:
    """The kind of film a path names: .mp4 and .gif are films, anything else is a folder.

    A name with dots, such as orbit_v1.5, is a folder; so is a folder that is there already.

    Args:
        path: Where to write.
        fps: Frames per second that the user asked for.
        usual_fps: What a film has otherwise, for instance by its camera path; else 30.

    Raises:
        InputError: another kind of file, or frames per second for a folder.
    """
    suffix, there = path.suffix.lower(), os.path.isdir(path)
    if not there and suffix == FILM:
        return Video(next(rate for rate in (fps, usual_fps, FPS) if rate is not None))
    if not there and suffix == LOOP:
        # A rate that nobody asked for is one that a GIF can have.
        usual = None if usual_fps is None else min(usual_fps, RATES[1])
        return Gif(next(rate for rate in (fps, usual, USUAL) if rate is not None))
    if not there and suffix in OTHER_FILES:
        raise InputError(
            "--out FILE.mp4, FILE.gif or a folder",
            str(path),
            f"end it with {FILM} or {LOOP}, or with nothing",
        )
    if fps is not None:
        raise InputError(
            f"--fps with --out FILE{FILM}", f"the folder {path}", f"leave out --fps, or add {FILM}"
        )
    return Frames()
