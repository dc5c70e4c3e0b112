"""What fields are trained on: backgrounds, carving, batches."""

from typing import Any
from unittest.mock import create_autospec

import numpy as np
import pytest
import torch

from polyfield.encodings.domain import Box
from polyfield.encodings.identity import Identity
from polyfield.fields.base import RadianceField
from polyfield.fields.coordinate import Coordinate
from polyfield.renderers import objectives
from polyfield.renderers.objectives import CARVE, Photometric, Regression, loss_of, psnr_of
from polyfield.renderers.renderer import VolumeRenderer
from polyfield.renderers.samplers import Uniform
from polyfield.scenes.base import Scene
from polyfield.scenes.picture import Picture

BLACK = torch.zeros(3)


def _photometric(background: Any, carve: bool) -> Any:
    """An objective whose scene, field and renderer are not asked."""
    parts = [
        create_autospec(kind, instance=True) for kind in (Scene, RadianceField, VolumeRenderer)
    ]
    return Photometric().build(*parts, background, 0, carve)


def test_huber_is_the_square_near_zero_and_linear_beyond() -> None:
    near, mse = loss_of("huber", torch.tensor([0.05, -0.1]))
    assert near.item() == np.float32((0.05**2 + 0.1**2) / 2) or abs(near.item() - mse) < 1e-8
    far, _ = loss_of("huber", torch.tensor([0.6]))
    assert abs(far.item() - (0.6 - 0.05) / 5) < 1e-6
    assert psnr_of(0.01) == 20


def test_random_backgrounds_stand_behind_pixel_and_prediction_alike() -> None:
    rgba = torch.tensor([[0.2, 0.4, 0.6, 1.0], [0.2, 0.4, 0.6, 0.0], [0.2, 0.4, 0.6, 0.5]])
    background, target = _photometric(None, False)._target(rgba, 0.0)
    assert background.shape == (3, 3) and len(background.unique()) == 9
    torch.testing.assert_close(target[0], rgba[0, :3])
    torch.testing.assert_close(target[1], background[1])
    torch.testing.assert_close(target[2], (rgba[2, :3] + background[2]) / 2)


def test_carving_takes_the_backdrop_as_empty_at_first() -> None:
    rgba = torch.tensor([[0.01, 0.0, 0.01, 1.0], [0.5, 0.0, 0.0, 1.0]])
    objective = _photometric(BLACK, True)
    background, target = objective._target(rgba, CARVE / 2)
    torch.testing.assert_close(target[0], background[0])
    torch.testing.assert_close(target[1], rgba[1, :3])
    assert (background > 0).all()
    background, target = objective._target(rgba, CARVE)
    torch.testing.assert_close(target, rgba[:, :3])
    assert torch.equal(background.expand(2, 3), torch.zeros(2, 3))


def test_a_batch_of_all_pixels_takes_each_once() -> None:
    picture = Picture("p", np.arange(5 * 4 * 3, dtype=np.uint8).reshape(5, 4, 3))
    field = Coordinate(Identity()).build(Box(picture.bounds), 3)
    _, numbers = Regression(batch=0).build(picture, field, 0)(0, 0.0)
    assert numbers["samples"] == 20
    kept = torch.tensor([0, 7, 19])
    objective = Regression(batch=16).build(picture, field, 0, kept)
    assert objective(0, 0.0)[1]["samples"] == 3
    assert sorted(map(tuple, objective.x.tolist())) == [(0.5, 0.5), (3.5, 1.5), (3.5, 4.5)]


def test_a_sampler_without_a_grid_knows_nothing() -> None:
    box = Box(torch.tensor([[0.0] * 3, [1.0] * 3]))
    assert Uniform().build(box).known() is None


def test_slices_of_a_large_batch_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """The gradient of all pixels at once."""
    picture = Picture("p", np.arange(7 * 5 * 3, dtype=np.uint8).reshape(7, 5, 3) * 2)
    field = Coordinate(Identity()).build(Box(picture.bounds), 3)
    whole, numbers = Regression(batch=0).build(picture, field, 0)(0, 0.0)
    (wanted,) = torch.autograd.grad(whole, list(field.parameters()))
    monkeypatch.setattr(objectives, "WHOLE", 10)
    monkeypatch.setattr(objectives, "SLICE", 8)
    total, sliced = Regression(batch=0).build(picture, field, 0)(0, 0.0)
    assert not total.requires_grad and sliced["samples"] == 35
    found = next(field.parameters()).grad
    torch.testing.assert_close(total, whole.detach())
    torch.testing.assert_close(found, wanted)
    assert sliced["psnr"] == pytest.approx(numbers["psnr"], rel=1e-5)
