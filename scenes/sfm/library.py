"""pycolmap (the extra `capture`): loaded when it is asked for, its own log switched off.

Its classes have no types we could name: what comes from it is `Any` here and stays in this room.
"""

from __future__ import annotations

import signal
import threading
from typing import Any

from polyfield import extras

SEED = 0
"""Of its random samples, so that the same photographs give the same poses."""


def pycolmap(what: str) -> Any:
    """The library, silent and seeded.

    Args:
        what: what it is wanted for, for the message: "poses from photographs".

    Raises:
        MissingBackend: it is not installed, or can't be loaded.
    """
    library = extras.load("pycolmap", "pycolmap", what, "capture")
    _own_signals()
    library.logging.minloglevel = int(library.logging.FATAL)
    library.set_random_seed(SEED)
    return library


def _own_signals() -> None:
    """Take SIGTERM back: glog, which comes with pycolmap, ends the process on it at once.

    What Python remembers of a signal is what was wanted of it before.
    """
    if threading.current_thread() is threading.main_thread():
        wanted = signal.getsignal(signal.SIGTERM)
        if wanted is not None:
            signal.signal(signal.SIGTERM, wanted)
