"""One view made into another: moved, at another image size, looking at something."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from polyfield.allocation import total_memory
from polyfield.errors import InputError
from polyfield.scenes.axes import across
from polyfield.scenes.cameras import Camera, pinhole_scale

MAX_SIDE = 65536
"""Longest side of an image, in pixels."""
MAX_FRAMES = 100_000
"""Most frames of a path: an hour at 30 a second."""
BYTES_PER_PIXEL = 128
"""What drawing an image holds at once for each pixel: rays, colour, depth, opacity, copies."""


def sized(camera: Camera, width: int, height: int) -> Camera:
    """The same view at another image size, pixels kept square.

    All of the old image stays in sight; where the sides' ratio differs, more is seen beside it. A
    panorama has nothing beside it: it is stretched.
    """
    if not camera.lens.plane.has_axis:
        return camera.resized(width, height)
    scale = min(width / camera.width, height / camera.height)
    return Camera(
        camera.pose,
        width,
        height,
        camera.fl_x * scale,
        camera.fl_y * scale,
        width / 2 + (camera.cx - camera.width / 2) * scale,
        height / 2 + (camera.cy - camera.height / 2) * scale,
        camera.lens,
    )


def moved(camera: Camera, pose: Float[Tensor, "4 4"]) -> Camera:
    """The same view from another pose, as a pinhole (see `pinhole_scale`), without distortion."""
    extent = max(camera.width / camera.fl_x, camera.height / camera.fl_y)
    scale = pinhole_scale(camera.lens, extent)
    focal = (camera.fl_x * scale, camera.fl_y * scale)
    return Camera(pose, camera.width, camera.height, *focal, camera.cx, camera.cy)


def with_field_of_view(camera: Camera, degrees: float) -> Camera:
    """The same view with another vertical field of view; pixels keep their shape."""
    focal = camera.height / 2 / math.tan(math.radians(degrees) / 2)
    return replace(camera, fl_x=camera.fl_x * focal / camera.fl_y, fl_y=focal)


def parse_field_of_view(text: str) -> tuple[float, float]:
    """A vertical field of view in degrees, at the first and at the last frame: 50, or 60:30.

    Raises:
        InputError: not one or two numbers between 1 and 170.
    """
    parts = text.split(":")
    try:
        first, last = (float(part) for part in (parts if len(parts) == 2 else (text, text)))
    except ValueError:
        first = last = -1.0
    if not (1 <= first <= 170 and 1 <= last <= 170):
        raise InputError(
            "--fov in degrees, from 1 to 170", repr(text[:40]), "give for instance 50, or 60:30"
        )
    return first, last


def looking_at(
    position: Float[Tensor, " 3"], target: Float[Tensor, " 3"], up: Float[Tensor, " 3"]
) -> Float[Tensor, "4 4"]:
    """A camera-to-world pose in OpenGL axes that looks from one point at another."""
    away = position - target
    # Of any scale: a scene may be a millionth of a unit large.
    back = unit(away / away.abs().max().clamp(min=1e-300), up)
    right = unit(torch.linalg.cross(up, back), across(back))
    pose = torch.eye(4, dtype=position.dtype)
    pose[:3, 0] = right
    pose[:3, 1] = torch.linalg.cross(back, right)
    pose[:3, 2] = back
    pose[:3, 3] = position
    return pose


def unit(vector: Float[Tensor, " 3"], otherwise: Float[Tensor, " 3"]) -> Float[Tensor, " 3"]:
    """The vector at length 1; `otherwise` where it has no direction."""
    length = float(vector.norm())
    return vector / length if length > 1e-6 else otherwise


def parse_size(text: str) -> tuple[int, int]:
    """An image size in words, such as 640x480.

    Raises:
        InputError: not two numbers, or an image that can't be drawn here.
    """
    found = re.fullmatch(r"([0-9]{1,9})[xX×]([0-9]{1,9})", text.strip())
    if not found:
        raise InputError("--size WxH in pixels", repr(text[:40]), "give for instance 640x480")
    width, height = int(found[1]), int(found[2])
    check_size(width, height, "--size")
    return width, height


def check_size(width: int, height: int, where: str) -> None:
    """Raise for an image that is empty or that this machine can't hold.

    Args:
        width: In pixels.
        height: In pixels.
        where: What says so, for the message.

    Raises:
        InputError: a side outside 1 to 65536, or more memory than the machine has.
    """
    if not (1 <= width <= MAX_SIDE and 1 <= height <= MAX_SIDE):
        raise InputError(
            f"sides of 1 to {MAX_SIDE} pixels in {where}",
            f"{width}x{height}",
            "give for instance 640x480",
        )
    need, have = width * height * BYTES_PER_PIXEL, total_memory() or math.inf
    if need > have:
        raise InputError(
            f"an image size in {where} that fits in memory, {have / 1e9:.3g} GB here",
            f"{width}x{height}, which needs {need / 1e9:.3g} GB",
            "choose a smaller one",
        )


def check_frames(count: int, where: str) -> None:
    """Raise for no frames, or more than a path can have.

    Raises:
        InputError: outside 1 to 100000.
    """
    if not 1 <= count <= MAX_FRAMES:
        got = str(count) if abs(count) < 10**12 else "a larger number"
        raise InputError(f"frames of 1 to {MAX_FRAMES} in {where}", got, "change --frames")
