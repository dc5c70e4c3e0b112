"""Several processes that train one field: each takes a share of every batch.

`torchrun --nproc-per-node N -m polyfield fit ...` starts them and says who is who. All of them draw
the whole batch from the same generator and take their own rows of it, so that the sum of their
gradients is that of one process with the same batch. Gradients are added up before each step of the
optimiser; the first process alone writes.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, distributed

from polyfield.devices import Rows
from polyfield.errors import InputError


class Team:
    """This process among those that train a field.

    Args:
        rank: Its number; 0 is the one that writes.
        size: How many there are.
        device: Of the tensors that are exchanged.
    """

    def __init__(self, rank: int, size: int, device: torch.device) -> None:
        self.rank, self.size, self._device = rank, size, device

    @property
    def leads(self) -> bool:
        """Whether this one writes and speaks."""
        return self.rank == 0

    def share(self, count: int) -> slice:
        """Which of so many rows are this one's."""
        return slice(count * self.rank // self.size, count * (self.rank + 1) // self.size)

    def draws(self, generator: torch.Generator, count: int) -> torch.Generator | Rows:
        """A generator of all rows, of which this one takes its share."""
        if self.size == 1:
            return generator
        mine = self.share(count)
        return Rows(generator, count, mine.start, mine.stop)

    def totals(self, *numbers: float) -> list[float]:
        """Numbers added up over all processes."""
        if self.size == 1:
            return list(numbers)
        packed = torch.tensor(numbers, dtype=torch.float64, device=self._device)
        distributed.all_reduce(packed)
        return [float(value) for value in packed.tolist()]

    def add_up(self, parameters: Sequence[Tensor]) -> None:
        """Replace gradients by their sum over all processes; none counts as zeros.

        Where no process has any, none has any afterwards.
        """
        if self.size == 1 or not self.any(any(p.grad is not None for p in parameters)):
            return
        grads = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
        packed = torch.cat([grad.reshape(-1) for grad in grads])
        distributed.all_reduce(packed)
        parts = packed.split([grad.numel() for grad in grads])
        for parameter, part in zip(parameters, parts, strict=True):
            parameter.grad = part.view_as(parameter)

    def any(self, mine: bool) -> bool:
        """Whether it is so of one of the processes."""
        return mine if self.size == 1 else self.totals(float(mine))[0] > 0

    def agree(self, number: float) -> float:
        """The number of the process that leads."""
        return self.totals(number if self.leads else 0.0)[0]

    def spread(self, tensors: Sequence[Tensor]) -> None:
        """Overwrite tensors by those of the process that leads."""
        if self.size == 1:
            return
        for tensor in tensors:
            # No backend sends bools.
            plain = tensor.to(torch.uint8) if tensor.dtype == torch.bool else tensor
            sent = plain.to(self._device).contiguous()
            distributed.broadcast(sent, 0)
            tensor.copy_(sent)


ALONE = Team(0, 1, torch.device("cpu"))
"""One process."""

_joined: list[Team] = []


def current() -> Team:
    """The team that this process has joined."""
    return _joined[-1] if _joined else ALONE


def is_called() -> bool:
    """Whether torchrun has started this process with others."""
    return "TORCHELASTIC_RUN_ID" in os.environ and int(os.environ.get("WORLD_SIZE", "1")) > 1


def device_of(name: str) -> str:
    """The device of this process for `--device NAME`: each one has a GPU of its own.

    Raises:
        InputError: all would share one.
    """
    if not is_called() or name == "cpu":
        return name
    if ":" in name:
        raise InputError(
            "--device auto, cpu or cuda for several processes", name, "each takes a GPU of its own"
        )
    there = torch.cuda.is_available()
    local = int(os.environ["LOCAL_RANK"])
    if there and local >= torch.cuda.device_count():
        raise InputError(
            f"at most {torch.cuda.device_count()} processes, one a GPU",
            f"--nproc-per-node {os.environ.get('LOCAL_WORLD_SIZE', local + 1)}",
            "start fewer, or give --device cpu",
        )
    return f"cuda:{local}" if there or name == "cuda" else name


@contextmanager
def joined(device: torch.device) -> Iterator[Team]:
    """Meet the other processes that torchrun has started; alone where it has not.

    Args:
        device: Where this one computes: gloo on CPUs, NCCL on GPUs.
    """
    if not is_called() or _joined:
        yield current()
        return
    distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        team = Team(distributed.get_rank(), distributed.get_world_size(), device)
        _joined.append(team)
        yield team
    finally:
        _joined.clear()
        distributed.destroy_process_group()
