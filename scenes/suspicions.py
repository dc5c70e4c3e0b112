"""What the cameras of a capture give away: the commonest mistakes of poses and boxes, told."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from polyfield.errors import InputError
from polyfield.scenes.base import ReadOptions
from polyfield.scenes.bounds import CommonView, at_one_point, common_view
from polyfield.scenes.cameras import Cameras

PROBES = 9
"""Rays along each side of an image that are sent at a box."""
CAMERAS = 64
"""Cameras that are asked, evenly spread."""
HARDLY = 0.01
"""Share of the rays below which they hardly meet the box."""


def suspicious_poses(cameras: Cameras, has_alpha: Callable[[], bool], path: str) -> list[str]:
    """At most one line on poses that look like another convention or like a tripod.

    Args:
        cameras: those of the training split.
        has_alpha: whether the images show a thing in front of nothing; asked only on suspicion.
        path: the data, for the line.
    """
    if len(cameras) < 3:
        return []
    if at_one_point(cameras):
        return [
            f"all {len(cameras)} cameras of {path} stand at one point: nothing can be known of"
            " distances; if the poses are world-to-camera, invert them"
        ]
    if cameras.see_all_round:
        return []
    view = common_view(cameras.poses)
    if not _meet(view):
        back = common_view(_inverted(cameras))
        if _meet(back):
            return [
                f"the poses of {path} look like world-to-camera matrices: inverted, the cameras"
                " look at one point; camera-to-world in OpenGL axes is expected"
            ]
        return []
    up = cameras.poses[:, :3, 1].mean(0)
    if view.is_behind and (float(up[2]) < 0 or has_alpha()):
        return [
            f"the cameras of {path} look away from the one point where their axes meet: if the"
            " poses are in OpenCV axes (y down, z forward), negate their second and third column"
        ]
    return []


def check_box(cameras: Cameras, bounds: Tensor, unbounded: bool, options: ReadOptions) -> list[str]:
    """At most one line on a user's box that hardly any ray of the images meets.

    Raises:
        InputError: none does, and there is nothing outside of it to learn.
    """
    if options.bounds is None:
        return []
    share = _meeting(cameras, bounds)
    if share > HARDLY:
        return []
    given = " ".join(f"{value:g}" for value in options.bounds)
    low, high = cameras.poses[:, :3, 3].amin(0), cameras.poses[:, :3, 3].amax(0)
    origin = torch.tensor(cameras.origin)
    where = [" ".join(f"{v:.4g}" for v in (end + origin).tolist()) for end in (low, high)]
    if share == 0 and not unbounded:
        raise InputError(
            "bounds that some pixel sees",
            f"{given}, which no ray of the training images meets",
            f"give them in the data's own frame: its cameras are between {where[0]} and {where[1]}",
        )
    return [
        f"the bounds {given} are met by {share:.1%} of the rays of the training images (cameras"
        f" between {where[0]} and {where[1]}): are they in the data's own frame?"
    ]


def _meet(view: CommonView) -> bool:
    """Whether the axes meet, ahead of the cameras or behind."""
    return view.is_crossing and (view.is_ahead or view.is_behind)


def _inverted(cameras: Cameras) -> Float[Tensor, "n 4 4"]:
    return torch.linalg.inv(cameras.poses.double())


def _meeting(cameras: Cameras, bounds: Float[Tensor, "2 3"]) -> float:
    """Share of a grid of rays that meet a box."""
    chosen = torch.linspace(0, len(cameras) - 1, min(len(cameras), CAMERAS)).round().long()
    unit = (torch.arange(PROBES) + 0.5) / PROBES
    grid = torch.cartesian_prod(unit, unit)
    pixel = (grid * cameras.size[chosen][:, None]).reshape(-1, 2)
    rays = cameras.rays(chosen.repeat_interleave(len(grid)), pixel)
    # The slab test: where a ray enters and leaves the three pairs of planes.
    steps = (bounds[:, None] - rays.origins) / rays.directions
    enter, leave = steps.amin(0).amax(1), steps.amax(0).amin(1)
    return float(((enter <= leave) & (leave > 0)).float().mean())
