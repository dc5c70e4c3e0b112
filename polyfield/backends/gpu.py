"""Whether Triton kernels can run here, whether each is right, and in what precision.

Triton comes with every CUDA build of PyTorch and needs no nvcc. Its launcher is compiled on first
use by the system's C compiler, against Python's headers. Where anything is amiss the reference runs
instead, and one warning says why.

Precision is that of matrix products alone: `fp16` (the default) and `bf16` round their inputs and
sum in float32; `fp32` rounds nothing (IEEE products, no TF32). Hash-grid entries are read as fp16
unless the precision is fp32; tables, their gradients, transmittance and optimiser state are float32
always. Plain torch on a GPU follows `torch.backends.cuda.matmul.allow_tf32`, off by default.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache

import torch

from polyfield import environment
from polyfield.errors import InputError

PRECISIONS = ("fp16", "bf16", "fp32")
OLDEST = (8, 0)
"""Compute capability from which tensor cores do what the kernels ask for."""

_forced: list[str] = []


@cache
def _chosen() -> str:
    value = os.environ.get("POLYFIELD_PRECISION", "fp16")
    if value not in PRECISIONS:
        raise InputError(
            f"POLYFIELD_PRECISION to be one of {', '.join(PRECISIONS)}",
            repr(value),
            "unset it or pick one",
        )
    return value


def precision() -> str:
    """One of PRECISIONS: what POLYFIELD_PRECISION says, read once, or what is forced.

    Raises:
        InputError: POLYFIELD_PRECISION is none of them.
    """
    return _forced[-1] if _forced else _chosen()


@contextmanager
def force_precision(name: str) -> Iterator[None]:
    """Use that precision inside a `with` block."""
    assert name in PRECISIONS, name
    _forced.append(name)
    try:
        yield
    finally:
        _forced.pop()


def interpreting() -> bool:
    """Whether Triton's interpreter stands in for a GPU (TRITON_INTERPRET=1): tests do so."""
    return os.environ.get("TRITON_INTERPRET") == "1" and triton_found()


@cache
def triton_found() -> bool:
    """Whether the package is there."""
    return importlib.util.find_spec("triton") is not None


@cache
def why_not(index: int) -> str | None:
    """Why Triton kernels can't run on a CUDA device, and the mend; None if they can."""
    if not torch.cuda.is_available():
        built = "no CUDA device" if torch.version.cuda else "PyTorch without CUDA"
        return f"{built}; install a CUDA build of PyTorch on a machine with an NVIDIA GPU"
    if not triton_found():
        return "no triton package; pip install triton"
    capability = torch.cuda.get_device_capability(index)
    if capability < OLDEST:
        name = torch.cuda.get_device_name(index)
        return f"{name} has compute capability {capability[0]}.{capability[1]}, below 8.0"
    return _launch_fails(index)


def _launch_fails(index: int) -> str | None:
    """Launch the smallest kernel there is."""
    environment.prepare("TRITON_DEFAULT_FP_FUSION")
    from polyfield.backends import probe_triton

    try:
        probe_triton.check(torch.device("cuda", index))
    except Exception as error:
        if not any(shutil.which(name) for name in (os.environ.get("CC", "cc"), "gcc", "clang")):
            return "no C compiler for Triton's launcher; install gcc"
        if "Python.h" in str(error):
            return "no Python headers for Triton's launcher; install python3-dev"
        return f"Triton can't launch: {_first_line(error)}"
    return None


def describe(index: int) -> str:
    """The device, Triton's version and the precision, as one line."""
    version = importlib.import_module("triton").__version__
    return f"{version}, {torch.cuda.get_device_name(index)}, {precision()} products"


@cache
def ready(op: str, index: int, demanded: bool) -> bool:
    """Whether the Triton kernel of an op can run and gets a small case right; warns once if not.

    Raises:
        InputError: it can't, though it is `demanded`.
    """
    reason = why_not(index) or _wrong(op, index)
    if reason is None:
        return True
    if demanded:
        raise InputError("Triton kernels for POLYFIELD_BACKEND=triton", reason, "unset it")
    _warn_once(f"plain torch instead of Triton kernels: {reason}")
    return False


@cache
def _warn_once(text: str) -> None:
    warnings.warn(text, stacklevel=2)


def _wrong(op: str, index: int) -> str | None:
    """Run the self-check of an op's kernel."""
    module = importlib.import_module(f"{op}_triton")
    try:
        module.check(torch.device("cuda", index))
    except Exception as error:
        return f"{op.rsplit('.', 1)[-1]} fails its self-check: {_first_line(error)}"
    return None


def _first_line(error: Exception) -> str:
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0][:200]


def compare(found: torch.Tensor, wanted: torch.Tensor, tolerance: float) -> None:
    """Raise if two results differ by more than a share of the largest number."""
    error = float((found - wanted).abs().max()) if found.numel() else 0.0
    most = tolerance * float(wanted.abs().max()) if wanted.numel() else 0.0
    if not error <= most:
        raise ArithmeticError(f"off by {error:.2g}, of at most {most:.2g}")
