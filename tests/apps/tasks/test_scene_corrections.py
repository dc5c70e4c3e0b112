"""Sky, exposure and poses from the flags to the files of a run."""

import importlib.util
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from polyfield.apps import cli
from polyfield.apps.tasks.scene import Scene
from polyfield.scenes.camera_files import read_cameras
from polyfield.scenes.color import from_float
from polyfield.scenes.images import write_image
from polyfield.training.loop import Fit
from polyfield.training.run import load


def _helper(name: str) -> Any:
    """A module of tests/, which is no package; loaded once."""
    if name not in sys.modules:
        path = Path(__file__).parents[2] / f"{name}.py"
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None and spec.loader is not None
        module = sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return sys.modules[name]


small = _helper("small_runs")
GAINS = (1.0, 0.6)
"""Of every other image."""


@pytest.fixture
def outdoors(tmp_path: Path) -> Path:
    """Opaque images of the demo scene under a sky, every other one exposed less."""
    folder = tmp_path / "outdoors"
    folder.mkdir()
    views, frames = small.CAPTURE.scene("train"), []
    for i in range(len(views)):
        rays, rgba = views.view(i)
        alpha = rgba[..., 3:]
        color = rgba[..., :3] * alpha + (1 - alpha) * (rays.directions + 1) / 2
        name, camera = f"{i}.png", views.cameras[i]
        pixels = (color * GAINS[i % 2]).numpy()
        write_image(folder / name, from_float(pixels, np.dtype(np.uint8)))
        frames.append({"file_path": name, "transform_matrix": camera.pose.tolist()})
    lens = {"fl_x": camera.fl_x, "fl_y": camera.fl_y, "w": camera.width, "h": camera.height}
    text = json.dumps({**lens, "aabb_scale": 4, "frames": frames})
    (folder / "transforms.json").write_text(text)
    return folder


def _task(steps: int) -> Scene:
    run = small.scene_run("hash", steps)
    return Scene(
        run.field,
        run.sampler,
        run.objective,
        run.fit,
        sky=True,
        appearance="affine",
        refine_poses=True,
    )


def _loop(task: Scene, data: Any) -> Fit:
    torch.manual_seed(0)
    model = task.model(data)
    training = task.training(model, data, 0)
    return Fit(training.field, training.objective, training.fit, training.parts)


def test_all_of_them_learn_and_go_on_where_they_stopped(outdoors: Path) -> None:
    task = _task(8)
    data = task.open(outdoors)
    whole = _loop(task, data)
    small.go(whole, 4)
    middle = {name: tensor.clone() for name, tensor in whole.state().items()}
    parts = {name.partition(".")[0] for name, _ in whole.parameters()}
    assert parts == {"field", "sky", "appearance", "poses"}
    begin = dict(_loop(task, data).parameters())
    for name, parameter in whole.parameters():
        assert not torch.equal(parameter, begin[name]), name
    small.go(whole, 4)
    again = _loop(task, data)
    again.load_state(middle)
    small.go(again, 4)
    for name, tensor in whole.state().items():
        assert name == "progress" or torch.equal(tensor, again.state()[name]), name


def test_gains_of_images_are_found(outdoors: Path) -> None:
    """Images that were exposed less come out darker, and by about as much."""
    task = replace(_task(150), appearance="exposure", refine_poses=False)
    data = task.open(outdoors)
    rates = {**task.fit.rates, "appearance": 5e-2}
    task = replace(task, fit=replace(task.fit, rates=rates))
    loop = _loop(task, data)
    small.go(loop, 150)
    stops = loop.modules["appearance"].stops.detach().mean(1)
    even = np.array([int(name.split(".")[0]) % 2 == 0 for name in data.capture.names("train")])
    gap = float(stops[even].mean() - stops[~even].mean())
    assert gap == pytest.approx(-np.log2(GAINS[1] / GAINS[0]), abs=0.25)


def test_from_flags_to_files(
    outdoors: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    flags = ["--sky", "--appearance", "exposure", "--refine-poses", "--steps", "3"]
    less = ["--field.position.levels", "2", "--sampler.resolution", "8", "--sampler.steps", "32"]
    assert cli.run(["fit", "scene", str(outdoors), "--out", str(out), *flags, *less]) == 0
    model = load(out)
    given = read_cameras(out / "cameras.json")["train"]
    moved = read_cameras(out / "cameras_refined.json")["train"]
    assert len(given) == len(moved) == model.info.images
    assert all(not torch.equal(a.pose, b.pose) for a, b in zip(given, moved, strict=True))
    names = json.loads((out / "cameras.json").read_text())["names"]["train"]
    draw = ["render", str(out), "--frames", "1", "--size", "8x8"]
    assert cli.run([*draw, "--out", str(tmp_path / "mean")]) == 0
    assert cli.run([*draw, "--out", str(tmp_path / "one"), "--appearance", names[1]]) == 0
    one, mean = (next((tmp_path / part).iterdir()).read_bytes() for part in ("one", "mean"))
    assert one != mean
    capsys.readouterr()
    assert cli.run([*draw, "--out", str(tmp_path / "no"), "--appearance", "none.png"]) == 2
    assert "expected a training image" in capsys.readouterr().err
    assert cli.run(["evaluate", str(out), "--split", "train"]) == 0


def test_a_scene_with_an_end_has_no_sky(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = small.write_data(tmp_path / "data")
    assert cli.run(["fit", "scene", str(data), "--sky", "--steps", "2"]) == 2
    assert "expected a scene without end for --sky" in capsys.readouterr().err
