"""Taking a browser's camera somewhere."""

from __future__ import annotations

import math
from dataclasses import replace

from polyfield.apps.viewer.frames import Eye, Frame, Three, rotation
from polyfield.apps.viewer.server import Window
from polyfield.scenes.cameras import Camera
from polyfield.scenes.viewpoints import moved

WIDEST = math.radians(120)
"""Field of view that a browser is given, at most."""
NEAREST = 0.5
"""Of what a browser's camera turns about, before it; lengths of the browser's frame."""


def go_to(window: Window, frame: Frame, camera: Camera, canvas: Eye | None) -> None:
    """Take a browser to a camera, all of whose image is seen there.

    Args:
        window: of the browser.
        frame: of the scene.
        camera: in the user's frame.
        canvas: of the browser; None where its size isn't known yet.
    """
    eye = frame.eye(moved(camera, camera.pose))
    if canvas is not None:
        eye = whole_on(eye, canvas)
    window.move(eye.wxyz, eye.position, eye.fov, target_of(eye))


def whole_on(eye: Eye, canvas: Eye) -> Eye:
    """An eye that sees all of its image on a canvas that may be narrower, such as a phone's.

    Args:
        eye: as its camera is.
        canvas: of the browser.

    Returns:
        The same place and direction; its field of view is that of the canvas's height, so wide
        that the image's width is on it, and at most WIDEST unless it was wider.
    """
    narrower = eye.width / eye.height * canvas.height / canvas.width
    if narrower <= 1:
        return eye
    fov = 2 * math.atan(math.tan(eye.fov / 2) * narrower)
    return replace(eye, fov=max(eye.fov, min(fov, WIDEST)))


def target_of(eye: Eye) -> Three:
    """What it turns about: of the points straight before it the one next to the box's middle."""
    forward = rotation(eye.wxyz)[:, 2].tolist()
    # The middle of the box is zero in the browser's frame.
    depth = -sum(a * b for a, b in zip(forward, eye.position, strict=True))
    depth = max(depth, NEAREST) if math.isfinite(depth) else NEAREST
    x, y, z = (p + depth * f for p, f in zip(eye.position, forward, strict=True))
    return x, y, z
