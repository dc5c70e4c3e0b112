"""How much the cells of a grid matter to what cameras see: of little they need not be stored.

Source: Reiser et al. 2023 (MERF), who leave out where no sample of the training views' rays gives
more than 0.005 of its colour. Here it is all samples of a ray in a cell that count together: the
share of thin fog in one of them depends on the length of the steps.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from polyfield.encodings.domain import Domain
from polyfield.fields.base import RadianceField
from polyfield.renderers.kernels import composite
from polyfield.renderers.samplers import Sampler, cell_of
from polyfield.renderers.volume import points
from polyfield.scenes.cameras import Camera, Cameras
from polyfield.scenes.similarity import Similarity

LEAST = 0.02
"""Share of a ray's colour that a cell has to give."""
VIEWS, SIDE = 100, 96
"""Cameras that are asked, evenly spread, and rays along the longer side of each."""
ROWS = 1 << 13
"""Rays at once."""


@torch.no_grad()
def shares(
    field: RadianceField,
    sampler: Sampler,
    cameras: Sequence[Camera],
    frame: Similarity,
    domain: Domain,
    cells: int,
) -> Float[Tensor, "R R R"]:
    """The largest share of a ray's colour that each cell of a domain gives.

    Args:
        field: what is seen.
        sampler: where it is asked.
        cameras: the user's frame.
        frame: that of the field.
        domain: what is cut into cells; points outside of a box don't count.
        cells: R, along an axis.
    """
    device = domain.bounds.device
    found = torch.zeros(cells**3, device=device)
    step = max(len(cameras) / VIEWS, 1.0)
    for number in range(min(len(cameras), VIEWS)):
        camera = cameras[int(number * step)]
        scale = SIDE / max(camera.width, camera.height)
        size = (max(round(n * scale), 1) for n in (camera.width, camera.height))
        rays = Cameras.stack([camera.resized(*size)], frame=frame).to(device).view(0).flatten()
        for at in range(0, len(rays), ROWS):
            part = rays[slice(at, at + ROWS)]
            intervals = sampler(part, field.probe())
            x = points(part, intervals)[0]
            weight = composite.weights(field.density(x), intervals.length, intervals.offsets)[0]
            i, j, k = cell_of(x, domain, cells)
            place = (i * cells + j) * cells + k
            if not domain.contracted:
                inside = ((x >= domain.bounds[0]) & (x <= domain.bounds[1])).all(1)
                weight = torch.where(inside, weight, torch.zeros_like(weight))
            # Samples of a ray that lie in one cell follow each other.
            visits, of = (intervals.ray * cells**3 + place).unique_consecutive(return_inverse=True)
            share = torch.zeros(len(visits), device=device).index_add(0, of, weight)
            found.scatter_reduce_(0, visits % cells**3, share, "amax")
    return found.view((cells,) * 3)
