"""What browsers ask, kept until the one thread that draws has time for it."""

from __future__ import annotations

import queue
from collections.abc import Awaitable, Callable
from typing import Any


class Inbox:
    """Things to do, put in from the server's thread and done in `empty`'s."""

    def __init__(self) -> None:
        self._waiting: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()

    def later(self, act: Callable[[Any], None]) -> Callable[[Any], Awaitable[None]]:
        """A callback for the server that has `act` called with its event later.

        It is asynchronous, so that the server runs it in its own thread and makes no other.
        """

        async def store(event: Any) -> None:
            self._waiting.put(lambda: act(event))

        return store

    @property
    def is_waiting(self) -> bool:
        """Whether there is anything to do."""
        return not self._waiting.empty()

    def empty(self) -> bool:
        """Do all that waits, in order; whether there was anything."""
        found = False
        while True:
            try:
                act = self._waiting.get_nowait()
            except queue.Empty:
                return found
            found = True
            act()
