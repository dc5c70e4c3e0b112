"""What fields are trained on: backgrounds, carving, batches."""

from typing import Any
from unittest.mock import create_autospec

import numpy as np
import pytest
import torch

from polyfield.encodings.domain import Box
from polyfield.encodings.hash_grid import HashGrid
from polyfield.encodings.identity import Identity
from polyfield.encodings.random_fourier import RandomFourier
from polyfield.encodings.rbf import Rbf
from polyfield.encodings.sape import Sape
from polyfield.errors import InputError
from polyfield.fields.base import RadianceField
from polyfield.fields.coordinate import Coordinate
from polyfield.fields.radiance import Radiance
from polyfield.renderers.corrections import Corrections
from polyfield.renderers.occupancy import OccupancyGrid
from polyfield.renderers.radiance_model import RadianceModel, SceneInfo
from polyfield.renderers.renderer import VolumeRenderer
from polyfield.renderers.samplers import Uniform
from polyfield.scenes.base import ReadOptions, Scene
from polyfield.scenes.demo.capture import Analytic
from polyfield.scenes.signals.image import ImageSignal
from polyfield.training.objectives import regression
from polyfield.training.objectives.photometric import CARVE, PLACE, Behind, Photometric
from polyfield.training.objectives.regression import Regression
from polyfield.training.objectives.residuals import loss_of
from polyfield.training.scores import psnr_of

BLACK = torch.zeros(3)
CUBE = torch.tensor([[-1.0, -1.0, -1.0], [1.0, 1.0, 1.0]])


def _photometric(background: Any, carve: bool) -> Any:
    """An objective whose scene and field are not asked."""
    scene, model = create_autospec(Scene, instance=True), create_autospec(RadianceModel)
    model.field = create_autospec(RadianceField, instance=True, takes_errors=False)
    model.field.domain = Box(CUBE)
    model.renderer = create_autospec(VolumeRenderer, instance=True)
    model.corrections = Corrections().build(0, 1.0)
    return Photometric().build(scene, model, Behind(background, carve), 0)


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
    picture = ImageSignal("p", np.arange(5 * 4 * 3, dtype=np.uint8).reshape(5, 4, 3))
    field = Coordinate(Identity()).build(Box(picture.bounds), 3)
    _, numbers = Regression(batch=0).build(picture, field, 0)(0, 0.0)
    assert numbers["samples"] == 20
    kept = torch.tensor([0, 7, 19])
    objective = Regression(batch=16).build(picture, field, 0, kept)
    assert objective(0, 0.0)[1]["samples"] == 3
    assert sorted(map(tuple, objective.x.tolist())) == [(0.5, 0.5), (3.5, 1.5), (3.5, 4.5)]


def test_a_sampler_without_a_grid_knows_nothing() -> None:
    box = Box(torch.tensor([[0.0] * 3, [1.0] * 3]))
    assert Uniform().build(box).occupied_points() is None


def test_kernels_are_placed_by_kept_pixels_alone() -> None:
    """What is held out may be anything: the weights are the same."""
    generator = np.random.default_rng(0)
    pixels = generator.integers(0, 256, (9, 13, 3), dtype=np.uint8)
    kept = torch.from_numpy(generator.permutation(9 * 13)[:30])
    weights = []
    for change in (0, 77):
        other = pixels.reshape(-1, 3) + np.uint8(change)
        other[kept.numpy()] = pixels.reshape(-1, 3)[kept.numpy()]
        weights.append(ImageSignal("p", other.reshape(9, 13, 3)).detail(kept))
    assert torch.equal(*weights) and weights[0].unique().numel() > 20
    everything = torch.arange(9 * 13)
    image = ImageSignal("p", pixels)
    assert torch.equal(image.detail(everything), image.detail())


def test_errors_of_kept_pixels_are_observed() -> None:
    """SAPE is told the mean square error of each pixel of the batch."""
    picture = ImageSignal("p", np.arange(8 * 8 * 3, dtype=np.uint8).reshape(8, 8, 3))
    inner = RandomFourier(count=8, law="sorted")
    field = Coordinate(Sape(inner, blocks=4, resolution=8)).build(Box(picture.bounds), 3)
    kept = torch.arange(0, 64, 3)
    objective = Regression(batch=0).build(picture, field, 0, kept)
    told: list[tuple[torch.Tensor, torch.Tensor]] = []
    field.update_error = lambda x, error: told.append((x, error))  # type: ignore[method-assign]
    objective(0, 0.0)
    (x, error), values = told[0], picture.all()[1][kept]
    assert len(told) == 1 and sorted(map(tuple, x.tolist())) == sorted(
        map(tuple, picture.coordinates(kept).tolist())
    )
    order = objective.order
    wanted = (field(objective.x[order]) - values[order]).square().mean(-1)
    torch.testing.assert_close(error, wanted.detach())


def test_a_scene_has_no_errors_of_points() -> None:
    field = Radiance(Sape(HashGrid(levels=2, log2_size=8)))
    model = RadianceModel(field, Uniform(4), SceneInfo(CUBE, False, "srgb", (0.0, 0.0, 0.0)))
    with pytest.raises(InputError, match="Sape"):
        Photometric().build(create_autospec(Scene, instance=True), model, Behind(BLACK), 0)


def test_kernels_of_a_scene_are_placed_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """At a tenth of the training, by the density of occupied cells; the grid alone before."""
    monkeypatch.setenv("POLYFIELD_BACKEND", "reference")
    grid = HashGrid(levels=2, features=2, log2_size=8, base_resolution=4, finest_resolution=8)
    rbf = Rbf(kernels=20, neighbours=2, waves=None, normalise=False, grid=grid)
    model = RadianceModel(
        Radiance(rbf),
        OccupancyGrid(resolution=4, steps=16, sweep=32),
        SceneInfo(CUBE, False, "srgb", (0.0, 0.0, 0.0)),
    )
    told: list[tuple[torch.Tensor, torch.Tensor]] = []
    real = model.field.init_from_points

    def place(x: torch.Tensor, weight: torch.Tensor) -> None:
        told.append((x, weight))
        real(x, weight)

    model.field.init_from_points = place  # type: ignore[method-assign]
    scene = Analytic(size=8, train=3, val=1, test=1).open("demo", ReadOptions()).scene("train")
    objective = Photometric(samples=64).build(scene, model, Behind(BLACK), 0)
    for step, progress in enumerate((0.0, PLACE * 0.99, PLACE, 0.5, 1.0)):
        objective(step * 16, progress)
        assert len(told) == (progress >= PLACE)
        assert model.field.position.active == (progress >= PLACE)
        if progress < PLACE:
            known = model.renderer.sampler.occupied_points()
    assert known is not None
    x, weight = told[0]
    assert len(x) == len(weight) and bool((weight >= 0).all()) and len(x) <= 64
    other = Photometric(samples=64).build(scene, model, Behind(BLACK), 0)
    other.load_state(objective.state())
    other(80, 0.9)
    assert len(told) == 1


@pytest.mark.parametrize(("unbounded", "given"), [(True, 0.02), (False, 0.0)])
def test_scenes_without_end_are_trained_against_floaters(unbounded: bool, given: float) -> None:
    """By default with twice the published weight, and where a box ends it as without; 0 is 0."""

    def loss(weight: float | None) -> float:
        torch.manual_seed(0)
        grid = HashGrid(levels=2, features=2, log2_size=8, base_resolution=4, finest_resolution=8)
        march = OccupancyGrid(resolution=4, steps=16, sweep=32)
        info = SceneInfo(CUBE, unbounded, "srgb", (0.0, 0.0, 0.0))
        model = RadianceModel(Radiance(grid), march, info)
        scene = Analytic(size=8, train=3, val=1, test=1).open("demo", ReadOptions()).scene("train")
        objective = Photometric(samples=64, distortion=weight).build(scene, model, Behind(BLACK), 0)
        return float(objective(0, 0.5)[0].detach())

    assert loss(None) == loss(given) and loss(0.0) < loss(0.01)


def test_slices_of_a_large_batch_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """The gradient of all pixels at once."""
    picture = ImageSignal("p", np.arange(7 * 5 * 3, dtype=np.uint8).reshape(7, 5, 3) * 2)
    field = Coordinate(Identity()).build(Box(picture.bounds), 3)
    whole, numbers = Regression(batch=0).build(picture, field, 0)(0, 0.0)
    (wanted,) = torch.autograd.grad(whole, list(field.parameters()))
    monkeypatch.setattr(regression, "WHOLE", 10)
    monkeypatch.setattr(regression, "SLICE", 8)
    total, sliced = Regression(batch=0).build(picture, field, 0)(0, 0.0)
    assert not total.requires_grad and sliced["samples"] == 35
    found = next(field.parameters()).grad
    torch.testing.assert_close(total, whole.detach())
    torch.testing.assert_close(found, wanted)
    assert sliced["mse"] == pytest.approx(numbers["mse"], rel=1e-5)
