"""What is learned beside a radiance field: what is behind the scene, and how each image was taken.

Each is off unless asked for, and a group of parameters of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from polyfield.renderers.appearance import TaggedAppearance
from polyfield.renderers.pose_refinement import PoseRefinement
from polyfield.renderers.sky import Sky
from polyfield.renderers.volume import RenderOutput
from polyfield.scenes.rays import Rays

RATES = {"sky": 1e-2, "appearance": 5e-3, "poses": 5e-4}
"""Adam's rates of these groups where a fit's own don't name them."""


@dataclass(frozen=True)
class Corrections:
    """Which of them there are."""

    sky: Sky | None = None
    """A colour for every direction, behind everything."""
    appearance: TaggedAppearance | None = None
    """What differs in colour between the training images."""
    poses: PoseRefinement | None = None
    """A small motion of each training camera."""

    def build(self, images: int, length: float) -> Corrected:
        """The modules, without effect at first.

        Args:
            images: number of training images.
            length: longest edge of the scene's box, world units.
        """
        return Corrected(self, images, length)


class Corrected(nn.Module):
    """The modules of `Corrections`."""

    def __init__(self, config: Corrections, images: int, length: float) -> None:
        super().__init__()
        self.sky = None if config.sky is None else config.sky.build()
        self.appearance = None if config.appearance is None else config.appearance.build(images)
        self.poses = None if config.poses is None else config.poses.build(images, length)

    def parts(self) -> Mapping[str, nn.Module]:
        """Those that there are, by name."""
        return dict(self.named_children())

    def rays(self, rays: Rays) -> Rays:
        """Rays of training images, of any shape, from where their cameras are by now."""
        return rays if self.poses is None else self.poses(rays)

    def over(
        self,
        seen: RenderOutput,
        directions: Float[Tensor, "n 3"],
        background: Float[Tensor, "*#n 3"] | None,
        image: Int64[Tensor, "n"] | None,
    ) -> Float[Tensor, "n 3"]:
        """The colours of rays [n], with what is behind them.

        Args:
            seen: of the scene alone.
            directions: of the rays.
            background: behind everything; None for the sky, which there is then.
            image: which training image they are of; None for the scene's own colours.
        """
        if background is None:
            assert self.sky is not None, "a sky or a background"
            # The sky was taken by the same cameras.
            color = seen.over(self.sky(directions))
            whole = torch.ones_like(seen.opacity)
            return self._developed(color, whole, image)
        color = self._developed(seen.color, seen.opacity, image)
        return color + (1 - seen.opacity[..., None]) * background

    def _developed(
        self, color: Tensor, opacity: Tensor, image: Int64[Tensor, "n"] | None
    ) -> Float[Tensor, "n 3"]:
        if self.appearance is None or image is None:
            return color
        found: Tensor = self.appearance(color, opacity, image)
        return found
