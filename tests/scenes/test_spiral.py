import math

import pytest
import torch

from polyfield.errors import InputError
from polyfield.scenes.cameras import Camera
from polyfield.scenes.spiral import spiral
from polyfield.scenes.viewpoints import looking_at

BOX = torch.tensor([[-1.0, -1, -1], [1, 1, 1]])
UP = torch.tensor([0.0, 1.0, 0.0])


def _cameras(places, target=(0.0, 0.0, 0.0)):
    poses = [looking_at(torch.tensor(p), torch.tensor(target), UP) for p in places]
    return [Camera(pose, 40, 30, 50.0, 50.0, 20.0, 15.0) for pose in poses]


def test_it_goes_around_the_mean_place_and_looks_at_the_common_point():
    grid = [(0.2 * x, 0.1 * y, 4.0) for x in (-1, 0, 1) for y in (-1, 0, 1)]
    found = spiral(_cameras(grid), BOX, 8)
    places = torch.stack([camera.pose[:3, 3] for camera in found])
    forward = torch.stack([-camera.pose[:3, 2] for camera in found])
    # The 90th percentile of nine distances of which six are the largest is the largest.
    for i, angle in enumerate([2 * math.pi * 2 * i / 8 for i in range(8)]):
        wanted = torch.tensor([0.2 * math.cos(angle), -0.1 * math.sin(angle), 4.0]).double()
        torch.testing.assert_close(places[i], wanted, atol=1e-6, rtol=0)
    reach = (-places * forward).sum(1, keepdim=True)
    torch.testing.assert_close(
        places + reach * forward, torch.zeros(8, 3).double(), atol=1e-5, rtol=0
    )


def test_cameras_all_around_have_no_spiral():
    ring = [(4 * math.cos(a), 0.5, 4 * math.sin(a)) for a in (0.0, 1.6, 3.1, 4.7)]
    with pytest.raises(InputError, match="--path orbit"):
        spiral(_cameras(ring), BOX, 8)
    assert len(spiral(_cameras([(0.0, 0.0, 3.0)]), BOX, 5)) == 5
