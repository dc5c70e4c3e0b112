"""Keys of lenses in captures and camera paths: which are read, and which are of lenses we lack."""

from __future__ import annotations

import re

DISTORTION = ("k1", "k2", "p1", "p2")
MODELS = ("OPENCV", "PINHOLE", "SIMPLE_PINHOLE", "RADIAL", "SIMPLE_RADIAL")
"""Values of camera_model that k1 k2 p1 p2 can express."""
OTHER_LENS = re.compile(
    r"k([3-9]|1\d)|p[3-9]|s[1-4]|tau_?[xy]|b[12]|skew|ftheta.*|(is_)?fisheye.*|latlong|panorama"
    r"|(is_)?equirectangular|(is_)?orthographic|omnidirectional|distortion.*|rolling_shutter.*"
)
"""Keys of lenses and projections we don't have; false, zero and empty mean that there is none."""


def is_set(value: object) -> bool:
    """Whether a key says something: null, false, zero, and what is empty or full of them don't."""
    if isinstance(value, list | tuple):
        return any(is_set(entry) for entry in value)
    return bool(value)
