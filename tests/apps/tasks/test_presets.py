"""Every preset trains: two steps, none left out."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from polyfield.apps.tasks.image_presets import image_presets
from polyfield.apps.tasks.scene_presets import scene_presets
from polyfield.renderers.radiance_model import RadianceModel, SceneInfo
from polyfield.renderers.signal_model import SignalInfo, SignalModel
from polyfield.scenes import open_capture
from polyfield.scenes.base import Capture, ReadOptions
from polyfield.scenes.signals.image import ImageSignal
from polyfield.training.loop import Fit
from polyfield.training.objectives.photometric import Behind


@pytest.fixture(scope="module")
def capture() -> Capture:
    return open_capture("demo", ReadOptions(downscale=8))


def _trained(fit: Fit) -> None:
    before = {name: p.detach().clone() for name, p in fit.field.named_parameters()}
    fit.run()
    assert math.isfinite(fit.progress.loss) and fit.progress.rewinds == 0
    moved = [n for n, p in fit.field.named_parameters() if not torch.equal(p, before[n])]
    assert moved, "nothing was learned"


@pytest.mark.parametrize("name", image_presets())
def test_a_picture(name: str) -> None:
    torch.manual_seed(0)
    preset = image_presets()[name]
    ramp = np.arange(12 * 16 * 3, dtype=np.uint16).reshape(12, 16, 3) % 251
    picture = ImageSignal("p", ramp.astype(np.uint8))
    about = {"color_space": picture.color_space}
    info = SignalInfo("image", (16, 12), (16.0, 12.0), 3, about)
    model = SignalModel(preset.field, info)
    objective = preset.objective.build(picture, model.field, 0)
    _trained(Fit(model.field, objective, replace(preset.fit, steps=2)))
    assert model.render(5, 4).isfinite().all()


@pytest.mark.parametrize("name", scene_presets())
def test_a_scene(name: str, capture: Capture) -> None:
    torch.manual_seed(0)
    preset = scene_presets()[name]
    world = SceneInfo(capture.bounds, capture.unbounded, capture.color_space, (1.0, 1.0, 1.0))
    sampler = replace(preset.sampler, sweep=128)
    model = RadianceModel(preset.field, sampler, world)
    objective = replace(preset.objective, samples=512).build(
        capture.scene("train"), model, Behind(None), 0
    )
    objective.rays = 8
    _trained(Fit(model.field, objective, replace(preset.fit, steps=2)))
    assert model.render(capture.cameras("test")[0].resized(4, 4)).color.isfinite().all()
