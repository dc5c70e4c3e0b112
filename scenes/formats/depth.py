"""Depth images -> points of the scene, which serve its bounds; nothing is trained on them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float64

from polyfield.errors import InputError
from polyfield.scenes.cameras import Cameras
from polyfield.scenes.formats.frames import PosedImage
from polyfield.scenes.images import read_image

IMAGES = 16
"""Depth images that are looked at, evenly spread."""
SIDE = 24
"""Points along each side of an image."""


def depth_points(images: Sequence[PosedImage]) -> Float64[np.ndarray, "n 3"] | None:
    """Points of the scene by some pixels of some depth images; None where there are none.

    A depth is along the optical axis, or along the ray of a fisheye lens or panorama; 0, NaN and
    infinity are no depth.

    Args:
        images: posed; those without a depth image are passed over.

    Returns:
        In the user's frame.

    Raises:
        InputError: a depth image that can't be read, or one in colour.
    """
    deep = [image for image in images if image.depth is not None and image.depth_scale > 0]
    if not deep:
        return None
    chosen = [deep[int(i)] for i in np.linspace(0, len(deep) - 1, min(len(deep), IMAGES))]
    points = np.concatenate([_points(image) for image in chosen])
    return points if len(points) else None


def _points(image: PosedImage) -> Float64[np.ndarray, "n 3"]:
    assert image.depth is not None
    depth = read_image(image.depth)
    height, width, channels = depth.shape
    if channels > 2:
        raise InputError(
            f"a depth image of one channel for {image.name}",
            f"{channels} in {image.depth}",
            "remove its key, or write depth in 16 bits",
        )
    column, row = np.meshgrid(_spread(width), _spread(height))
    seen = depth[row, column, 0].astype(np.float64).ravel() * image.depth_scale
    measured = np.isfinite(seen) & (seen > 0)
    camera = image.camera.resized(width, height)
    pixel = torch.from_numpy(np.stack([column.ravel(), row.ravel()], 1) + 0.5).float()
    cameras = Cameras.stack([camera])
    rays = cameras.rays(torch.zeros(len(pixel), dtype=torch.int64), pixel).directions.double()
    if camera.lens.plane.is_flat:
        rays = rays / (rays @ -camera.pose[:3, 2])[:, None]
    return (camera.pose[:3, 3].numpy() + rays.numpy() * seen[:, None])[measured]


def _spread(count: int) -> np.ndarray:
    """Numbers of pixels, evenly spread."""
    return ((np.arange(min(count, SIDE)) + 0.5) * count / min(count, SIDE)).astype(np.int64)
