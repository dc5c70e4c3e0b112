"""How much memory there is, so that what can't fit is told before it is read."""

from __future__ import annotations

import os
import re
from pathlib import Path

from polyfield.errors import InputError

SHARE = 0.9
"""Of the free memory, how much one thing may take."""


def free_memory() -> int:
    """Bytes this process could still use; a very large number where the system doesn't say.

    The least of what is free in the machine, in the container and below a limit on the process.
    """
    found = [_machine(), _container(), _process()]
    return min((max(size, 0) for size in found if size is not None), default=1 << 62)


def check_memory(what: str, need: int, hint: str) -> None:
    """Raise unless so much memory is free.

    Args:
        what: what needs it, for the message: "an image of 60000x60000 pixels (a.png)".
        need: bytes.
        hint: what a user can do, for instance "add --downscale 4".

    Raises:
        InputError: less than `need` is free.
    """
    if need <= 1 << 26:  # not worth the question
        return
    free = int(SHARE * free_memory())
    if need > free:
        expected = f"memory for {what}"
        raise InputError(expected, f"{as_size(need)} needed, {as_size(free)} free", hint)


def as_size(count: int) -> str:
    """Bytes as people say them: 48 kB, 5.2 GB."""
    for unit, size in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return f"{count} bytes"


def parse_bytes(text: str, where: str) -> int:
    """A number of bytes as people write it: 500MB, 4 GB, 2GiB.

    Args:
        text: a number and B, kB, MB, GB, TB or KiB, MiB, GiB, TiB, in any case of letters.
        where: what says so, for the message.

    Raises:
        InputError: something else, or none.
    """
    found = _SIZE.fullmatch(text.strip())
    count = 0 if found is None else float(found[1]) * _UNITS[found[2].lower()]
    if not 1 <= count < 1 << 62:
        raise InputError(
            f"a size of memory for {where}", repr(text[:40]), "give for instance 500MB, 4GB or 2GiB"
        )
    return int(count)


_UNITS = {
    "b": 1.0,
    **{f"{letter}b": 1e3**power for power, letter in enumerate("kmgt", 1)},
    **{f"{letter}ib": 1024.0**power for power, letter in enumerate("kmgt", 1)},
}
_SIZE = re.compile(r"(\d{1,15}(?:\.\d{1,9})?) ?(b|[kmgt]i?b)", re.IGNORECASE)


def _machine() -> int | None:
    """What the system could give without swapping."""
    for line in _lines("/proc/meminfo"):
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    return None


def _container() -> int | None:
    """What the limit of a control group (v2) leaves, file caches counted as free."""
    limit, used = (_lines(f"/sys/fs/cgroup/memory.{name}") for name in ("max", "current"))
    if not limit or not used or not limit[0].strip().isdigit():
        return None
    stat = dict(line.split() for line in _lines("/sys/fs/cgroup/memory.stat"))
    return int(limit[0]) - int(used[0]) + int(stat.get("inactive_file", 0))


def _process() -> int | None:
    """What a limit on the process's address space (`ulimit -v`) leaves."""
    if os.name != "posix":
        return None
    import resource

    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    sizes = _lines("/proc/self/statm")
    if limit == resource.RLIM_INFINITY or not sizes:
        return None
    return limit - int(sizes[0].split()[0]) * resource.getpagesize()


def _lines(path: str) -> list[str]:
    """The lines of one of the system's own files; none where it isn't there."""
    try:
        return Path(path).read_text().splitlines()
    except OSError:
        return []
