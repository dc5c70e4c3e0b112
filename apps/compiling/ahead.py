"""Kernels compiled by other processes, and the compiler loaded, while this one reads its data.

numba compiles under one lock, so a process of its own is what makes it faster. Each helper builds
the task's model of made-up data and runs pieces of a step and its parts once; who wants a kernel
that another one is compiling waits for it (`kernel_cache`). A file beside the kernels says that a
field has been through this, so that later runs start no helper.

`POLYFIELD_AHEAD=0` turns it off.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch

from polyfield.apps.choices import kind_named
from polyfield.backends import dispatch, kernel_cache
from polyfield.config import from_tree
from polyfield.encodings.base import Encoding
from polyfield.fields.base import Network
from polyfield.machine import versions
from polyfield.training.task import Task

MOST = 3
"""Helpers; what a field has to compile keeps no more of them busy."""
POINTS = 64
"""That each part is run on."""


@contextmanager
def compiling_ahead(
    task: Task[Any, Any], threads: int, device: torch.device
) -> Iterator[Callable[[], None]]:
    """Have a task's kernels compiled meanwhile, if that was never done.

    Args:
        task: What is going to be fitted.
        threads: Cores that may be used; with one there is no helper.
        device: Only a CPU's kernels are compiled.

    Yields:
        What to call when all kernels are there: no helper goes on after it, nor after the block.
    """
    mark = _mark(task)
    wanted = device.type == "cpu" and dispatch.current() != "reference"
    wanted = wanted and dispatch.why_no_numba() is None and os.environ.get("POLYFIELD_AHEAD") != "0"
    if wanted and threads > 1:
        threading.Thread(target=_load_compiler, daemon=True).start()
    if not wanted or threads < 2 or mark is None or mark.exists():
        yield lambda: None
        return
    helpers = [_start(task, number, mark.parent.parent) for number in range(min(threads - 1, MOST))]

    def done() -> None:
        _end(helpers)
        try:
            mark.parent.mkdir(parents=True, exist_ok=True)
            mark.touch()
        except OSError:
            pass  # Then the next run starts helpers too.

    try:
        yield done
    finally:
        _end(helpers)


def _load_compiler() -> None:
    """Import what numba needs, which takes longer than to load kernels; decoders let it run."""
    from numba.core.compiler_lock import global_compiler_lock
    from numba.core.registry import cpu_target

    with global_compiler_lock:
        cpu_target.target_context.refresh()


def _mark(task: Task[Any, Any]) -> Path | None:
    """The file that says that a field's kernels were compiled by this version."""
    folder = kernel_cache.place()
    if folder is None:
        return None
    what = [task.kind, task.tree()["field"], versions()]
    name = hashlib.sha256(json.dumps(what, default=str).encode()).hexdigest()[:24]
    return folder / f"{name}.compiled"


def _start(task: Task[Any, Any], number: int, folder: Path) -> subprocess.Popen[str]:
    helper = subprocess.Popen(
        [sys.executable, "-P", "-c", "from polyfield.apps.compiling.ahead import main; main()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "NUMBA_CACHE_DIR": str(folder)},
    )
    assert helper.stdin is not None
    try:
        with helper.stdin as words:
            json.dump({"kind": task.kind, "task": task.tree(), "number": number}, words)
    except BrokenPipeError:
        pass  # It has ended already; this process compiles what it would have.
    return helper


def _end(helpers: list[subprocess.Popen[str]]) -> None:
    for helper in helpers:
        helper.kill()
    for helper in helpers:
        helper.wait()


def main() -> None:
    """What a helper does: whole pieces of a step, then parts; each helper begins with another."""
    asked = json.load(sys.stdin)
    task = from_tree(kind_named(asked["kind"]), asked["task"])
    model = task.stand_in()
    jobs: list[Callable[[], object]] = list(model.rehearsals())
    parts = list(model.field.modules())
    jobs += [partial(_run, part, True) for part in parts if isinstance(part, Network)]
    jobs += [partial(_run, part, False) for part in parts if isinstance(part, Encoding)]
    turn = asked["number"] % len(jobs)
    for job in jobs[turn:] + jobs[:turn]:
        job()


def _run(part: Network | Encoding, moved: bool) -> None:
    """A part forth and back; `moved`: with a gradient in what it is given."""
    y = part(torch.rand(POINTS, part.in_dim, requires_grad=moved))
    if y.requires_grad:
        y.sum().backward()
