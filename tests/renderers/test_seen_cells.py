"""Cells that cameras see something in: the near side of a wall, not what is behind it."""

import torch

from polyfield.encodings.domain import Box
from polyfield.fields.voxels import Voxels
from polyfield.renderers.samplers import Uniform
from polyfield.renderers.seen_cells import seen_cells
from polyfield.scenes.cameras import Camera
from polyfield.scenes.similarity import Similarity

FRAME = Similarity((5.0, -3.0, 10.0), 0.5)


def test_what_is_behind_is_not_seen() -> None:
    """A dense box, seen from above alone."""
    domain = Box(torch.tensor([[-1.0] * 3, [1.0] * 3]))
    field = Voxels(cells=8, levels=1, density=200.0).build(domain)
    pose = torch.eye(4, dtype=torch.float64)
    pose[2, 3] = 6.0  # looks down, along -z
    pose[:3, 3] = FRAME.users(pose[:3, 3])
    camera = Camera(pose, 64, 64, 64 * 2.0, 64 * 2.0, 32.0, 32.0)
    sampler = Uniform(64).build(domain)
    found = seen_cells(field, sampler, [camera], FRAME, domain, 8)
    assert found[2:6, 2:6, 7].all() and not found[:, :, :6].any()
    thin = Voxels(cells=8, levels=1, density=0.2).build(domain)
    assert not seen_cells(thin, sampler, [camera], FRAME, domain, 8).any()
