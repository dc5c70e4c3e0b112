"""Terms against floaters: what hangs in the air because few images see it.

Symbols, for the samples i of one ray, front to back: t_i its middle, [a_i, b_i] its interval, w_i
its weight, s(t) = t / (t + L) with L the longest edge of the scene's box, so that s is in [0, 1)
however far t is.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from polyfield.renderers.intervals import Intervals
from polyfield.renderers.kernels.composite import weights


def distortion(
    density: Float[Tensor, "n"], intervals: Intervals, length: float
) -> Float[Tensor, ""]:
    """How spread the weights of rays are: what is seen should be in one place.

    sum_ij w_i w_j |m_i - m_j| + 1/3 sum_i w_i^2 (s(b_i) - s(a_i)), m the middles in s; the mean
    over rays. Source: Barron et al. 2022 (mip-NeRF 360, eq. 15), in linear time by running sums as
    in Sun et al. 2022 (DVGO v2).

    Args:
        density: per world unit, with gradient.
        intervals: where it is.
        length: L, world units.
    """
    if not len(intervals):
        return density.sum()
    weight, _ = weights(density, intervals.length, intervals.offsets)
    near, far = _short(intervals.start, length), _short(intervals.end, length)
    middle = (near + far) / 2
    before, moment = _before(weight, intervals), _before(weight * middle, intervals)
    # Each pair once: all j before i are nearer.
    pairs = 2 * weight * (middle * before - moment)
    alone = weight.square() * (far - near) / 3
    return (pairs + alone).sum() / intervals.n_rays


def near_cameras(
    density: Float[Tensor, "n"], intervals: Intervals, reach: float
) -> Float[Tensor, ""]:
    """Optical thickness within `reach` of the cameras, the mean over rays.

    Nothing can be known of what one camera alone sees; a field likes to explain an image by a
    curtain right before its lens. After Yang et al. 2023 (FreeNeRF, section 4.3: occlusion).

    Args:
        density: per world unit, with gradient.
        intervals: where it is.
        reach: world units.
    """
    close = intervals.middle < reach
    return (density * intervals.length * close).sum() / intervals.n_rays


def _short(t: Float[Tensor, "n"], length: float) -> Float[Tensor, "n"]:
    return t / (t + length)


def _before(value: Float[Tensor, "n"], intervals: Intervals) -> Float[Tensor, "n"]:
    """The sum over the samples of the same ray that come before each."""
    # A running sum over all rays loses digits in float32, so it is carried in float64.
    total = torch.cumsum(value, 0, dtype=torch.float64)
    start = torch.cat([total.new_zeros(1), total])[intervals.offsets[:-1]]
    return (total - value - start[intervals.ray]).to(value.dtype)
