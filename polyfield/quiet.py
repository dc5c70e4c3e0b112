"""What other libraries print to stderr, kept out: what they raise is told in a line of ours."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import threading
from collections.abc import Iterator

_lock = threading.Lock()
_users = 0
_saved = -1


@contextlib.contextmanager
def quiet_stderr() -> Iterator[None]:
    """Drop what this process writes to its standard error, from Python and from C.

    Threads may be inside at once; the last one out opens it again.
    """
    global _users, _saved
    with _lock:
        if _users == 0:
            _saved = _closed()
        _users += 1
    try:
        yield
    finally:
        with _lock:
            _users -= 1
            if _users == 0 and _saved >= 0:
                os.dup2(_saved, 2)
                os.close(_saved)


def _closed() -> int:
    """A copy of standard error, which now leads nowhere; -1 where there is none."""
    if sys.stderr is not None:
        with contextlib.suppress(OSError, ValueError):
            sys.stderr.flush()
    try:
        saved = os.dup(2)
    except OSError:
        return -1
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)
    return saved


@contextlib.contextmanager
def quiet_log(name: str, level: int = logging.ERROR) -> Iterator[None]:
    """Let a library's logger tell errors alone, no warnings such as that of a slow start.

    Args:
        name: the library's.
        level: from where on it is heard.
    """
    logger = logging.getLogger(name)
    before = logger.level
    logger.setLevel(level)
    try:
        yield
    finally:
        logger.setLevel(before)
