"""Terms against floaters: what hangs in the air because few images see it."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor

from polyfield.renderers.intervals import Intervals
from polyfield.renderers.kernels import distortion as kernel


def distortion(
    density: Float[Tensor, "n"], intervals: Intervals, length: float
) -> Float[Tensor, ""]:
    """How spread the weights of rays are: what is seen should be in one place.

    Barron et al. 2022 (mip-NeRF 360, eq. 15), the mean over rays; the formula is with the kernel.

    Args:
        density: per world unit, with gradient.
        intervals: where it is.
        length: the longest edge of the scene's box, world units.
    """
    return kernel.distortion(density, intervals.start, intervals.end, intervals.offsets, length)


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
