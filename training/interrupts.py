"""Ctrl-C, SIGTERM and a hang-up wait for the end of a step, so that what is saved is whole."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = [signal.SIGINT, signal.SIGTERM]
"""Those that ask a process to stop; on Windows a terminal that closes sends none."""
if sys.platform != "win32":
    SIGNALS.append(signal.SIGHUP)


class Stop:
    """Whether the user asked to stop while `deferred` was on."""

    def __init__(self) -> None:
        self._signal: int | None = None

    def ask(self, number: int, frame: FrameType | None = None) -> None:
        """Note a signal; `check` acts on it."""
        self._signal = number

    @property
    def is_asked(self) -> bool:
        """Whether `check` would raise."""
        return self._signal is not None

    def check(self) -> None:
        """Raise what the signal noted stands for, if there is one.

        Raises:
            KeyboardInterrupt: Ctrl-C.
            SystemExit: SIGTERM, with code 143; SIGHUP, with code 129.
        """
        number, self._signal = self._signal, None
        if number == signal.SIGINT:
            raise KeyboardInterrupt
        if number is not None:
            raise SystemExit(128 + number)


@contextmanager
def deferred() -> Iterator[Stop]:
    """Inside the block, SIGNALS are noted instead of acted on; at its end, one not acted on yet is.

    A signal that the process ignores, as SIGHUP under `nohup`, stays ignored. Outside the main
    thread, where Python can't catch signals, this does nothing.
    """
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {n: signal.getsignal(n) for n in SIGNALS}
    # None is a handler that Python doesn't know, so it could not be put back.
    before = {n: old for n, old in before.items() if old not in (signal.SIG_IGN, None)}
    for number in before:
        signal.signal(number, stop.ask)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    stop.check()
