"""Wall time, without the time in which the process was stopped.

A process may be stopped (SIGSTOP, Ctrl-Z), frozen with its container, or asleep with its machine,
and most systems go on counting. A thread looks at the time every BEAT seconds: where two looks are
far apart, nothing ran in between. CPU time would not do, because it leaves out waiting for a GPU.
"""

from __future__ import annotations

import threading
import time
from types import TracebackType

BEAT = 0.25
"""Seconds between two looks."""
PAUSE = 1.5
"""Seconds between two looks from which on the process was stopped: a busy machine delays a look by
less."""


class Stopwatch:
    """Seconds of wall time, from any point on. Use it as a context."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._paused = 0.0
        self._looked = time.perf_counter()
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="stopwatch", daemon=True)

    def __enter__(self) -> Stopwatch:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._done.set()
        self._thread.join()

    def seconds(self) -> float:
        """Wall time less pauses; only differences mean something."""
        with self._lock:
            now = time.perf_counter()
            gap = now - self._looked
            if gap > PAUSE:
                self._paused += gap - BEAT
            self._looked = now
            return now - self._paused

    def _watch(self) -> None:
        while not self._done.wait(BEAT):
            self.seconds()
