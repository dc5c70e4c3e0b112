"""A radiance model is asked, and answers, in the user's frame and units, whatever its own is."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from polyfield.encodings.hash_grid import HashGrid
from polyfield.errors import InputError
from polyfield.fields.radiance import Radiance
from polyfield.renderers.model_files import load_model, save_model
from polyfield.renderers.radiance_model import RadianceModel, SceneInfo
from polyfield.renderers.samplers import Uniform
from polyfield.scenes.base import ReadOptions
from polyfield.scenes.cameras import Camera
from polyfield.scenes.demo.capture import Analytic, look_at
from polyfield.scenes.similarity import Similarity
from polyfield.tensors import load_tensors, save_tensors

PLACE = Similarity((100.0, -20.0, 3.0), 0.125)


@pytest.fixture
def pair() -> tuple[RadianceModel, RadianceModel]:
    """One model twice: in its own frame, and in that of a user whose units are 8 times smaller."""
    capture = Analytic(size=12, train=4, val=1, test=2).open("demo", ReadOptions())
    info = SceneInfo(capture.bounds, capture.unbounded, "srgb", (1.0, 1.0, 1.0))
    torch.manual_seed(0)
    grid = HashGrid(levels=2, log2_size=8, base_resolution=4, finest_resolution=8)
    field, sampler = Radiance(grid, hidden=16), Uniform(16)
    model = RadianceModel(field, sampler, info)
    away = RadianceModel(field, sampler, replace(model.info, frame=PLACE))
    away.load_state_dict(model.state_dict())
    return model.eval(), away.eval()


def test_it_answers_in_the_users_units(pair: tuple[RadianceModel, RadianceModel]) -> None:
    here, away = pair
    x = torch.rand(50, 3) - 0.5
    directions = torch.nn.functional.normalize(torch.randn(50, 3), dim=1)
    one, other = here.ask(x, directions), away.ask(PLACE.users(x), directions)
    torch.testing.assert_close(other.density, one.density / 8, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(other.rgb, one.rgb, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(away.bounds, PLACE.users(here.bounds))

    pose = look_at(0.5, 0.4, 3.9).double()
    camera = Camera(pose, 12, 10, 15.0, 15.0, 6.0, 5.0)
    pose[:3, 3] = PLACE.users(pose[:3, 3])
    there = Camera(pose, 12, 10, 15.0, 15.0, 6.0, 5.0)
    seen, again = here.render(camera), away.render(there)
    torch.testing.assert_close(again.color, seen.color, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(again.depth, seen.depth * 8, rtol=1e-3, atol=1e-3)


def test_its_file_keeps_the_frame(
    pair: tuple[RadianceModel, RadianceModel], tmp_path: Path
) -> None:
    file = tmp_path / "model.safetensors"
    save_model(file, pair[1])
    assert load_model(file).frame == PLACE
    tensors, meta = load_tensors(file)
    tensors = {key: tensor.clone() for key, tensor in tensors.items()}
    for scale in (0.0, -1.0, float("inf"), "one"):
        save_tensors(file, tensors, {**meta, "frame": {"center": [0.0] * 3, "scale": scale}})
        with pytest.raises(InputError):
            load_model(file)
    # Files of before knew an origin, or nothing.
    del meta["frame"]
    save_tensors(file, tensors, {**meta, "origin": [1.0, 2.0, 3.0]})
    assert load_model(file).frame == Similarity((1.0, 2.0, 3.0), 1.0)
    save_tensors(file, tensors, meta)
    assert load_model(file).frame.is_identity
