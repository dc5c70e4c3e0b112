"""Posed images of any file format -> a capture: frame, bounds, what is outside, suspicions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor

from polyfield.memory import parse_bytes
from polyfield.scenes.base import ReadOptions
from polyfield.scenes.bounds import look_inward, own_frame, scene_bounds
from polyfield.scenes.cameras import Cameras
from polyfield.scenes.formats.frames import PosedImage, read_pixels, views_of
from polyfield.scenes.formats.posed import PosedCapture
from polyfield.scenes.similarity import Similarity
from polyfield.scenes.suspicions import check_box

LOOKED_AT = 15
"""Images, evenly spread, that are decoded to see whether there is alpha in them."""


@dataclass(frozen=True)
class Parts:
    """What a format found out about a capture."""

    name: str
    """For titles."""
    path: str
    """As the user gave it."""
    splits: Mapping[str, Sequence[PosedImage]]
    """Train first; no split is empty."""
    missing: list[str]
    """Names of images that are not there."""
    warnings: list[str]
    """One line each."""
    points: Float64[np.ndarray, "n 3"] | None = None
    """Points of the scene that the format knows, the user's frame."""
    box: Float64[np.ndarray, "2 3"] | None = None
    """Corners of the scene's box, where the format has one; the user's frame."""


def capture_of(
    parts: Parts, options: ReadOptions, is_unbounded: Callable[[bool], bool]
) -> PosedCapture:
    """The capture of these images.

    Args:
        parts: what the format found.
        options: how to read them.
        is_unbounded: whether there is something outside the bounds, given whether the cameras look
            outward.

    Raises:
        InputError: images don't go together, or the user's box is where nothing is seen.
    """
    train = parts.splits["train"]
    taken = [image.camera for image in train]
    rough = Cameras.stack(taken, frame=own_frame(taken))
    unbounded = is_unbounded(not look_inward(rough))

    def bounds_of(cameras: Cameras, points: Float[Tensor, "n 3"] | None) -> Float64[Tensor, "2 3"]:
        return scene_bounds(cameras, options, parts.box, points, unbounded)

    box = bounds_of(rough, _in_frame(parts.points, rough.frame))
    frame = Similarity.of_box(rough.frame.users(box))
    points = _in_frame(parts.points, frame)
    bounds = bounds_of(Cameras.stack(taken, frame=frame), points).float()
    views = {split: views_of(images, options, frame) for split, images in parts.splits.items()}
    cameras = views["train"].cameras
    warnings = [
        *parts.warnings,
        *check_box(cameras, bounds, unbounded, options),
    ]
    return PosedCapture(
        name=parts.name,
        path=parts.path,
        bounds=bounds,
        unbounded=unbounded,
        color_space="linear" if train[0].header.info.is_float else "srgb",
        views=views,
        frames_skipped=parts.missing,
        warnings=warnings,
        frame=frame,
        points=points,
        memory=None if options.memory is None else parse_bytes(options.memory, "--memory"),
    )


def _in_frame(points: np.ndarray | None, frame: Similarity) -> Float[Tensor, "n 3"] | None:
    """Points that are finite, in a frame; float32. None where none are known."""
    if points is None:
        return None
    finite = np.ascontiguousarray(points[np.isfinite(points).all(1)])
    return frame.normalised(torch.from_numpy(finite)).float()


def show_a_thing(images: Sequence[PosedImage]) -> bool:
    """Whether most images have pixels that aren't opaque: a thing in front of nothing.

    An alpha channel alone doesn't say so, nor does one odd image.
    """
    able = [image for image in images if image.header.info.has_alpha or image.transparent]
    if 2 * len(able) < len(images):
        return False
    step = max(len(images) / LOOKED_AT, 1.0)
    chosen = [images[int(i * step)] for i in range(min(len(images), LOOKED_AT))]
    enough = (len(chosen) + 1) // 2
    found = 0
    for image in chosen:
        found += _is_transparent(image)
        if found >= enough:
            return True
    return False


def _is_transparent(image: PosedImage) -> bool:
    if not (image.header.info.has_alpha or image.transparent):
        return False
    alpha = read_pixels(image)[..., -1]
    opaque = 1 if alpha.dtype.kind == "f" else np.iinfo(alpha.dtype).max
    clear = alpha < opaque
    return bool((clear if image.mask is None else clear & image.mask.kept(1)).any())
