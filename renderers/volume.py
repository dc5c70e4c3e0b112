"""Volume rendering as pure functions of packed samples."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from polyfield.fields.base import RadianceField, RadianceSample
from polyfield.renderers.intervals import Intervals
from polyfield.renderers.kernels import composite as kernel
from polyfield.renderers.kernels.along import along
from polyfield.scenes.rays import Rays


@dataclass
class RenderOutput:
    """What rays see."""

    color: Float[Tensor, "*b 3"]
    """In front of nothing: multiply-added over a background by `over`."""
    opacity: Float[Tensor, "*b"]
    """In [0, 1]."""
    depth: Float[Tensor, "*b"]
    """Mean distance t of what is seen, world units; 0 where nothing is."""

    def over(self, background: Float[Tensor, "*#b 3"]) -> Float[Tensor, "*b 3"]:
        """The colour in front of a background."""
        return self.color + (1 - self.opacity[..., None]) * background

    def cpu(self) -> RenderOutput:
        """The same pixels on the CPU."""
        return RenderOutput(self.color.cpu(), self.opacity.cpu(), self.depth.cpu())

    def reshape(self, *shape: int) -> RenderOutput:
        """The same pixels in another batch shape."""
        return RenderOutput(
            self.color.reshape(*shape, 3), self.opacity.reshape(shape), self.depth.reshape(shape)
        )


def points(rays: Rays, intervals: Intervals) -> tuple[Tensor, Tensor]:
    """World points [n, 3] in the middles of the intervals, and their directions [n, 3]."""
    return along(rays.origins, rays.directions, intervals.offsets, intervals.start, intervals.end)


def blend(
    values: Float[Tensor, "n c"], density: Float[Tensor, "n"], intervals: Intervals
) -> tuple[Float[Tensor, "r c"], Float[Tensor, "r"], Float[Tensor, "r"]]:
    """Blend the samples of each ray front to back.

    Args:
        values: [n, c].
        density: [n], >= 0, per world unit.
        intervals: where the samples are.

    Returns:
        (sums of values [r, c] times the weights of samples, opacity [r], depth [r] as of
        `RenderOutput`).
    """
    both = torch.cat([values, intervals.middle[:, None]], -1)
    blended, opacity = kernel.composite(both, density, intervals.length, intervals.offsets)
    return blended[:, :-1], opacity, blended[:, -1] / opacity.detach().clamp(min=1e-6)


def composite(
    rgb: Float[Tensor, "n 3"], density: Float[Tensor, "n"], intervals: Intervals
) -> RenderOutput:
    """Blend colours front to back.

    Args:
        rgb: [n, 3].
        density: [n], >= 0, per world unit.
        intervals: where the samples are.
    """
    return RenderOutput(*blend(rgb, density, intervals))


def rendered(
    field: RadianceField, sample: RadianceSample, intervals: Intervals, rays: Rays
) -> RenderOutput:
    """What rays see of a field.

    Args:
        field: shades what is blended.
        sample: what it says in the middles of the intervals.
        intervals: where the samples are.
        rays: [r], those of the intervals.
    """
    seen, opacity, depth = blend(sample.composited, sample.density, intervals)
    return RenderOutput(field.shade(seen, opacity, rays.directions), opacity, depth)


def transmittance(density: Float[Tensor, "n"], intervals: Intervals) -> Float[Tensor, "n"]:
    """Share of light that reaches each sample from the eye."""
    return kernel.weights(density, intervals.length, intervals.offsets)[1]
