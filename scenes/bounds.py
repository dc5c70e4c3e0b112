"""Where a capture's scene is: the box that cameras imply."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor

from polyfield.scenes.base import Layout, ReadOptions
from polyfield.scenes.cameras import Camera, Cameras
from polyfield.scenes.similarity import Similarity

MARGIN = 1.05
"""How much larger than the cameras' common view the box is."""
ONE_POINT = 1e-3
"""Cameras that are so near to each other (RMS, world units) stand at one point, unless they look at
one: then theirs is a small scene ..."""
ROUNDING = 1e-7
"""... or so near in parts of their distance from zero: float32 rounds that away."""
CROSSING = 0.25
"""Optical axes meet if they pass their common point within this share of its distance (median)."""
ONE_WAY = 0.9
"""Cameras look one way if the mean of their viewing directions is longer than this."""

FEWEST = 64
"""Points below which they say nothing of where the scene is."""
HELD = 0.8
"""Share of the points that the box of an unbounded scene holds at least ..."""
FARTHEST = 2.0
"""... unless that makes it so much larger than the one that the cameras imply."""
REACH = 0.5
"""Half the edge of an unbounded scene's box is at least this share of how far away its middle is:
far out space is contracted so much that cameras there would be lost in it."""
AROUND = 2.0
"""How much larger than the cameras' own extent the box of a walk is: what is seen lies around."""


@dataclass(frozen=True)
class CommonView:
    """What cameras look at together."""

    center: Float[Tensor, " 3"]
    """The point nearest to all optical axes."""
    depth: Float[Tensor, " n"]
    """How far ahead of each camera it is; negative behind."""
    distance: Float[Tensor, " n"]
    """How far from each camera it is."""

    @property
    def is_ahead(self) -> bool:
        """Whether it lies ahead of most cameras, and not far to their side."""
        far, median = self.distance.median(), self.depth.median()
        return bool(median > 0.5 * far) and bool(far > 0)

    @property
    def is_behind(self) -> bool:
        """Whether it lies behind most cameras, and not far to their side."""
        far, median = self.distance.median(), self.depth.median()
        return bool(median < -0.5 * far) and bool(far > 0)

    @property
    def is_crossing(self) -> bool:
        """Whether the axes pass near to it, ahead of the cameras or behind."""
        beside = (self.distance.square() - self.depth.square()).clamp(min=0).sqrt()
        return bool(beside.median() < CROSSING * self.distance.median())


def common_view(poses: Float[Tensor, "n 4 4"]) -> CommonView:
    """The point that cameras look at, or away from.

    Args:
        poses: camera-to-world in OpenGL axes, at least one.
    """
    positions, forward = poses[:, :3, 3].double(), -poses[:, :3, 2].double()
    center = _nearest_point(positions, forward)
    depth = ((center - positions) * forward).sum(1)
    return CommonView(center, depth, (center - positions).norm(dim=1))


def look_inward(cameras: Cameras) -> bool:
    """Whether most cameras look at one point; panoramas look nowhere."""
    return not cameras.see_all_round and common_view(cameras.poses).is_ahead


def at_one_point(cameras: Cameras) -> bool:
    """Whether two or more cameras stand at one point, as on a tripod: no distance can be known."""
    positions = cameras.poses[:, :3, 3].double()
    mean = positions.mean(0)
    spread = float((positions - mean).square().sum(1).mean().sqrt()) / cameras.frame.scale
    place = float(cameras.frame.users(mean).norm())
    if len(cameras) < 2 or spread >= max(ONE_POINT, ROUNDING * place):
        return False
    view = common_view(cameras.poses)
    around = view.is_ahead and view.is_crossing
    away = float(view.distance.median()) / cameras.frame.scale
    small = around and spread > ONE_POINT * away
    return spread < ROUNDING * place or not small


def layout_of(cameras: Cameras, unbounded: bool) -> Layout:
    """What a capture is, for the user to see.

    Args:
        cameras: those of the training split.
        unbounded: whether there is something outside the box.
    """
    if not unbounded:
        return "bounded"
    mean = cameras.poses[:, :3, 2].mean(0)
    return "forward-facing" if float(mean.norm()) > ONE_WAY else "unbounded"


def own_frame(cameras: Sequence[Camera]) -> Similarity:
    """A frame in which float32 has room for these cameras, before the scene's box is known."""
    places = torch.stack([camera.pose[:3, 3] for camera in cameras]).double()
    low, high = places.amin(0), places.amax(0)
    extent = float((high - low).amax())
    x, y, z = ((low + high) / 2).tolist()
    return Similarity((x, y, z), 2 / extent if extent > 0 else 1.0)


def scene_bounds(
    cameras: Cameras,
    options: ReadOptions,
    known: Float64[np.ndarray, "2 3"] | None = None,
    points: Float[Tensor, "n 3"] | None = None,
    unbounded: bool = False,
) -> Float64[Tensor, "2 3"]:
    """The user's box where there is one, else that of the data, else the automatic one.

    Args:
        cameras: at least one camera, usually those of the training split.
        options: `bounds` overrides.
        known: lower and upper corner that the data gives, in its own frame.
        points: in the cameras' frame; None where none are known. The box of a bounded scene has to
            hold all that is seen, so there they are of no use.
        unbounded: whether there is something outside the box.

    Returns:
        Lower and upper corner, in the cameras' frame.
    """
    box = known if options.bounds is None else np.array(options.bounds).reshape(2, 3)
    if box is not None:
        return cameras.frame.normalised(torch.from_numpy(box.astype(np.float64)))
    seen = automatic_bounds(cameras, unbounded)
    enough = unbounded and points is not None and len(points) >= FEWEST
    return (_fitted(seen, points) if enough and points is not None else seen).double()


def _fitted(box: Float[Tensor, "2 3"], points: Float[Tensor, "n 3"]) -> Float[Tensor, "2 3"]:
    """A cube about the middle of a box, as large or larger, that holds most of the points."""
    center = box.double().mean(0)
    half = float((box[1] - box[0]).max()) / 2
    # numpy's, because torch's takes 16 million numbers at most.
    reach = MARGIN * float(np.quantile((points.double() - center).abs().amax(1).numpy(), HELD))
    reach = min(max(reach, half), FARTHEST * half)
    return torch.stack([center - reach, center + reach]).float()


def automatic_bounds(cameras: Cameras, unbounded: bool = False) -> Float[Tensor, "2 3"]:
    """A cube around what the cameras look at.

    Cameras that look inward: the centre is the point nearest to all optical axes, and half the edge
    is the median over the cameras of what the wider side of the image sees at that point; of an
    unbounded scene at least `REACH` of the way to them. Cameras that don't look at a common point
    (a walk, panoramas): a cube around the cameras themselves, of edge 2 where they all stand at one
    point; of an unbounded scene `AROUND` times as large.

    Args:
        cameras: at least one camera.
        unbounded: whether there is something outside the box.

    Returns:
        Lower and upper corner, in the cameras' frame.
    """
    view = common_view(cameras.poses)
    if look_inward(cameras) and not at_one_point(cameras):
        wider = (cameras.size / cameras.pinhole_focal() / 2).amax(1).double()
        center = view.center
        wider = wider.clamp(min=REACH / MARGIN) if unbounded else wider
        half = (view.distance * wider).median()
    else:
        positions = cameras.poses[:, :3, 3].double()
        low, high = positions.amin(0), positions.amax(0)
        center = (low + high) / 2
        half = (high - low).amax() / 2
        alone = at_one_point(cameras) or not bool(half > 0)
        around = half * (AROUND if unbounded else 1.0)
        half = torch.full_like(half, cameras.frame.scale) if alone else around
    return torch.stack([center - MARGIN * half, center + MARGIN * half]).float()


def _nearest_point(
    positions: Float[Tensor, "n 3"], directions: Float[Tensor, "n 3"]
) -> Float[Tensor, " 3"]:
    """The point with the least sum of squared distances to lines.

    Parallel lines leave it undetermined along them: the least-norm step from the mean position.
    """
    across = torch.eye(3, dtype=positions.dtype) - directions[:, :, None] * directions[:, None, :]
    start = positions.mean(0)
    right = (across @ (positions - start)[:, :, None]).sum(0)
    return start + (torch.linalg.pinv(across.sum(0), rtol=1e-6) @ right)[:, 0]
