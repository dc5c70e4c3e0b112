"""Which cells of a grid matter to what cameras see: the others need not be stored.

Source: Reiser et al. 2023 (MERF), who leave out what gives no ray of the training views more than
0.005 of its colour. Here it is 0.05: on the built-in scene and lego as good, and a fifth smaller.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Bool
from torch import Tensor

from polyfield.encodings.domain import Domain
from polyfield.fields.base import RadianceField
from polyfield.renderers.kernels import composite
from polyfield.renderers.samplers import Sampler, cell_of
from polyfield.renderers.volume import points
from polyfield.scenes.cameras import Camera, Cameras
from polyfield.scenes.similarity import Similarity

LEAST = 0.05
"""Share of a ray's colour that a sample has to give."""
VIEWS, SIDE = 100, 96
"""Cameras that are asked, evenly spread, and rays along the longer side of each."""
ROWS = 1 << 13
"""Rays at once."""


@torch.no_grad()
def seen_cells(
    field: RadianceField,
    sampler: Sampler,
    cameras: Sequence[Camera],
    frame: Similarity,
    domain: Domain,
    cells: int,
) -> Bool[Tensor, "R R R"]:
    """Cells of a domain that some camera sees something in.

    Args:
        field: what is seen.
        sampler: where it is asked.
        cameras: the user's frame.
        frame: that of the field.
        domain: what is cut into cells; points outside of a box don't count.
        cells: R, along an axis.
    """
    device = domain.bounds.device
    found = torch.zeros((cells,) * 3, dtype=torch.bool, device=device)
    step = max(len(cameras) / VIEWS, 1.0)
    for number in range(min(len(cameras), VIEWS)):
        camera = cameras[int(number * step)]
        scale = SIDE / max(camera.width, camera.height)
        size = (max(round(n * scale), 1) for n in (camera.width, camera.height))
        rays = Cameras.stack([camera.resized(*size)], frame=frame).to(device).view(0).flatten()
        for at in range(0, len(rays), ROWS):
            part = rays[slice(at, at + ROWS)]
            intervals = sampler(part, field.density)
            x = points(part, intervals)[0]
            density = field.density(x)
            weight = composite.weights(density, intervals.length, intervals.offsets)[0]
            x = x[weight > LEAST]
            if not domain.contracted:
                x = x[((x >= domain.bounds[0]) & (x <= domain.bounds[1])).all(1)]
            found[cell_of(x, domain, cells)] = True
    return found
