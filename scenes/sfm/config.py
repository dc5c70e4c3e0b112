"""What a user chooses about poses from photographs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from polyfield.ranges import Range

CameraModel = Literal[
    "auto", "SIMPLE_PINHOLE", "PINHOLE", "SIMPLE_RADIAL", "RADIAL", "OPENCV", "OPENCV_FISHEYE"
]
"""Lens models of COLMAP that a transforms.json has keys for."""


@dataclass(frozen=True)
class Sfm:
    """How photographs become posed images."""

    camera_model: CameraModel = "auto"
    """Lens; auto is OPENCV for a camera of a dozen images, else SIMPLE_RADIAL."""
    cameras: Literal["auto", "one", "each"] = "auto"
    """One camera for all images, one for each; auto: one for those of a size, make and zoom."""
    intrinsics: str | None = None
    """Known ones: fx,fy,cx,cy[,k1,k2,p1,p2], a transforms.json, or a folder of a COLMAP model."""
    masks: str | None = None
    """Folder with a mask for each image, NAME.png or NAME.jpg.png; black is not looked at."""
    frames: Annotated[int, Range(3, 10000)] = 120
    """How many frames are taken from a video: the sharpest of as many equal parts."""
    max_side: Annotated[int, Range(64, 65536, also=0)] = 0
    """Images with a longer side are shrunk to it, pixels; 0 keeps them."""
    matching: Literal["auto", "all", "near"] = "auto"
    """Match every pair of images, or neighbours and those that look alike; auto: all up to 120."""
    feature_side: Annotated[int, Range(64, 8192)] = 2000
    """Longest side of what features are looked for in, pixels."""
    features: Annotated[int, Range(100, 65536)] = 8192
    """Most features of an image."""
