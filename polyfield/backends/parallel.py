"""CPU kernels on several threads: a pool of Python's own, which take a kernel's tasks in pieces.

A kernel is compiled for a run of its tasks and lets go of Python's lock while it runs. numba's own
`parallel=True` would compile the same code about three times over, and bring a second pool of
OpenMP beside torch's: idle threads of either spin on the cores that the other computes on, two
Python threads in it can end the process, and a forked process can't use it.
"""

from __future__ import annotations

import os
import queue
import threading
from collections import deque
from collections.abc import Callable
from typing import Any, NamedTuple

from polyfield.backends import dispatch

PIECES = 4
"""Pieces for each thread: one that starts late, or whose core is busy, takes fewer of them."""


class _Job(NamedTuple):
    """A kernel's tasks; who is free takes the next piece."""

    kernel: Callable[..., Any]
    arguments: tuple[Any, ...]
    pieces: deque[tuple[int, int]]
    done: queue.SimpleQueue[BaseException | None]
    """What became of each piece."""

    def work(self) -> None:
        """Take pieces for as long as there are any."""
        while True:
            try:
                first, last = self.pieces.popleft()
            except IndexError:
                return
            try:
                self.kernel(first, last, *self.arguments)
            except BaseException as error:
                self.done.put(error)
            else:
                self.done.put(None)


class _Pool:
    """Threads that wait for jobs; as many as were ever asked for."""

    def __init__(self) -> None:
        self._jobs: queue.SimpleQueue[_Job] = queue.SimpleQueue()
        self._count = 0
        self._starting = threading.Lock()

    def offer(self, job: _Job, helpers: int) -> None:
        """Have a job done by as many threads, beside the one that asks."""
        if self._count < helpers:
            with self._starting:
                while self._count < helpers:
                    self._count += 1
                    name = f"polyfield-kernels-{self._count}"
                    threading.Thread(target=self._serve, name=name, daemon=True).start()
        for _ in range(helpers):
            self._jobs.put(job)

    def _serve(self) -> None:
        while True:
            self._jobs.get().work()


_pool = _Pool()


def _forked() -> None:
    """A forked process has none of the threads."""
    global _pool
    _pool = _Pool()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forked)


def run(kernel: Callable[..., Any], tasks: int, *arguments: Any) -> None:
    """Run a kernel's tasks on as many threads as torch uses.

    Args:
        kernel: Called as `kernel(first, last, *arguments)` for runs first..last-1 of the tasks,
            which touch no memory that another task writes. It is compiled with `nogil=True`.
        tasks: 0 or more.
        arguments: The same for each run.
    """
    threads = min(dispatch.threads(), tasks)
    if threads <= 1:
        if tasks:
            kernel(0, tasks, *arguments)
        return
    count = min(tasks, PIECES * threads)
    cuts = [tasks * i // count for i in range(count + 1)]
    job = _Job(kernel, arguments, deque(zip(cuts[:-1], cuts[1:], strict=True)), queue.SimpleQueue())
    _pool.offer(job, threads - 1)
    job.work()
    errors = [job.done.get() for _ in range(count)]
    for error in errors:
        if error is not None:
            raise error
