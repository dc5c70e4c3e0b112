"""What is learned beside a field: sky, exposure, poses."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from polyfield.encodings.dense_grid import DenseGrid
from polyfield.fields.radiance import Radiance
from polyfield.renderers.appearance import APPEARANCES, Affine, Exposure
from polyfield.renderers.corrections import Corrections
from polyfield.renderers.model_files import load_model, save_model
from polyfield.renderers.occupancy import OccupancyGrid
from polyfield.renderers.pose_refinement import PoseRefinement
from polyfield.renderers.radiance_model import RadianceModel, SceneInfo
from polyfield.renderers.sky import Sky
from polyfield.renderers.volume import RenderOutput
from polyfield.scenes.cameras import Camera

CUBE = torch.tensor([[-1.0, -1.0, -1.0], [1.0, 1.0, 1.0]])
INFO = SceneInfo(CUBE, True, "srgb", (1.0, 1.0, 1.0), images=3)
ALL = Corrections(Sky(), Affine(), PoseRefinement())


def _model(corrections: Corrections) -> RadianceModel:
    torch.manual_seed(0)
    grid = DenseGrid(levels=1, features=2, base_resolution=4, finest_resolution=4)
    model = RadianceModel(Radiance(grid), OccupancyGrid(resolution=4, steps=8), INFO, corrections)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.corrections.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * 0.3)
    return model


def _seen(n: int) -> RenderOutput:
    generator = torch.Generator().manual_seed(2)
    opacity = torch.rand(n, generator=generator)
    color = torch.rand(n, 3, generator=generator) * opacity[:, None]
    return RenderOutput(color, opacity, torch.ones(n))


def test_without_any_the_background_is_behind() -> None:
    seen, behind = _seen(5), torch.rand(5, 3)
    found = Corrections().build(0, 1.0).over(seen, behind, behind, torch.zeros(5).long())
    assert torch.equal(found, seen.over(behind))


@pytest.mark.parametrize("name", APPEARANCES)
def test_an_image_is_like_the_scene_at_first_and_on_average(name: str) -> None:
    maps = APPEARANCES[name].build(4)
    seen, images = _seen(4), torch.arange(4)
    torch.testing.assert_close(maps(seen.color, seen.opacity, images), seen.color)
    with torch.no_grad():
        for parameter in maps.parameters():
            parameter += torch.randn(parameter.shape[1:])  # the same of all images
    torch.testing.assert_close(maps(seen.color, seen.opacity, images), seen.color)


def test_exposure_is_a_gain_in_stops() -> None:
    maps = Exposure().build(2)
    with torch.no_grad():
        maps.stops[0] += 1.0
        maps.stops[1] -= 1.0
    color = torch.full((2, 3), 0.25)
    found = maps(color, torch.ones(2), torch.tensor([0, 1]))
    torch.testing.assert_close(found, torch.tensor([[0.5] * 3, [0.125] * 3]))


def test_an_affine_map_acts_on_what_is_there_alone() -> None:
    maps = Affine().build(2)
    with torch.no_grad():
        maps.change[0, :, 3] += 0.2
        maps.change[1, :, 3] -= 0.2
    color = torch.zeros(2, 3)
    found = maps(color, torch.tensor([0.0, 0.5]), torch.tensor([0, 1]))
    torch.testing.assert_close(found, torch.tensor([[0.0] * 3, [-0.1] * 3]))


def test_the_sky_is_behind_and_exposed_alike() -> None:
    parts = Corrections(Sky(), Exposure()).build(1, 1.0)
    directions = torch.nn.functional.normalize(torch.randn(6, 3), dim=-1)
    seen = RenderOutput(torch.zeros(6, 3), torch.zeros(6), torch.zeros(6))
    assert parts.sky is not None
    torch.testing.assert_close(parts.over(seen, directions, None, None), parts.sky(directions))
    low, high = parts.sky(directions).detach().aminmax()
    assert 0 <= float(low) and float(high) <= 1
    image = torch.zeros(6).long()
    torch.testing.assert_close(parts.over(seen, directions, None, image), parts.sky(directions))


@pytest.mark.parametrize("appearance", [None, Exposure(), Affine()])
def test_a_model_file_keeps_them(tmp_path: Path, appearance: Exposure | Affine | None) -> None:
    model = _model(replace(ALL, appearance=appearance))
    save_model(tmp_path / "m.safetensors", model)
    again = load_model(tmp_path / "m.safetensors")
    assert isinstance(again, RadianceModel)
    camera = Camera(torch.eye(4), 6, 5, 6.0, 6.0, 3.0, 2.5)
    for image in (None, 2):
        one, two = model.render(camera, image=image), again.render(camera, image=image)
        assert torch.equal(one.color, two.color)
    changed = not torch.equal(model.render(camera).color, model.render(camera, image=2).color)
    assert changed == (appearance is not None)


def test_a_given_background_is_in_the_skys_place() -> None:
    model = _model(ALL)
    camera = Camera(torch.eye(4), 6, 5, 6.0, 6.0, 3.0, 2.5)
    black, white = (model.render(camera, torch.full((3,), value)) for value in (0.0, 1.0))
    gap = (white.color - black.color - (1 - white.opacity[..., None])).abs().max()
    assert float(gap) < 1e-6
