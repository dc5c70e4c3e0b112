"""Between devices: random numbers are drawn on the CPU and moved, clocks wait for a GPU's work."""

from __future__ import annotations

import torch
from torch import Generator, Tensor


def move(tensor: Tensor, device: torch.device) -> Tensor:
    """The same values on a device.

    The host does not wait for a copy to a GPU; what is read back with `.cpu()` it has to wait for.
    """
    return tensor.to(device, non_blocking=True)


def uniform(shape: tuple[int, ...], generator: Generator, device: torch.device) -> Tensor:
    """Numbers of U(0, 1), float32, the same on every device: the generator is the CPU's."""
    return move(torch.rand(shape, generator=generator), device)


def fits(tensor: Tensor, device: torch.device) -> bool:
    """Whether a device has room for a tensor and for as much again."""
    return device.type != "cuda" or 2 * tensor.nbytes < torch.cuda.mem_get_info(device)[0]


def wait(device: torch.device) -> None:
    """Wait until a GPU has done what it was told; before a clock is read. Nothing on a CPU."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
