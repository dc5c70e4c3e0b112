from pathlib import Path
from typing import Any
from unittest.mock import create_autospec

import numpy as np
import pytest
import torch

from polyfield.scenes import open_capture
from polyfield.scenes.background import estimate_background
from polyfield.scenes.base import ReadOptions, Scene


def _scene(noise: float) -> Any:
    """Views of a red square in front of a backdrop with a little noise."""

    def pixels(index: int) -> torch.Tensor:
        generator = torch.Generator().manual_seed(index)
        rgba = torch.ones(12, 12, 4)
        rgba[..., :3] = torch.tensor([0.1, 0.2, 0.9])
        rgba[..., :3] += (torch.rand(12, 12, 3, generator=generator) * 2 - 1) * noise
        rgba[4:8, 4:8, :3] = torch.tensor([1.0, 0.0, 0.0])
        return rgba

    scene = create_autospec(Scene, instance=True)
    scene.__len__.return_value = 40
    scene.pixels.side_effect = pixels
    scene.mask.return_value = None
    return scene


def test_the_colour_of_the_borders() -> None:
    assert estimate_background(_scene(0.01)) == pytest.approx((0.1, 0.2, 0.9), abs=0.005)


def test_borders_that_differ_have_none() -> None:
    assert estimate_background(_scene(0.5)) is None


def test_real_pictures(data_dir: Path) -> None:
    bike = open_capture(str(data_dir / "nerf_blender_other/bike"), ReadOptions())
    found = estimate_background(bike.scene("val"))
    assert found is not None and np.max(found) < 0.02
    fox = open_capture(str(data_dir / "nerf/fox"), ReadOptions(downscale=4))
    assert estimate_background(fox.scene("test")) is None
