"""`Format` is the list of capture formats; `detect` asks each whether a path is its own.

A new format is a frozen dataclass with `name`, `looks_for`, `found_at` and `open`, and a line here.
"""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from polyfield.config import nearest
from polyfield.errors import InputError, shown
from polyfield.scenes.base import Capture, ReadOptions
from polyfield.scenes.demo.capture import Analytic
from polyfield.scenes.formats.blender import Blender
from polyfield.scenes.formats.colmap import Colmap
from polyfield.scenes.formats.llff import Llff
from polyfield.scenes.formats.nsvf import Nsvf
from polyfield.scenes.formats.polycam import Polycam
from polyfield.scenes.formats.record3d import Record3d
from polyfield.scenes.formats.shots import image_names
from polyfield.scenes.formats.transforms import Transforms

Format = Blender | Transforms | Colmap | Llff | Nsvf | Polycam | Record3d | Analytic
"""Every format of posed views."""
FORMATS: dict[str, Format] = {
    f.name: f
    for f in (
        Blender(), Transforms(), Colmap(), Llff(), Nsvf(), Polycam(), Record3d(), Analytic(),
    )
}  # fmt: skip
"""Each with its defaults, by name, in the order in which they are asked: files before words."""
VIDEOS = (".mp4", ".mov", ".m4v", ".avi", ".mkv", ".webm", ".insv", ".mpg", ".mpeg", ".3gp")
"""Endings of films, which have no poses yet."""


def format_named(name: str) -> Format:
    """The format of that name, as `--format` gives it.

    Raises:
        InputError: there is none.
    """
    if name not in FORMATS:
        hint = nearest(name, FORMATS, "pick one of them")
        raise InputError(f"a format: {', '.join(FORMATS)}", repr(name), hint)
    return FORMATS[name]


def detect(path: str | os.PathLike[str]) -> Format:
    """The format of a data set.

    Args:
        path: a folder, a transforms.json, or "demo" for the built-in scene.

    Raises:
        InputError: nothing there, or no known format; the message lists what was looked for.
    """
    for known in FORMATS.values():
        if known.found_at(path):
            return known
    if not os.path.exists(path):
        raise InputError(f"a data folder at {path}", "no such path", "check the path")
    film = os.path.isfile(path) and str(path).lower().endswith(VIDEOS)
    photographs = image_names(Path(path))
    if film or photographs:
        raise InputError(
            f"a capture with poses at {shown(path)}",
            "a film" if film else f"{len(photographs)} photographs without any",
            f"run polyfield process {shown(path)} --out DATA first, then give DATA",
        )
    wanted = ", ".join(known.looks_for for known in FORMATS.values())
    raise InputError(
        f"a capture at {path}: {wanted}",
        "a folder without any of these" if os.path.isdir(path) else "a file",
        "give the folder of one",
    )


def open_capture(
    path: str | os.PathLike[str],
    options: ReadOptions,
    format: Format | None = None,  # noqa: A002  # as the flag
) -> Capture:
    """Parse and check a data set; its pixels are read later, split by split.

    Args:
        path: where it is.
        options: how to read it.
        format: its format; detected where None.

    Raises:
        InputError: the data is not as its format demands.
    """
    chosen = format or detect(path)
    capture = chosen.open(path, options)
    if format is None and chosen is not FORMATS["demo"] and FORMATS["demo"].found_at(path):
        note = f"{path} is the folder of that name here; the built-in scene is --format demo"
        capture = replace(capture, warnings=[note, *capture.warnings])
    return capture
