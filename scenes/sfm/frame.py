"""The frame of a reconstruction, which photographs leave open: z up, centred, of usual size."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from polyfield.scenes.bounds import common_view
from polyfield.scenes.sfm.mapping import Model

DISTANCE = 4.0
"""Mean distance of the cameras from the middle: as instant-ngp's own script leaves them."""


def framed(model: Model) -> Model:
    """The same model with z up, its middle at the origin, cameras some `DISTANCE` away.

    Up is the mean of the cameras' up. The middle is what they look at together, else where they
    stand.
    """
    poses = np.stack([view.pose for view in model.views])
    rotation = _turned_up(poses[:, :3, 1].mean(0))
    positions = poses[:, :3, 3]
    seen = common_view(torch.from_numpy(poses))
    middle = seen.center.numpy() if seen.is_ahead else positions.mean(0)
    distance = float(np.linalg.norm(positions - middle, axis=1).mean())
    scale = DISTANCE / distance if distance > 0 else 1.0

    def moved(points: np.ndarray) -> np.ndarray:
        return (points - middle) @ rotation.T * scale

    views = []
    for view in model.views:
        pose = view.pose.copy()
        pose[:3, :3] = rotation @ pose[:3, :3]
        pose[:3, 3] = moved(pose[None, :3, 3])[0]
        views.append(replace(view, pose=pose))
    return replace(model, views=views, points=moved(model.points))


def _turned_up(up: np.ndarray) -> np.ndarray:
    """The smallest rotation that takes a direction to +z; none for no direction.

    Source: Rodrigues' formula, with the half turn about x where the direction is -z.
    """
    length = float(np.linalg.norm(up))
    if length < 1e-9:
        return np.eye(3)
    x, y, z = up / length
    if z < -1 + 1e-9:
        return np.diag([1.0, -1.0, -1.0])
    axis = np.array([[0.0, 0.0, -x], [0.0, 0.0, -y], [x, y, 0.0]])
    return np.eye(3) + axis + axis @ axis / (1 + z)
