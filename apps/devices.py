"""`--device auto|cpu|cuda[:N]`: where everything is computed.

A device is no part of what identifies a run: one begun on a GPU goes on without one.
"""

from __future__ import annotations

import re

import torch

from polyfield.encodings.errors import InputError
from polyfield.encodings.kernels import backends, gpu

CPU = torch.device("cpu")


def resolve(name: str) -> torch.device:
    """The device of that name, made the current one of its kind: Triton launches there.

    Args:
        name: auto for a GPU where there is one that computes, else the CPU; cpu; cuda or cuda:N.

    Raises:
        InputError: no such word, no such device, or not with this POLYFIELD_BACKEND.
    """
    backend = backends.chosen()
    if name == "auto":
        return _automatic(backend)
    if name == "cpu":
        if backend == "triton" and not gpu.interpreting():
            raise InputError("--device cuda with POLYFIELD_BACKEND=triton", "cpu", "change one")
        return CPU
    found = re.fullmatch(r"cuda(?::(\d{1,4}))?", name)
    if found is None:
        raise InputError("--device auto, cpu, cuda or cuda:N", repr(name), "pick one of them")
    if backend == "numba":
        raise InputError("--device cpu with POLYFIELD_BACKEND=numba", name, "change one of them")
    if not torch.cuda.is_available():
        got, _, mend = (gpu.why_not(0) or "none").partition("; ")
        raise InputError(f"a CUDA device for --device {name}", got, f"{mend}, or use --device cpu")
    index, count = int(found[1] or torch.cuda.current_device()), torch.cuda.device_count()
    if index >= count:
        there = ", ".join(f"cuda:{i}" for i in range(count))
        raise InputError(f"one of {there} for --device", name, "pick one of them")
    torch.cuda.set_device(index)
    return torch.device("cuda", index)


def _automatic(backend: str) -> torch.device:
    """A GPU if PyTorch finds one and can compute on it, else the CPU."""
    if backend == "numba" or not torch.cuda.is_available():
        return CPU
    device = torch.device("cuda", torch.cuda.current_device())
    return device if _computes(device) else CPU


def _computes(device: torch.device) -> bool:
    """Whether this build of PyTorch has code for the device."""
    try:
        return float(torch.ones(2, device=device).sum()) == 2
    except RuntimeError:
        return False


def describe(device: torch.device) -> str:
    """The device in words: cpu, or cuda:0 and what it is called."""
    if device.type != "cuda":
        return str(device)
    return f"{device} {torch.cuda.get_device_name(device)}"
