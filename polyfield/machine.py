"""The machine and what runs on it: threads, versions, memory."""

from __future__ import annotations

import os
import platform
import sys
from importlib import metadata
from typing import Any

import torch

from polyfield.backends import dispatch
from polyfield.errors import InputError


def use_threads(count: int | None) -> int:
    """Set the number of CPU threads of everything that computes.

    It also looks at POLYFIELD_BACKEND, so that an impossible value is told before any work.

    Args:
        count: None for PyTorch's own choice, one per core, or NUMBA_NUM_THREADS where that is less.

    Returns:
        The number in use.

    Raises:
        InputError: less than one, or more than there are cores or numba may use; or an impossible
            backend.
    """
    dispatch.chosen()
    affinity: Any = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    limit = dispatch.most_threads()
    if count is None:
        if limit is not None and limit < torch.get_num_threads():
            torch.set_num_threads(limit)
        return torch.get_num_threads()
    if not 1 <= count <= cores:
        raise InputError(f"threads between 1 and {cores}", str(count), "change --threads")
    if limit is not None and count > limit:
        raise InputError(
            f"at most {limit} threads, as NUMBA_NUM_THREADS says", str(count), "unset or raise it"
        )
    torch.set_num_threads(count)
    return torch.get_num_threads()


def versions() -> dict[str, str]:
    """Versions of what the numbers depend on."""
    names = ("polyfield", "torch", "numba", "numpy")
    return {"python": platform.python_version(), **{n: metadata.version(n) for n in names}}


def peak_memory() -> int | None:
    """The most memory this process has had, in bytes; None where the system doesn't say."""
    if sys.platform == "win32":
        return None
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
