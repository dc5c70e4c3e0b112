"""The whole program on another device, without a GPU: see tests/pretend_gpu.py."""

import importlib.util
import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils import backend_registration

from polyfield.apps import cli, compare, distill_curve, evaluate, render
from polyfield.apps.distill_runs import distill_image, distill_scene
from polyfield.apps.distill_scene import Lesson
from polyfield.apps.distill_teacher import asked_of
from polyfield.apps.fit_image import ImageJob
from polyfield.apps.fit_scene import SceneJob
from polyfield.apps.image_presets import image_presets
from polyfield.apps.jobs import Asked, Way, do
from polyfield.apps.presets import ImageRun, SceneRun
from polyfield.apps.scene_presets import scene_presets
from polyfield.backends import dispatch
from polyfield.fields.coordinate import Coordinate
from polyfield.fields.radiance import Radiance
from polyfield.renderers.model import RadianceModel, SignalModel, World
from polyfield.renderers.samplers import Uniform
from polyfield.scenes.formats import posed
from polyfield.scenes.holdout import kept_pixels
from polyfield.tensors import load_tensors, save_tensors
from polyfield.training import throughput
from polyfield.training.console import Reporter
from polyfield.training.distillation.pvd import LEVELS
from polyfield.training.loop import Fit, FitConfig
from polyfield.training.objectives import photometric, regression
from polyfield.training.run import Run, load

STEPS = 4
QUIET = Reporter(quiet=True)


def _helper(name: str) -> Any:
    """A module of tests/, which is no package; loaded once."""
    if name not in sys.modules:
        path = Path(__file__).parent.parent / f"{name}.py"
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None and spec.loader is not None
        module = sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return sys.modules[name]


if not callable(getattr(backend_registration, "_setup_privateuseone_for_python_backend", None)):
    pytest.skip("this PyTorch has no devices written in Python", allow_module_level=True)
pretend, small = _helper("pretend_gpu"), _helper("small_runs")
CPU, THERE = small.CPU, pretend.DEVICE


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The reference on the CPU too: numbers then are equal to the last digit."""
    monkeypatch.setattr(throughput, "POINTS", 64)
    monkeypatch.setattr(distill_curve, "PIXELS", 64)
    with dispatch.force("reference"):
        yield


def _scene(name: str, device: torch.device) -> tuple[RadianceModel, Fit]:
    found: tuple[RadianceModel, Fit] = small.scene(small.scene_run(name, STEPS), device)
    return found


def _image(name: str, device: torch.device) -> tuple[SignalModel, Fit]:
    found: tuple[SignalModel, Fit] = small.image(small.image_run(name, STEPS), device)
    return found


def _same(one: dict[str, Tensor], two: dict[str, Tensor]) -> None:
    assert one.keys() == two.keys()
    for name, tensor in one.items():
        torch.testing.assert_close(tensor, two[name], rtol=1e-4, atol=1e-5, equal_nan=True)


def _trains_and_goes_on(build: Any, name: str, path: Path) -> Any:
    """Half of the steps on each device give what all of them on the CPU give."""
    _, whole = build(name, CPU)
    small.go(whole, STEPS)
    for first, then in ((CPU, THERE), (THERE, CPU)):
        _, fit = build(name, first)
        small.go(fit, STEPS // 2)
        save_tensors(path, fit.state(), {})
        model, fit = build(name, then)
        fit.load_state(load_tensors(path)[0])
        assert next(model.parameters()).device == then
        small.go(fit, STEPS - STEPS // 2)
        _same(small.state(fit), small.state(whole))
        if then == THERE:
            there = model
    return model, there


@pytest.mark.parametrize("name", scene_presets())
def test_a_scene(name: str, tmp_path: Path) -> None:
    here, there = _trains_and_goes_on(_scene, name, tmp_path / "state")
    camera = small.CAPTURE.cameras("test")[0]
    one, two = here.render(camera), there.render(camera)
    for a, b in ((one.color, two.color), (one.opacity, two.opacity), (one.depth, two.depth)):
        assert b.device == CPU
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", image_presets())
def test_an_image(name: str, tmp_path: Path) -> None:
    here, there = _trains_and_goes_on(_image, name, tmp_path / "state")
    picture = there.render(20, 9)
    assert picture.device == CPU
    torch.testing.assert_close(picture, here.render(20, 9), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("unbounded", [False, True])
def test_other_scenes(unbounded: bool) -> None:
    """A backdrop that is carved away, a distorted lens, all of space; or equal intervals."""
    capture = small.CAPTURE
    run = small.scene_run("hash", STEPS)
    sampler = replace(run.sampler, cone=1 / 64) if unbounded else Uniform(8)
    world = World(capture.bounds, unbounded, "srgb", (1.0, 1.0, 1.0))
    losses = []
    for device in (CPU, THERE):
        torch.manual_seed(0)
        model = RadianceModel(Radiance(small.SMALL), sampler, world).to(device)
        scene = capture.scene("train")
        bent = torch.tensor([0.01, 0.0, 0.001, 0.0]).expand(len(scene), 4)
        scene.cameras = replace(scene.cameras, distortion=bent)
        objective = run.objective.build(
            scene.to(device), model.field, model.renderer, torch.ones(3), 0, carve=True
        )
        fit = Fit(model.field, objective, run.fit)
        fit.run()
        losses.append(fit.progress.loss)
        assert model.render(capture.cameras("test")[0]).depth.device == CPU
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_some_pixels_of_a_picture() -> None:
    pixels, run = small.picture().to(THERE), small.image_run("rbf", STEPS)
    model = SignalModel(run.field, pixels.width, pixels.height, 3, "srgb").to(THERE)
    kept = kept_pixels(pixels.width, pixels.height, "lattice")
    objective = run.objective.build(pixels, model.field, 0, kept)
    Fit(model.field, objective, run.fit).run()
    x, value = pixels.sample(5, torch.Generator().manual_seed(0))
    assert x.device == value.device == THERE


def test_a_step_seldom_waits() -> None:
    """What is left: numbers of samples, the loss; the march in plain torch looks at each step."""
    _, fit = _scene("hash", THERE)
    small.go(fit, 1)
    with pretend.counted() as waits:
        small.go(fit, 1)
    marches = waits.pop("aten._local_scalar_dense.default")
    assert marches < 40 and sum(waits.values()) < 12, waits
    _, fit = _image("hash", THERE)
    small.go(fit, 1)
    with pretend.counted() as waits:
        small.go(fit, 1)
    # The mean square and the loss.
    assert waits.total() <= 2, waits


def test_pixels_that_a_gpu_has_no_room_for(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = small.CAPTURE.scene("train").to(THERE)
    monkeypatch.setattr(posed, "fits", lambda tensor, device: False)
    scene = small.CAPTURE.scene("train").to(THERE)
    assert scene._pixels.device == CPU and whole._pixels.device == THERE
    found = [s.sample(50, torch.Generator().manual_seed(0)) for s in (whole, scene)]
    assert all(rays.origins.device == rgba.device == THERE for rays, rgba in found)
    assert torch.equal(found[0][1].cpu(), found[1][1].cpu())
    assert scene.view(1)[1].device == THERE


def test_slices_of_a_large_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(regression, "ROOM", 50)
    _, fit = _image("sape", THERE)
    fit.objective.batch = 192  # type: ignore[attr-defined]
    small.go(fit, 2)
    assert fit.objective.slice == 50  # type: ignore[attr-defined]


def test_it_finds_a_mistake_in_training(monkeypatch: pytest.MonkeyPatch) -> None:
    def forgetful(shape: tuple[int, ...], generator: torch.Generator, device: Any) -> Tensor:
        return torch.rand(shape, generator=generator)

    _, fit = _scene("hash", THERE)
    fit.step()
    monkeypatch.setattr(photometric, "uniform", forgetful)
    with pytest.raises(RuntimeError, match="one device"):
        fit.step()


# The verbs, from the data to the report.


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data, and two runs of the pretend device."""
    folder = tmp_path_factory.mktemp("devices")
    data = small.write_data(folder / "data")
    with dispatch.force("reference"):
        asked = Asked(str(data), device=THERE)
        do(SceneJob(asked, _small_scene()), Run(folder / "scene"), QUIET)
        asked = replace(asked, data=str(data / "train_0.png"), background="white")
        do(ImageJob(asked, _small_image()), Run(folder / "image"), QUIET)
    return folder


def _small_scene() -> SceneRun:
    return replace(small.scene_run("hash", STEPS), field=Radiance(small.SMALL))


def _small_image() -> ImageRun:
    return replace(small.image_run("hash", STEPS), field=Coordinate(small.SMALL))


def test_a_run_says_where_it_was_and_goes_on_elsewhere(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Run(home / "scene")
    assert run.metrics()["device"] == "pretend:0" and run.metrics()["steps"] == STEPS
    assert "device" not in run.config()
    assert all(t.device == CPU for t in run.load_state()[0].values())
    for device in (CPU, THERE):
        job = SceneJob(Asked(str(home / "data"), device=device), _small_scene())
        model = do(job, run, Reporter(), Way(resume=True))
        assert next(model.parameters()).device == device
        assert "nothing to do" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("student", "options"),
    [
        ("mlp", {}),
        ("kilo", {"method": "kilonerf", "inherit": False}),
        ("rbf", {"method": "pvd-al", "levels": LEVELS}),
        ("dense", {"heads": True, "finetune": "data"}),
    ],
)
def test_a_distillation(home: Path, student: str, options: dict[str, Any], tmp_path: Path) -> None:
    if "finetune" in options:
        options = {**options, "finetune": str(home / "data")}
    teacher = Run(home / "scene")
    asked = asked_of(teacher, student, 0, 1, THERE)
    configs = small.scene_run(student, STEPS)
    run = Run(tmp_path / "run")
    lesson = Lesson(str(teacher.path), **options)
    model = distill_scene(lesson, asked, configs, run, QUIET, Way(), looks=2)
    assert next(model.parameters()).device == THERE
    assert run.metrics()["device"] == "pretend:0"
    assert json.loads(run.file("report.json").read_text())["curve"]


def test_hard_examples_go_on_elsewhere(home: Path) -> None:
    """The pools of PVD-AL, filled and drawn from on both devices."""
    from polyfield.training.distillation.points import PointLoss
    from polyfield.training.distillation.pvd import PoseDistillation

    def build(name: str, device: torch.device) -> tuple[RadianceModel, Fit]:
        teacher, student = load(home / "scene").to(device), load(home / "scene").to(device)
        config = PoseDistillation(
            PointLoss(stages=(0, 0)), samples=256, max_rays=32, poses=2, levels=LEVELS
        )
        objective = config.build(
            teacher.field,
            student.field,
            student.renderer.sampler,
            small.CAPTURE.cameras("train"),
            0,
        )
        rates = {"table": 1e-3, "network": 1e-3}
        return student, Fit(student.field, objective, FitConfig(steps=14, rates=rates))

    _, whole = build("", CPU)
    _, fit = build("", THERE)
    small.go(whole, 12)
    small.go(fit, 6)
    _, other = build("", CPU)
    other.load_state(small.state(fit))
    small.go(other, 6)
    _same(small.state(other), small.state(whole))


def test_a_picture_is_distilled(home: Path, tmp_path: Path) -> None:
    asked = asked_of(Run(home / "image"), "rbf", 0, 1, THERE)
    run = Run(tmp_path / "run")
    model = distill_image(
        Lesson(str(home / "image")), asked, small.image_run("rbf", STEPS), run, QUIET, Way()
    )
    assert model.device == THERE and run.metrics()["device"] == "pretend:0"


@pytest.mark.parametrize("kind", ["scene", "image"])
def test_measuring_drawing_and_comparing(
    home: Path, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (evaluate, render, compare):
        monkeypatch.setattr(module, "resolve", lambda name: THERE)
    run = str(home / kind)
    assert cli.run(["evaluate", run, "--quiet"]) == 0
    size = ["--size", "8x6", "--frames", "1", "--quiet"]
    for what in ("color", "depth", "opacity"):
        out = str(tmp_path / what)
        assert cli.run(["render", run, "--out", out, "--what", what, *size]) == 0
    if kind == "image":
        words = ["compare", "image", str(home / "data" / "train_0.png"), "--quiet"]
        assert cli.run([*words, "--steps", "2", "--out", str(tmp_path / "table")]) == 0
