"""`--device`: what is possible, and one line for what is not."""

from pathlib import Path

import pytest
import torch

import polyfield
from polyfield import devices
from polyfield.apps import cli
from polyfield.backends import dispatch
from polyfield.devices import CPU, describe, resolve
from polyfield.errors import InputError


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(dispatch, "chosen", lambda: "auto")
    monkeypatch.setattr(devices.gpu, "why_not", lambda index: "PyTorch without CUDA; install it")


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Two GPUs that nothing runs on; returns which was made the current one."""
    current: list[int] = []
    for name, value in (("is_available", True), ("device_count", 2), ("current_device", 0)):
        monkeypatch.setattr(torch.cuda, name, lambda value=value: value)
    monkeypatch.setattr(torch.cuda, "set_device", current.append)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "H100")
    monkeypatch.setattr(devices, "_computes", lambda device: True)
    monkeypatch.setattr(dispatch, "chosen", lambda: "auto")
    return current


def test_without_a_gpu(no_gpu: None) -> None:
    assert resolve("auto") == resolve("cpu") == CPU and describe(CPU) == "cpu"
    for name in ("cuda", "cuda:0"):
        with pytest.raises(InputError, match="got PyTorch without CUDA; install it, or use"):
            resolve(name)
    assert resolve("cpu") == CPU


def test_with_two(two_gpus: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    assert resolve("auto") == resolve("cuda") == torch.device("cuda", 0)
    assert resolve("cuda:1") == torch.device("cuda", 1) and two_gpus[-1] == 1
    assert resolve("cpu") == CPU
    assert describe(torch.device("cuda", 1)) == "cuda:1 H100"
    with pytest.raises(InputError, match="one of cuda:0, cuda:1 for --device; got cuda:7"):
        resolve("cuda:7")
    monkeypatch.setattr(devices, "_computes", lambda device: False)
    assert resolve("auto") == CPU


@pytest.mark.parametrize("word", ["gpu", "", "cuda:", "cuda:-1", "cuda:x", "CPU", "meta", "mps"])
def test_other_words(word: str, two_gpus: list[int]) -> None:
    with pytest.raises(InputError, match="auto, cpu, cuda or cuda:N"):
        resolve(word)


def test_a_backend_has_its_device(two_gpus: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatch, "chosen", lambda: "numba")
    assert resolve("auto") == resolve("cpu") == CPU
    with pytest.raises(InputError, match="POLYFIELD_BACKEND=numba"):
        resolve("cuda")
    monkeypatch.setattr(dispatch, "chosen", lambda: "triton")
    monkeypatch.setattr(devices.gpu, "interpreting", lambda: False)
    assert resolve("auto").type == resolve("cuda").type == "cuda"
    with pytest.raises(InputError, match="POLYFIELD_BACKEND=triton"):
        resolve("cpu")
    # In tests Triton's interpreter runs on the CPU.
    monkeypatch.setattr(devices.gpu, "interpreting", lambda: True)
    assert resolve("cpu") == CPU
    monkeypatch.setattr(dispatch, "chosen", lambda: "reference")
    assert resolve("auto").type == "cuda" and resolve("cpu") == CPU


def test_a_device_that_this_pytorch_has_no_code_for() -> None:
    assert devices._computes(CPU)
    assert not devices._computes(torch.device("meta"))


@pytest.mark.parametrize(
    "words",
    [
        ["fit", "image", "demo", "--out", "OUT"],
        ["fit", "scene", "demo", "--out", "OUT"],
        ["compare", "image", "demo", "--out", "OUT"],
        ["compare", "scene", "demo", "--out", "OUT"],
        ["distill", "RUN", "--to", "mlp", "--out", "OUT"],
        ["distill", "--matrix", "demo", "--out", "OUT"],
        ["evaluate", "RUN"],
        ["render", "RUN", "--out", "OUT"],
    ],
)
def test_an_impossible_device_is_one_line(
    words: list[str],
    no_gpu: None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    for device, said in (("warp", "'warp'"), ("cuda", "PyTorch without CUDA")):
        assert cli.run([*words, "--device", device]) == 2
        error = capsys.readouterr().err
        assert said in error and error.startswith("polyfield: error: expected ")
        assert error.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_python_says_the_same(no_gpu: None, tmp_path: Path) -> None:
    calls = (
        lambda: polyfield.fit_image("demo", steps=1, device="cuda"),
        lambda: polyfield.fit_scene("demo", steps=1, device="cuda"),
        lambda: polyfield.distill(tmp_path, "mlp", tmp_path / "out", device="cuda"),
    )
    for call in calls:
        with pytest.raises(InputError, match="PyTorch without CUDA"):
            call()


def test_a_run_names_its_device(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    out = str(tmp_path / "run")
    words = ["fit", "image", "demo", "--downscale", "32", "--steps", "2", "--device", "cpu"]
    small = ["--field.encoding.levels", "2", "--field.encoding.log2-size", "8"]
    assert cli.run([*words, *small, "--out", out]) == 0
    assert ", cpu, " in capsys.readouterr().out.splitlines()[0]
    assert polyfield.load(out, "cpu").device == CPU
    monkeypatch.setattr(dispatch, "chosen", lambda: "triton")
    assert polyfield.load(out).device == CPU
    with pytest.raises(InputError, match="auto, cpu"):
        polyfield.load(out, "warp")
