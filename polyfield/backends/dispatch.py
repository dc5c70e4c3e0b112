"""Which kernels run, why, and on how many threads.

An op has one `reference` in plain torch and may have a fast kernel of the same numbers.
`POLYFIELD_BACKEND` is read once: `auto` (the fast kernel wherever there is one), `reference`
(never), `numba` (the CPU kernel or an error), `triton` (the GPU kernel or an error; CPU tensors as
with `auto`).

The kernels of an op `x.py` are the modules `x_numba.py` and, where it has one, `x_triton.py`.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
from torch import Tensor

from polyfield.backends import gpu, optional
from polyfield.errors import InputError

CHOICES = ("auto", "reference", "numba", "triton")

_forced: list[str] = []


@cache
def chosen() -> str:
    """The value of POLYFIELD_BACKEND, read once.

    Raises:
        InputError: the value is not one of CHOICES, or its package is missing.
    """
    value = os.environ.get("POLYFIELD_BACKEND", "auto")
    if value not in CHOICES:
        raise InputError(
            f"POLYFIELD_BACKEND to be one of {', '.join(CHOICES)}",
            repr(value),
            "unset it or pick one",
        )
    off = why_no_numba()
    if value == "numba" and off:
        raise InputError("numba's compiler for POLYFIELD_BACKEND=numba", *off)
    if value == "auto" and off and _numba_found():
        warnings.warn(
            f"the CPU kernels are off ({off[0]}), training is many times slower; {off[1]}",
            RuntimeWarning,
            stacklevel=2,
        )
    if value == "triton" and not gpu.interpreting() and (missing := gpu.why_not(0)):
        raise InputError(
            "a GPU that Triton kernels run on for POLYFIELD_BACKEND=triton",
            missing,
            "unset it or mend that",
        )
    return value


@cache
def why_no_numba() -> tuple[str, str] | None:
    """Why numba compiles nothing here, and how to mend that; None if it does."""
    if not _numba_found():
        return "none", "pip install numba"
    if os.environ.get("NUMBA_DISABLE_JIT", "0") not in ("", "0"):
        return f"NUMBA_DISABLE_JIT={os.environ['NUMBA_DISABLE_JIT']}", "unset it"
    return None


def most_threads() -> int | None:
    """The most threads that numba's kernels may use: NUMBA_NUM_THREADS; None where it isn't set.

    Raises:
        InputError: it is no number above 0.
    """
    value = os.environ.get("NUMBA_NUM_THREADS", "")
    if not value or why_no_numba() or current() == "reference":
        return None
    if not (value.isascii() and value.isdigit() and int(value) > 0):
        raise InputError("NUMBA_NUM_THREADS to be a number above 0", repr(value), "unset it")
    return int(value)


def current() -> str:
    """What is forced, else what was chosen."""
    return _forced[-1] if _forced else chosen()


@cache
def _numba_found() -> bool:
    return importlib.util.find_spec("numba") is not None


@contextmanager
def force(backend: str) -> Iterator[None]:
    """Use `backend`, one of CHOICES, inside a `with` block, whatever was chosen."""
    assert backend in CHOICES, backend
    _forced.append(backend)
    try:
        yield
    finally:
        _forced.pop()


def use_numba(*tensors: Tensor) -> bool:
    """True if the numba kernel is to run on these tensors: float32 on the CPU."""
    backend = current()
    return (
        backend != "reference"
        and not (backend == "triton" and gpu.interpreting())
        and why_no_numba() is None
        and all(t.dtype == torch.float32 and t.device.type == "cpu" for t in tensors)
    )


def use_triton(op: str, *tensors: Tensor) -> bool:
    """True if the Triton kernel of `op` is to run on these tensors: float32 on a CUDA device.

    Triton's interpreter runs it on CPU tensors, where that is forced.

    Raises:
        InputError: POLYFIELD_BACKEND is triton and the kernel can't run.
    """
    backend = current()
    if backend in ("reference", "numba") or any(t.dtype != torch.float32 for t in tensors):
        return False
    device = tensors[0].device
    if device.type != "cuda":
        return backend == "triton" and device.type == "cpu" and gpu.interpreting()
    return gpu.ready(op, device.index or 0, backend == "triton")


def fast(op: str, *tensors: Tensor) -> bool:
    """True if one of the kernels of `op`, the module of its reference, is to run."""
    return use_numba(*tensors) or use_triton(op, *tensors)


def kernel(op: str, *tensors: Tensor) -> Any:
    """The module of the kernel that `fast` promised."""
    return importlib.import_module(f"{op}_{'numba' if use_numba(*tensors) else 'triton'}")


def new(*shape: int) -> Tensor:
    """An uninitialised float32 CPU tensor for a kernel's result.

    Numpy asks for huge pages where torch does not: touching a fresh array of 32 MB or more is then
    several times faster.
    """
    return torch.from_numpy(np.empty(shape, np.float32))


def flat(tensor: Tensor) -> np.ndarray:
    """The values as a one-dimensional numpy array; shares memory with a contiguous tensor."""
    return tensor.detach().contiguous().view(-1).numpy()


def threads() -> int:
    """Threads a parallel kernel uses."""
    return torch.get_num_threads()


@dataclass(frozen=True)
class Backend:
    """One row of `polyfield info`."""

    name: str
    used: bool
    reason: str
    """What it is used for, or why it is off and how to turn it on."""


def _triton_row() -> Backend:
    if chosen() in ("reference", "numba"):
        return Backend("triton", False, f"POLYFIELD_BACKEND={chosen()}; unset it")
    reason = gpu.why_not(0)
    return Backend("triton", reason is None, reason or gpu.describe(0))


def _optional_row(package: optional.Package) -> Backend:
    reason = optional.why_not(package)
    return Backend(package.module, reason is None, reason or optional.describe(package))


def report() -> list[Backend]:
    """The backends this machine could use, which are used, and why the others are not."""
    rows = [Backend("reference", True, "plain torch, any dtype and device")]
    if reason := why_no_numba():
        rows.append(Backend("numba", False, "; ".join(reason)))
    elif chosen() == "reference":
        rows.append(Backend("numba", False, "POLYFIELD_BACKEND=reference; unset it"))
    else:
        import numba

        from polyfield.backends.simd import LANES

        rows.append(
            Backend("numba", True, f"{numba.__version__}, CPU, float32, {LANES} lanes a vector")
        )
    rows.append(_triton_row())
    return rows + [_optional_row(package) for package in optional.PACKAGES]
