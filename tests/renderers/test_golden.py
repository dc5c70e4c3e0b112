"""Numbers that must not change by accident: initial values, a render, and a few steps of training.

`python -m pytest --update-golden` writes them anew; the diff is reviewed like code.
"""

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from polyfield.backends import dispatch
from polyfield.encodings.hash_grid import HashGrid
from polyfield.fields.radiance import Radiance
from polyfield.renderers.occupancy import OccupancyGrid
from polyfield.renderers.radiance_model import RadianceModel, SceneInfo
from polyfield.scenes import open_capture
from polyfield.scenes.base import ReadOptions
from polyfield.training.loop import Fit, FitConfig
from polyfield.training.objectives.photometric import Behind, Photometric

FILE = Path(__file__).parent.parent / "golden" / "radiance.json"


def _numbers() -> dict[str, Any]:
    capture = open_capture("demo", ReadOptions(downscale=10))
    torch.manual_seed(0)
    world = SceneInfo(capture.bounds, capture.unbounded, capture.color_space, (1.0, 1.0, 1.0))
    grid = HashGrid(levels=4, log2_size=10, base_resolution=4, finest_resolution=32)
    model = RadianceModel(Radiance(grid), OccupancyGrid(resolution=16, steps=64), world)
    begin = {name: p.detach()[:6].tolist() for name, p in model.field.named_parameters()}
    camera = capture.cameras("test")[0].resized(6, 6)
    before = model.render(camera)
    objective = Photometric(samples=512, loss="mse")
    task = objective.build(capture.scene("train"), model, Behind(None), 0)
    fit = Fit(model.field, task, FitConfig(steps=20))
    losses = []
    fit.run(lambda progress: losses.append(progress.loss))
    after = model.render(camera)
    return {
        "initial": begin,
        "render": before.color.flatten().tolist(),
        "losses": losses,
        "trained": after.color.flatten().tolist(),
    }


def test_golden(request: pytest.FixtureRequest) -> None:
    # Plain torch: what a kernel may round otherwise is the parity tests' matter.
    with dispatch.force("reference"):
        found = _numbers()
    if request.config.getoption("--update-golden"):
        FILE.parent.mkdir(exist_ok=True)
        FILE.write_text(json.dumps(found, indent=1) + "\n")
    wanted = json.loads(FILE.read_text())
    assert found["initial"] == {k: pytest.approx(v, rel=1e-6) for k, v in wanted["initial"].items()}
    for name, close in (("render", 1e-4), ("losses", 1e-3), ("trained", 2e-3)):
        assert found[name] == pytest.approx(wanted[name], rel=close, abs=close), name
