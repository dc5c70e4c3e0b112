"""Taking a browser's camera somewhere."""

from __future__ import annotations

import math

from polyfield.apps.viewer.frames import Eye, Frame, Three, rotation
from polyfield.apps.viewer.server import Window
from polyfield.scenes.cameras import Camera
from polyfield.scenes.viewpoints import moved

NEAREST = 0.5
"""Of what a browser's camera turns about, before it; lengths of the browser's frame."""


def go_to(window: Window, frame: Frame, camera: Camera) -> None:
    """Take a browser to a camera."""
    eye = frame.eye(moved(camera, camera.pose))
    window.move(eye.wxyz, eye.position, eye.fov, target_of(eye))


def target_of(eye: Eye) -> Three:
    """What it turns about: of the points straight before it the one next to the box's middle."""
    forward = rotation(eye.wxyz)[:, 2].tolist()
    # The middle of the box is zero in the browser's frame.
    depth = -sum(a * b for a, b in zip(forward, eye.position, strict=True))
    depth = max(depth, NEAREST) if math.isfinite(depth) else NEAREST
    x, y, z = (p + depth * f for p, f in zip(eye.position, forward, strict=True))
    return x, y, z
