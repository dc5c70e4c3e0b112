"""Which views a path goes through, and in which order."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Literal

import torch

from polyfield.errors import InputError
from polyfield.scenes.cameras import Camera

Order = Literal["capture", "nearest"]
"""As the data lists them, or each time the nearest of those that are left."""
_PART = re.compile(r"(\d{1,6})(?:-(\d{1,6}))?")


def chosen_views(splits: Mapping[str, Sequence[Camera]], text: str) -> list[Camera]:
    """The views that a user names.

    Args:
        splits: cameras by split.
        text: a split, or numbers in it, the first is 0: train, test, train:0,5,10-20.

    Raises:
        InputError: no such split or view.
    """
    split, colon, numbers = text.partition(":")
    cameras = splits.get(split)
    if not cameras:
        have = ", ".join(name for name, found in splits.items() if found)
        raise InputError(f"--through {have}, or numbers in it", repr(text[:60]), "pick one")
    if not colon:
        return list(cameras)
    found: list[Camera] = []
    for part in numbers.split(","):
        match = _PART.fullmatch(part.strip())
        first = -1 if match is None else int(match[1])
        last = first if match is None or match[2] is None else int(match[2])
        if not 0 <= first < len(cameras) or not 0 <= last < len(cameras):
            raise InputError(
                f"numbers of views from 0 to {len(cameras) - 1} in --through {split}:...",
                repr(part[:40]),
                f"give for instance {split}:0,2,4 or {split}:0-{len(cameras) - 1}",
            )
        step = 1 if last >= first else -1
        found += [cameras[i] for i in range(first, last + step, step)]
    return found


def nearest_order(cameras: Sequence[Camera]) -> list[Camera]:
    """From the first view each time on to the nearest of those that are left.

    Near is what is near in place, in units of how far the cameras are spread, and in direction.
    """
    poses = torch.stack([camera.pose for camera in cameras]).double()
    places, forward = poses[:, :3, 3], poses[:, :3, 2]
    spread = float((places - places.mean(0)).square().sum(1).mean().sqrt())
    turned = torch.acos((forward @ forward.T).clamp(-1, 1))
    apart = torch.cdist(places, places) / max(spread, 1e-12) + turned
    order, left = [0], set(range(1, len(cameras)))
    while left:
        nearest = min(left, key=lambda index: float(apart[order[-1], index]))
        order.append(nearest)
        left.remove(nearest)
    return [cameras[index] for index in order]
