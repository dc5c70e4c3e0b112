"""The whole program on a GPU, with its kernels: what tests/house/test_devices.py does without one.

Kernels round products to fp16, so numbers agree to some digits, not to the last.
"""

import importlib.util
import json
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import polyfield
from polyfield.apps import cli
from polyfield.apps.tasks.image_presets import image_presets
from polyfield.apps.tasks.scene_presets import scene_presets
from polyfield.backends import gpu
from polyfield.devices import describe, resolve
from polyfield.errors import InputError
from polyfield.tensors import load_tensors, save_tensors
from polyfield.training.run import Run
from polyfield.training.scores import psnr

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
]

STEPS = 24
ALIKE = 45.0
"""PSNR of the same model's images on two devices, dB, at least."""


def _helper(name: str) -> Any:
    """A module of tests/, which is no package; loaded once."""
    if name not in sys.modules:
        path = Path(__file__).parent.parent / f"{name}.py"
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None and spec.loader is not None
        module = sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return sys.modules[name]


small = _helper("small_runs")
CPU, THERE = small.CPU, torch.device("cuda", 0)


def _build(kind: str, name: str, device: torch.device) -> Any:
    if kind == "scene":
        return small.scene(small.scene_run(name, STEPS), device)
    return small.image(small.image_run(name, STEPS), device)


def _picture(model: Any, kind: str) -> Tensor:
    if kind == "image":
        found: Tensor = model.render()
        return found
    color: Tensor = model.render(small.CAPTURE.cameras("test")[0].resized(48, 48)).color
    return color


def _names() -> list[Any]:
    pairs = [("scene", name) for name in scene_presets()]
    pairs += [("image", name) for name in image_presets()]
    return [pytest.param(*pair, id="-".join(pair)) for pair in pairs]


@pytest.mark.parametrize(("kind", "name"), _names())
def test_a_preset(kind: str, name: str, tmp_path: Path) -> None:
    """It begins alike, trains on the GPU, goes on on the CPU, and back; images are alike."""
    model, fit = _build(kind, name, THERE)
    here, _ = _build(kind, name, CPU)
    begin = here.state_dict()
    for key, tensor in model.state_dict().items():
        assert tensor.device == THERE and torch.equal(tensor.cpu(), begin[key]), key
    losses = []
    for _ in range(STEPS - 4):
        small.go(fit, 1)
        losses.append(fit.progress.loss)
    assert all(loss == loss for loss in losses)
    save_tensors(tmp_path / "state", fit.state(), {})
    other, going = _build(kind, name, CPU)
    going.load_state(load_tensors(tmp_path / "state")[0])
    assert psnr(_picture(model, kind).clamp(0, 1), _picture(other, kind).clamp(0, 1)) >= ALIKE
    small.go(going, 2)
    save_tensors(tmp_path / "state", going.state(), {})
    fit.load_state(load_tensors(tmp_path / "state")[0])
    assert psnr(_picture(model, kind).clamp(0, 1), _picture(other, kind).clamp(0, 1)) >= ALIKE
    small.go(fit, 2)
    assert fit.progress.step == STEPS and fit.progress.rewinds == 0


def test_the_first_steps_are_those_of_the_cpu() -> None:
    """In float32 without kernels' rounding the losses are the same to some digits."""
    found = []
    with gpu.force_precision("fp32"):
        for device in (CPU, THERE):
            _, fit = _build("scene", "hash", device)
            small.go(fit, 3)
            found.append((fit.progress.loss, fit.progress.numbers["samples"]))
    assert found[0] == pytest.approx(found[1], rel=2e-2)


def test_the_device_in_words(tmp_path: Path) -> None:
    assert resolve("auto") == resolve("cuda:0") == THERE
    assert describe(THERE).startswith("cuda:0 ")
    with pytest.raises(InputError, match="one of cuda:0"):
        resolve("cuda:7777")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Data, and two runs of the GPU."""
    folder = tmp_path_factory.mktemp("cuda")
    data = small.write_data(folder / "data")
    words = ["--device", "cuda", "--steps", "30", "--quiet"]
    few = ["--sampler.resolution", "16", "--sampler.sweep", "16", "--objective.samples", "2048"]
    assert cli.run(["fit", "scene", str(data), "--out", str(folder / "scene"), *words, *few]) == 0
    picture = str(data / "train_0.png")
    assert cli.run(["fit", "image", picture, "--out", str(folder / "image"), *words]) == 0
    return folder


@pytest.mark.parametrize("kind", ["scene", "image"])
def test_a_run_says_where_it_was(home: Path, kind: str) -> None:
    run = Run(home / kind)
    assert run.metrics()["device"] == describe(THERE) and "device" not in run.config()
    one, two = (polyfield.load(run.path, device) for device in ("cpu", "cuda"))
    assert one.device == CPU and two.device == THERE
    assert psnr(_picture(one, kind).clamp(0, 1), _picture(two, kind).clamp(0, 1)) >= ALIKE


@pytest.mark.parametrize("kind", ["scene", "image"])
@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_measuring_and_drawing(home: Path, kind: str, device: str, tmp_path: Path) -> None:
    run, words = str(home / kind), ["--quiet", "--device", device]
    before = Run(home / kind).metrics()["psnr"]
    assert cli.run(["evaluate", run, *words]) == 0
    assert Run(home / kind).metrics()["psnr"] == pytest.approx(before, abs=0.1)
    out = ["--out", str(tmp_path / "out"), "--size", "16x12", "--frames", "2"]
    assert cli.run(["render", run, *out, *words]) == 0
    assert any((tmp_path / "out").iterdir())


@pytest.mark.parametrize(
    "words",
    [
        ["--to", "mlp"],
        ["--to", "kilo"],
        ["--to", "rbf", "--method", "pvd-al"],
        ["--to", "dense", "--heads", "--finetune", "DATA"],
    ],
)
def test_a_distillation(home: Path, words: list[str], tmp_path: Path) -> None:
    words = [str(home / "data") if word == "DATA" else word for word in words]
    out = ["--out", str(tmp_path / "run"), "--steps", "12", "--device", "cuda", "--quiet"]
    assert cli.run(["distill", str(home / "scene"), *words, *out]) == 0
    report = json.loads((tmp_path / "run" / "report.json").read_text())
    assert report["psnr_student_vs_teacher"] > 5
    assert Run(tmp_path / "run").metrics()["device"] == describe(THERE)


def test_a_picture_is_distilled(home: Path, tmp_path: Path) -> None:
    words = ["--to", "siren", "--out", str(tmp_path / "run"), "--steps", "4", "--quiet"]
    assert cli.run(["distill", str(home / "image"), *words, "--device", "cuda"]) == 0


def test_a_training_step_seldom_waits() -> None:
    """Of an image only the mean square and the loss are read."""
    _, fit = _build("image", "hash", THERE)
    small.go(fit, 2)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        small.go(fit, 1)
        torch.cuda.set_sync_debug_mode("default")
    waits = [str(w.message) for w in seen if "synchronizing CUDA operation" in str(w.message)]
    assert 1 <= len(waits) <= 3, waits
