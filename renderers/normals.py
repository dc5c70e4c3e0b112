"""Normals of what rays see: the direction in which density falls, where a ray is stopped."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from polyfield.encodings.domain import Domain
from polyfield.renderers.samplers import Density
from polyfield.renderers.volume import RenderOutput
from polyfield.scenes.rays import Rays

STEP = 1 / 128
"""How far around a point the density is asked, of the box's longest edge: finer than this it is
the noise of the field."""
SEEN = 0.5
"""Opacity below which a ray has met nothing."""
ROWS = 1 << 16
"""Points asked at once."""


@torch.no_grad()
def normals(
    density: Density, domain: Domain, rays: Rays, seen: RenderOutput
) -> Float[Tensor, "*b 3"]:
    """Unit normals, turned towards the eye, in the frame of the rays; 0 where nothing is met.

    Central differences of the density about the mean point of each ray.

    Args:
        density: of the rays' world.
        domain: where it is.
        rays: of any shape, on the device of the density.
        seen: what they see; on any device.

    Returns:
        On the CPU.
    """
    flat = rays.flatten()
    depth = seen.depth.reshape(-1).to(flat.near.device)
    met = (seen.opacity.reshape(-1).to(depth.device) > SEEN).nonzero()[:, 0]
    found = torch.zeros_like(flat.origins)
    axes = torch.eye(3, device=depth.device)
    for part in met.split(ROWS):
        directions = flat.directions[part]
        x = flat.origins[part] + depth[part, None] * directions
        reach = (STEP * domain.length * domain.stretch(x))[:, None]
        fall = torch.stack(
            [density(x - reach * axis) - density(x + reach * axis) for axis in axes],
            dim=-1,
        )
        away = (fall * directions).sum(-1, keepdim=True) > 0
        length = fall.norm(dim=-1, keepdim=True)
        fall = torch.where(length > 0, fall / length.clamp(min=1e-30), -directions)
        found[part] = torch.where(away & (length > 0), -fall, fall)
    return found.reshape(*rays.shape, 3).cpu()
