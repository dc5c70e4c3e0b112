"""What would not fit into memory is refused before it is made."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from polyfield.errors import InputError

_MAKERS = (
    torch.empty, torch.zeros, torch.ones, torch.full, torch.rand, torch.randn, torch.randperm,
    torch.arange,
)  # fmt: skip
_LIMITS = (Path("/sys/fs/cgroup/memory.max"), Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"))


def total_memory() -> int | None:
    """Bytes of memory that this process may have; None where the system doesn't say."""
    try:
        found = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    except (AttributeError, OSError, ValueError):
        return None
    for path in _LIMITS:
        try:
            found.append(int(path.read_text()))
        except (OSError, ValueError):  # no such limit; "max"
            continue
    return min(found)


@contextmanager
def within_memory(what: str, copies: int = 1) -> Iterator[None]:
    """Raise before a tensor is made that leaves no room.

    Counts what is made inside, by PyTorch and on any device, as if all of it stayed.

    Args:
        what: Which is being made, "the field".
        copies: How often there will be as much: 4 in training (values, gradients, two moments).

    Raises:
        InputError: all of it would need more than there is.
    """
    most = total_memory()
    if most is None:
        yield
        return
    with _Counting(what, copies, most):
        yield


class _Counting(TorchFunctionMode):
    """Adds up the bytes of new tensors."""

    def __init__(self, what: str, copies: int, most: int) -> None:
        super().__init__()
        self.what, self.copies, self.most, self.made = what, copies, most, 0

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        given = kwargs or {}
        if func in _MAKERS:
            dtype = given.get("dtype") or torch.get_default_dtype()
            self.made += self.copies * dtype.itemsize * _count(func, args, given)
            if self.made > self.most:
                raise InputError(
                    f"{self.what} to need at most {_spoken(self.most)} of memory",
                    f"at least {_spoken(self.made)}",
                    "lower its resolution, sizes or levels",
                )
        return func(*args, **given)


def _count(func: Callable[..., Any], args: Sequence[Any], given: dict[str, Any]) -> int:
    """How many values a call makes."""
    if func in (torch.arange, torch.randperm):
        numbers = [a for a in args if isinstance(a, (int, float))]
        return int(max(map(abs, numbers), default=0))
    size = given.get("size", args[0] if args else ())
    if isinstance(size, int):
        size = [a for a in args if isinstance(a, int)]
    return math.prod(int(s) for s in size)


def _spoken(count: int) -> str:
    return f"{count / 2**30:.3g} GB"
