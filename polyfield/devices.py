"""`--device auto|cpu|cuda[:N]`: where everything is computed, and what goes between devices.

A device is no part of what identifies a run: one begun on a GPU goes on without one. Random numbers
are drawn on the CPU and moved; clocks wait for a GPU's work.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import torch
from torch import Generator, Tensor

from polyfield.backends import dispatch, gpu
from polyfield.errors import InputError

CPU = torch.device("cpu")


def resolve(name: str) -> torch.device:
    """The device of that name, made the current one of its kind: Triton launches there.

    Args:
        name: auto for a GPU where there is one that computes, else the CPU; cpu; cuda or cuda:N.

    Raises:
        InputError: no such word, no such device, or not with this POLYFIELD_BACKEND.
    """
    backend = dispatch.chosen()
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
        got, _, hint = (gpu.why_not(0) or "none").partition("; ")
        raise InputError(f"a CUDA device for --device {name}", got, f"{hint}, or use --device cpu")
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


def move(tensor: Tensor, device: torch.device) -> Tensor:
    """The same values on a device.

    The host does not wait for a copy to a GPU; what is read back with `.cpu()` it has to wait for.
    """
    return tensor.to(device, non_blocking=True)


@dataclass(frozen=True)
class Rows:
    """Some rows of what a generator draws for more than these: a share of a batch."""

    generator: Generator
    count: int
    """Rows that are drawn."""
    first: int
    last: int
    """Rows first..last-1 are these."""


def uniform(shape: tuple[int, ...], generator: Generator | Rows, device: torch.device) -> Tensor:
    """Numbers of U(0, 1), float32, the same on every device: the generator is the CPU's."""
    if isinstance(generator, Rows):
        assert shape[0] == generator.last - generator.first, (shape, generator)
        all_rows = torch.rand((generator.count, *shape[1:]), generator=generator.generator)
        return move(all_rows[generator.first : generator.last], device)
    return move(torch.rand(shape, generator=generator), device)


def fits(tensor: Tensor, device: torch.device) -> bool:
    """Whether a device has room for a tensor and for as much again."""
    return device.type != "cuda" or 2 * tensor.nbytes < torch.cuda.mem_get_info(device)[0]


def wait(device: torch.device) -> None:
    """Wait until a GPU has done what it was told; before a clock is read. Nothing on a CPU."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
