"""Ctrl-C and SIGTERM wait for the end of a step, so that what is saved is whole."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Stop:
    """Whether the user asked to stop while `deferred` was on."""

    def __init__(self) -> None:
        self._signal: int | None = None

    def ask(self, number: int, frame: FrameType | None = None) -> None:
        """Note a signal; `check` acts on it."""
        self._signal = number

    def check(self) -> None:
        """Raise what the signal noted stands for, if there is one.

        Raises:
            KeyboardInterrupt: Ctrl-C.
            SystemExit: SIGTERM, with code 143.
        """
        if self._signal == signal.SIGINT:
            raise KeyboardInterrupt
        if self._signal is not None:
            raise SystemExit(128 + self._signal)


@contextmanager
def deferred() -> Iterator[Stop]:
    """Inside the block, SIGINT and SIGTERM are noted instead of acted on.

    Outside the main thread, where Python can't catch signals, this does nothing.
    """
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {n: signal.signal(n, stop.ask) for n in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
