"""Files on disk -> cameras, rays, pixels.

`Format` (in `captures`) and `SignalConfig` are the lists of formats.
"""

from __future__ import annotations

import os

import numpy as np

from polyfield.scenes.base import Capture, ReadOptions, Scene, Signal
from polyfield.scenes.cameras import Camera, Cameras
from polyfield.scenes.captures import FORMATS, Format, detect, format_named, open_capture
from polyfield.scenes.demo.capture import Analytic
from polyfield.scenes.formats.blender import Blender
from polyfield.scenes.formats.colmap import Colmap
from polyfield.scenes.formats.llff import Llff
from polyfield.scenes.formats.nsvf import Nsvf
from polyfield.scenes.formats.polycam import Polycam
from polyfield.scenes.formats.record3d import Record3d
from polyfield.scenes.formats.transforms import Transforms
from polyfield.scenes.rays import Rays
from polyfield.scenes.signals.image import ImageFile, ImageSignal

__all__ = [
    "Analytic",
    "Blender",
    "Camera",
    "Cameras",
    "Capture",
    "Colmap",
    "FORMATS",
    "Format",
    "ImageSignal",
    "ImageFile",
    "Llff",
    "Nsvf",
    "Polycam",
    "Rays",
    "ReadOptions",
    "Record3d",
    "Scene",
    "Signal",
    "SignalConfig",
    "Transforms",
    "detect",
    "format_named",
    "open_capture",
    "open_image",
]

SignalConfig = ImageFile
"""Every format of values at coordinates."""


def open_image(
    source: str | os.PathLike[str] | np.ndarray,
    options: ReadOptions,
    config: SignalConfig | None = None,
) -> ImageSignal:
    """Read an image as a signal.

    Args:
        source: a file, "demo" for the built-in image, or an array [h, w] or [h, w, 1-4].
        options: `downscale` applies.
        config: its format.

    Raises:
        InputError: it can't be read, or isn't an image.
    """
    return (config or ImageFile()).build(source, options)
