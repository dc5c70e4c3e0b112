"""Files on disk -> cameras, rays, pixels.

`SceneConfig` and `SignalConfig` are the lists of formats: a new one is a file and a line here.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from polyfield.errors import InputError
from polyfield.scenes.base import Capture, ReadOptions, Scene, Signal
from polyfield.scenes.cameras import Camera, Cameras
from polyfield.scenes.demo.capture import DEMO, Analytic
from polyfield.scenes.formats.blender import Blender
from polyfield.scenes.formats.transforms import FILE, Transforms
from polyfield.scenes.rays import Rays
from polyfield.scenes.signals.image import Picture, PictureFile

__all__ = [
    "Analytic",
    "Blender",
    "Camera",
    "Cameras",
    "Capture",
    "Picture",
    "PictureFile",
    "Rays",
    "ReadOptions",
    "Scene",
    "SceneConfig",
    "Signal",
    "SignalConfig",
    "Transforms",
    "detect_scene",
    "open_capture",
    "open_picture",
]

SceneConfig = Blender | Transforms | Analytic
"""Every format of posed views."""
SignalConfig = PictureFile
"""Every format of values at coordinates."""


def detect_scene(path: str | os.PathLike[str]) -> SceneConfig:
    """The format of a data set.

    Args:
        path: a folder, a transforms.json, or "demo" for the built-in scene.

    Raises:
        InputError: nothing there, or no known format; the message lists what was looked for.
    """
    if str(path) == DEMO:
        return Analytic()
    place = Path(path)
    if place.is_file() and place.suffix == ".json":
        return Transforms()
    if (place / "transforms_train.json").is_file():
        return Blender()
    if (place / FILE).is_file():
        return Transforms()
    if not place.exists():
        raise InputError(f"a data folder at {path}", "no such path", "check the path")
    raise InputError(
        f"a data folder with transforms_train.json or {FILE} at {path}",
        "a file" if place.is_file() else "a folder without either",
        "give the folder that holds one of them, or demo",
    )


def open_capture(
    path: str | os.PathLike[str], options: ReadOptions, config: SceneConfig | None = None
) -> Capture:
    """Parse and check a data set; its pixels are read later, split by split.

    Args:
        path: where it is.
        options: how to read it.
        config: its format; detected where None.

    Raises:
        InputError: the data is not as its format demands.
    """
    return (config or detect_scene(path)).build(path, options)


def open_picture(
    source: str | os.PathLike[str] | np.ndarray,
    options: ReadOptions,
    config: SignalConfig | None = None,
) -> Picture:
    """Read a picture as a signal.

    Args:
        source: a file, "demo" for the built-in picture, or an array [h, w] or [h, w, 1-4].
        options: `downscale` applies.
        config: its format.

    Raises:
        InputError: it can't be read, or isn't a picture.
    """
    return (config or PictureFile()).build(source, options)
