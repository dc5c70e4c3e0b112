"""Cells that cameras see something in: the near side of a wall, not what is behind it."""

import torch

from polyfield.encodings.domain import Box
from polyfield.fields.voxels import Voxels
from polyfield.renderers.samplers import Uniform
from polyfield.renderers.seen_cells import LEAST, shares
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
    found = shares(field, Uniform(64).build(domain), [camera], FRAME, domain, 8)
    assert (found[2:6, 2:6, 7] > 0.9).all() and not (found[:, :, :6] > LEAST).any()


def test_shares_are_those_of_all_samples_in_a_cell() -> None:
    """1 - exp(-density * edge) of the first cell of a fog, however short the steps."""
    domain = Box(torch.tensor([[-1.0] * 3, [1.0] * 3]))
    pose = torch.eye(4, dtype=torch.float64)
    pose[2, 3] = 6.0
    pose[:3, 3] = FRAME.users(pose[:3, 3])
    camera = Camera(pose, 65, 65, 65 * 50.0, 65 * 50.0, 32.5, 32.5)
    fog = Voxels(cells=8, levels=1, density=0.2).build(domain)
    for samples in (64, 512):
        found = shares(fog, Uniform(samples).build(domain), [camera], FRAME, domain, 8)
        column = found[4, 4].flip(0)
        light = torch.exp(-0.2 * torch.arange(9) / 8)  # a density per length of the box
        assert torch.allclose(column, light[:-1] - light[1:], atol=1e-3), column
