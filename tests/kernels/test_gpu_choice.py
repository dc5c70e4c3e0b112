"""Whether Triton runs, by what is there: each reason is told once, and plain torch runs instead."""

import types
import warnings
from collections.abc import Iterator

import pytest
import torch

from polyfield.backends import dispatch, gpu
from polyfield.encodings.kernels import hash_grid
from polyfield.errors import InputError

pytest.importorskip("triton", reason="Triton comes with PyTorch for CUDA, or as a test tool")

CACHED = (gpu._chosen, gpu.triton_found, gpu.why_not, gpu.ready, gpu._warn_once, dispatch.chosen)
OP = hash_grid.__name__


def _forget() -> None:
    for function in CACHED:
        function.cache_clear()


@pytest.fixture
def fake_gpu(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """A GPU that PyTorch finds and Triton launches on; only CPU tensors exist."""
    from polyfield.backends import probe_triton
    from polyfield.encodings.kernels import hash_grid_triton

    _forget()
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda index: (9, 0))
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda index: "Pretended")
    monkeypatch.setattr(probe_triton, "check", lambda device: None)
    monkeypatch.setattr(hash_grid_triton, "check", lambda device: None)
    yield monkeypatch
    monkeypatch.undo()
    _forget()


def _told() -> tuple[bool, list[str]]:
    """Whether the kernel is ready, asked twice, and the warnings."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        first, second = (gpu.ready(OP, 0, False) for _ in range(2))
    assert first == second
    return first, [str(w.message) for w in caught]


def _fails(error: Exception) -> None:
    raise error


def test_all_is_well(fake_gpu: pytest.MonkeyPatch) -> None:
    assert _told() == (True, [])
    row = next(row for row in dispatch.report() if row.name == "triton")
    assert row.used and "Pretended" in row.reason and "fp16" in row.reason


def test_an_old_gpu(fake_gpu: pytest.MonkeyPatch) -> None:
    fake_gpu.setattr(torch.cuda, "get_device_capability", lambda index: (7, 5))
    ready, told = _told()
    assert not ready
    assert told == [
        "plain torch instead of Triton kernels: Pretended has compute capability 7.5, below 8.0"
    ]


def test_no_triton(fake_gpu: pytest.MonkeyPatch) -> None:
    fake_gpu.setattr(gpu, "triton_found", lambda: False)
    ready, (told,) = _told()
    assert not ready and "pip install triton" in told


@pytest.mark.parametrize(
    ("compiler", "error", "hint"),
    [
        (None, RuntimeError("Failed to find C compiler."), "install gcc"),
        ("/usr/bin/gcc", RuntimeError("fatal error: Python.h: no such file"), "python3-dev"),
        ("/usr/bin/gcc", RuntimeError("PTXAS broke\nand more"), "Triton can't launch: PTXAS broke"),
    ],
)
def test_no_launch(
    fake_gpu: pytest.MonkeyPatch, compiler: str | None, error: Exception, hint: str
) -> None:
    from polyfield.backends import probe_triton

    fake_gpu.setattr(probe_triton, "check", lambda device: _fails(error))
    fake_gpu.setattr(gpu, "shutil", types.SimpleNamespace(which=lambda name: compiler))
    ready, (told,) = _told()
    assert not ready and told.endswith(hint)


def test_a_kernel_that_is_wrong(fake_gpu: pytest.MonkeyPatch) -> None:
    from polyfield.encodings.kernels import hash_grid_triton

    fake_gpu.setattr(hash_grid_triton, "check", lambda device: _fails(ArithmeticError("off by 3")))
    ready, (told,) = _told()
    assert not ready and told.endswith("hash_grid fails its self-check: off by 3")


def test_triton_that_was_asked_for_must_run(fake_gpu: pytest.MonkeyPatch) -> None:
    fake_gpu.setattr(torch.cuda, "get_device_capability", lambda index: (7, 0))
    with pytest.raises(InputError, match="POLYFIELD_BACKEND=triton; got .* below 8.0"):
        gpu.ready(OP, 0, True)
    fake_gpu.setenv("POLYFIELD_BACKEND", "triton")
    with pytest.raises(InputError, match="Triton kernels run on"):
        dispatch.chosen()


def test_precision_is_one_of_three(fake_gpu: pytest.MonkeyPatch) -> None:
    fake_gpu.setenv("POLYFIELD_PRECISION", "fp8")
    with pytest.raises(InputError, match="fp16, bf16, fp32; got 'fp8'"):
        gpu.precision()
