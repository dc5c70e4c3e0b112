"""The whole program on another device, without a GPU: see tests/pretend_gpu.py."""

import importlib.util
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils import backend_registration

from polyfield.apps import cli, compare, evaluate, render
from polyfield.apps.tasks import scene_scores, signals
from polyfield.apps.tasks.image import Image
from polyfield.apps.tasks.image_presets import image_presets
from polyfield.apps.tasks.scene import Scene
from polyfield.apps.tasks.scene_presets import scene_presets
from polyfield.backends import dispatch
from polyfield.fields.coordinate import Coordinate
from polyfield.fields.radiance import Radiance
from polyfield.renderers.radiance_model import RadianceModel, SceneInfo
from polyfield.renderers.samplers import Uniform
from polyfield.renderers.signal_model import SignalModel
from polyfield.scenes.formats import pixels
from polyfield.scenes.holdout import kept_pixels
from polyfield.scenes.lenses.opencv import OpenCV
from polyfield.scenes.lenses.opencv_fisheye import OpenCVFisheye
from polyfield.tensors import load_tensors, save_tensors
from polyfield.training import throughput
from polyfield.training.distillation.distilled import Distilled
from polyfield.training.distillation.methods import (
    DistillConfig,
    KiloNerf,
    MethodConfig,
    Pvd,
    PvdActive,
    Values,
)
from polyfield.training.distillation.pvd import LEVELS
from polyfield.training.fit import RunOptions, RunSpec, fit
from polyfield.training.loop import Fit, FitConfig
from polyfield.training.objectives import photometric, regression
from polyfield.training.objectives.photometric import Behind
from polyfield.training.run import Run, load
from polyfield.training.watchers.console import Reporter
from polyfield.training.watchers.probe import ProbeCurve, curve_of

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
    monkeypatch.setattr(scene_scores, "PIXELS", 64)
    monkeypatch.setattr(signals, "PROBED", 64)
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
    world = SceneInfo(capture.bounds, unbounded, "srgb", (1.0, 1.0, 1.0))
    losses = []
    for device in (CPU, THERE):
        torch.manual_seed(0)
        model = RadianceModel(Radiance(small.SMALL), sampler, world).to(device)
        scene = capture.scene("train")
        bent = (OpenCV(k1=0.01, p1=0.001), OpenCVFisheye(k1=0.01))
        lenses = tuple(bent[i % 2] for i in range(len(scene)))
        scene.cameras = replace(scene.cameras, lenses=lenses)
        behind = Behind(torch.ones(3), carve=True)
        objective = run.objective.build(scene.to(device), model, behind, 0)
        fit = Fit(model.field, objective, run.fit)
        fit.run()
        losses.append(fit.progress.loss)
        assert model.render(capture.cameras("test")[0]).depth.device == CPU
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)


def test_some_pixels_of_a_picture() -> None:
    pixels, run = small.picture().to(THERE), small.image_run("rbf", STEPS)
    model = SignalModel(run.field, small.info(pixels.width, pixels.height)).to(THERE)
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
    monkeypatch.setattr(pixels, "fits", lambda tensor, device: False)
    scene = small.CAPTURE.scene("train").to(THERE)
    devices = [scene_._rows.between(0, 1).device for scene_ in (scene, whole)]
    assert devices == [CPU, THERE]
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
        fit(_small_scene(), RunSpec(str(data), device=THERE), Run(folder / "scene"), QUIET)
        spec = RunSpec(str(data / "train_0.png"), device=THERE)
        fit(_small_image(), spec, Run(folder / "image"), QUIET)
    return folder


def _scene_task(name: str) -> Scene:
    run = small.scene_run(name, STEPS)
    return Scene(run.field, run.sampler, run.objective, run.fit)


def _image_task(name: str) -> Image:
    run = small.image_run(name, STEPS)
    return Image(run.field, run.objective, run.fit)


def _small_scene() -> Scene:
    return replace(_scene_task("hash"), field=Radiance(small.SMALL))


def _small_image() -> Image:
    return replace(_image_task("hash"), field=Coordinate(small.SMALL))


def test_a_run_says_where_it_was_and_goes_on_elsewhere(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Run(home / "scene")
    assert run.metrics()["device"] == "pretend:0" and run.metrics()["steps"] == STEPS
    assert "device" not in run.config()
    assert all(t.device == CPU for t in run.load_state()[0].values())
    for device in (CPU, THERE):
        spec = RunSpec(str(home / "data"), device=device)
        model = fit(_small_scene(), spec, run, Reporter(), RunOptions(resume=True))
        assert next(model.parameters()).device == device
        assert "nothing to do" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("student", "method", "finetune"),
    [
        ("mlp", Pvd(), False),
        ("kilo", KiloNerf(inherit=False), False),
        ("rbf", PvdActive(), False),
        ("dense", Pvd(heads=True), True),
    ],
)
def test_a_distillation(
    home: Path, student: str, method: MethodConfig, finetune: bool, tmp_path: Path
) -> None:
    run = Run(tmp_path / "run")
    data = str(home / "data")
    config = DistillConfig(str(home / "scene"), method, data if finetune else None)
    learner: Distilled[Any, Any] = Distilled(_scene_task(student), config, student, THERE)
    spec = RunSpec(data, student, device=THERE)
    model = fit(
        learner, spec, run, QUIET, RunOptions(),
        lambda made, found: [ProbeCurve(run, learner.metric, learner.probe(made, found), 2)],
    )  # fmt: skip
    assert next(model.parameters()).device == THERE
    assert run.metrics()["device"] == "pretend:0" and curve_of(run)


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


def test_an_image_is_distilled(home: Path, tmp_path: Path) -> None:
    run = Run(tmp_path / "run")
    config = DistillConfig(str(home / "image"), Values())
    learner: Distilled[Any, Any] = Distilled(_image_task("rbf"), config, "rbf", THERE)
    spec = RunSpec(str(home / "data" / "train_0.png"), "rbf", device=THERE)
    model = fit(learner, spec, run, QUIET)
    assert model.device == THERE and run.metrics()["device"] == "pretend:0"


@pytest.mark.parametrize("kind", ["scene", "image"])
def test_measuring_drawing_and_comparing(
    home: Path, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (evaluate, render, compare):
        monkeypatch.setattr(module, "resolve", lambda name: THERE)
    run = str(home / kind)
    assert cli.run(["evaluate", run, "--quiet"]) == 0
    size = ["--size", "8x6", "--quiet"]
    for what in ("color", "depth", "opacity"):
        more = [] if kind == "image" else ["--frames", "1", "--what", what]
        out = str(tmp_path / what)
        assert cli.run(["render", run, "--out", out, *more, *size]) == 0
    if kind == "image":
        words = ["compare", "image", str(home / "data" / "train_0.png"), "--quiet"]
        assert cli.run([*words, "--steps", "2", "--out", str(tmp_path / "table")]) == 0
