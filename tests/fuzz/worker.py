"""The process that runs command lines, one after the other, for the fuzzer.

It reads a JSON object a line (folder, arguments, stdout, stderr) and answers with one: exit code,
seconds of CPU, most memory above what it had before. What the command prints goes into files, at
the level of file descriptors, so that libraries in C are heard too.
"""

from __future__ import annotations

import contextlib
import gc
import json
import os
import resource
import signal
import sys
import time
from typing import Any

ROOM = 8 << 30
"""Bytes of addresses a command may map beyond those of the idle process."""


def _status(name: str) -> int:
    """A number of /proc/self/status, in bytes; 0 where there is none."""
    with contextlib.suppress(OSError), open("/proc/self/status", encoding="ascii") as file:
        for line in file:
            if line.startswith(name + ":"):
                return int(line.split()[1]) * 1024
    return 0


def _forget_peak() -> None:
    with contextlib.suppress(OSError), open("/proc/self/clear_refs", "w", encoding="ascii") as file:
        file.write("5")


def _limit_addresses() -> None:
    mapped = _status("VmSize")
    if mapped:
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (mapped + ROOM, hard))


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """Run one command line in its folder."""
    from polyfield.apps import cli

    os.chdir(request["folder"])
    saved = [os.dup(1), os.dup(2)]
    for number, name in ((1, "stdout"), (2, "stderr")):
        handle = os.open(request[name], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(handle, number)
        os.close(handle)
    gc.collect()
    gc.freeze()  # the next collection looks at what is new alone
    _forget_peak()
    before, began = _status("VmRSS"), time.process_time()
    escaped = None
    try:
        code: int | None = cli.run(request["arguments"])
    except BaseException as error:  # that nothing gets past `run` is what is tested
        code, escaped = None, f"{type(error).__name__}: {error}"
    cpu, peak = time.process_time() - began, _status("VmHWM")
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(Exception):
            stream.flush()
    for number, handle in zip((1, 2), saved, strict=True):
        os.dup2(handle, number)
        os.close(handle)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)
    os.chdir("/")
    return {"code": code, "escaped": escaped, "cpu": cpu, "memory": max(0, peak - before)}


def main() -> None:
    """Answer until stdin ends."""
    asked, told = os.fdopen(os.dup(0), "r"), os.fdopen(os.dup(1), "w")
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    # Before the limit, so that what they map is not the first command's.
    import polyfield.apps.export  # noqa: F401
    import polyfield.apps.fit  # noqa: F401
    import polyfield.apps.render  # noqa: F401

    _limit_addresses()
    told.write("{}\n")
    told.flush()
    for line in asked:
        reply = answer(json.loads(line))
        told.write(json.dumps(reply) + "\n")
        told.flush()


if __name__ == "__main__":
    main()
