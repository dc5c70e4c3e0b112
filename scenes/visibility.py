"""Which places cameras see: what none or one of them sees can't be known.

A field likes to explain an image by a curtain right before its lens. Where the cameras look at one
thing, no curtain is seen by several of them. Instant-ngp's released code leaves out the cells that
no camera sees; here it is those that few see.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Float64
from torch import Tensor

from polyfield.scenes.bounds import common_view
from polyfield.scenes.cameras import Camera, Cameras
from polyfield.scenes.lenses.base import Lens


def look_at_one_thing(cameras: Cameras) -> bool:
    """Whether the optical axes meet ahead of most cameras, as they don't on a walk."""
    if cameras.see_all_round or len(cameras) < 2:
        return False
    view = common_view(cameras.poses.cpu())
    return view.is_ahead and view.is_crossing


@torch.no_grad()
def seen_by(cameras: Cameras, x: Float[Tensor, "n 3"], enough: int) -> Bool[Tensor, " n"]:
    """Whether at least `enough` cameras have a point in their image, occlusion aside.

    Args:
        cameras: all of one frame.
        x: in that frame, on their device.
        enough: at least 1.
    """
    count = torch.zeros(len(x), dtype=torch.int32, device=x.device)
    left = torch.arange(len(x), device=x.device)
    # Neighbours see the same; cameras from all over settle most points early.
    order = torch.randperm(len(cameras), generator=torch.Generator().manual_seed(0)).tolist()
    for number, camera in enumerate(order):
        count[left] += _in_image(cameras, camera, x[left]).int()
        if number % 8 == 7:
            left = left[count[left] < enough]
    return count >= enough


def pixels_of(camera: Camera, x: Float64[Tensor, "n 3"]) -> Float64[Tensor, "n 2"]:
    """Where a camera sees points of the user's frame: column and row; NaN where it can't."""
    column, row = _on_plane(camera.lens, (x - camera.pose[:3, 3]) @ camera.pose[:3, :3])
    return torch.stack([column * camera.fl_x + camera.cx, row * camera.fl_y + camera.cy], 1)


def _on_plane(lens: Lens, local: Float[Tensor, "n 3"]) -> tuple[Tensor, Tensor]:
    """Points of a camera's own axes on its image plane, focal lengths from the axis."""
    # OpenGL's axes to OpenCV's: y down, z ahead.
    right, up, back = local.unbind(1)
    values = lens.coefficients()
    k = local.new_tensor(values) if any(values) else None
    return lens.project((right, -up, -back), k)


def _in_image(cameras: Cameras, camera: int, x: Float[Tensor, "n 3"]) -> Bool[Tensor, " n"]:
    """Whether points lie in the image of a camera."""
    pose, lens = cameras.poses[camera], cameras.lenses[camera]
    column, row = _on_plane(lens, (x - pose[:3, 3]) @ pose[:3, :3])
    (fl_x, fl_y), (cx, cy) = cameras.focal[camera], cameras.center[camera]
    width, height = cameras.size[camera].tolist()
    column, row = column * fl_x + cx, row * fl_y + cy
    # NaN, for what is behind, is never within.
    return (column >= 0) & (column <= width) & (row >= 0) & (row <= height)
