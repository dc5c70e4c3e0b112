"""False colours: values, and above all depth, as images."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from polyfield.quiet import quiet_log


def colored(values: Float[Tensor, "h w"], name: str) -> Float[Tensor, "h w 3"]:
    """Values in [0, 1] through one of matplotlib's colour maps."""
    with quiet_log("matplotlib"):
        from matplotlib import colormaps

    return torch.from_numpy(colormaps[name](values.detach().cpu().numpy())[..., :3]).float()


def depth_picture(
    depth: Float[Tensor, "h w"], opacity: Float[Tensor, "h w"], near: float, far: float
) -> Float[Tensor, "h w 3"]:
    """Depth in false colours, near bright, empty space black.

    Args:
        depth: Distance along the ray, world units.
        opacity: In [0, 1].
        near: Distance shown as the brightest.
        far: Distance shown as the darkest.
    """
    share = 1 - (depth - near) / max(far - near, 1e-30)
    return colored(share.nan_to_num(0).clamp(0, 1), "turbo") * opacity.clamp(0, 1)[..., None]


def depth_range(depth: Float[Tensor, "h w"], opacity: Float[Tensor, "h w"]) -> tuple[float, float]:
    """Distances between which most of the opaque pixels lie, a little widened."""
    solid = depth[opacity > 0.5]
    if not len(solid):
        return 0.0, 1.0
    low, high = np.percentile(solid.cpu().numpy(), (1, 99)).tolist()
    margin = 0.1 * (high - low) + 1e-6 * high
    return low - margin, high + margin
