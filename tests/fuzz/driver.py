"""A worker process and its limits: it is started again when it dies or hangs."""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from case import Case, snapshot

LEAST_LIMIT = 20.0
"""Seconds of CPU that any command may have."""
SLOWER = 20.0
"""How many times a good input's time a bad one may take."""
BLOCKED = 20.0
"""Seconds in which a process that waits must move."""
LONGEST = 300.0
"""Seconds that a command may take on a machine that is busy with other things."""
LIVES = 400
"""Commands after which a worker is replaced."""


@dataclass(frozen=True)
class Result:
    """What came of a case."""

    code: int | None
    """Exit code; None if there was none."""
    stdout: bytes
    stderr: bytes
    seconds: float
    """Of CPU."""
    memory: int
    """Most bytes above what the idle process holds."""
    end: str
    """Why there is no exit code: "hang ...", "died ...", what escaped; empty if there is one."""
    before: dict[str, str]
    """Paths in the case's folder, and digests of them."""
    after: dict[str, str]
    left: tuple[str, ...]
    """What lies where nothing may be written: beside the folder, in HOME, in TMPDIR."""


class Worker:
    """One process at a time, and the place it works in.

    Args:
        place: A folder of its own; keep the path short, lines are counted with it.
        kept: A folder for caches that outlast the worker.
    """

    def __init__(self, place: Path, kept: Path) -> None:
        self.place, self._kept = place, kept
        self.folder = place / "c"
        self._process: subprocess.Popen[bytes] | None = None
        self._lives = 0
        self.limits: dict[str, float] = {}

    def run(self, case: Case) -> Result:
        """Write the case's files, run it, look at what is there afterwards."""
        for name in ("home", "tmp"):
            (self.place / name).mkdir(parents=True, exist_ok=True)
        case.write(self.folder)
        before = snapshot(self.folder)
        if self._process is None or self._lives <= 0 or self._process.poll() is not None:
            self._start()
        self._lives -= 1
        streams = {name: str(self.place / name) for name in ("stdout", "stderr")}
        request = {"folder": str(self.folder), "arguments": list(case.arguments), **streams}
        limit = self.limits.get(case.kind, LEAST_LIMIT)
        reply, end = self._ask(request, limit)
        texts = {
            name: path.read_bytes() if (path := Path(file)).is_file() else b""
            for name, file in streams.items()
        }
        return Result(
            reply.get("code"),
            texts["stdout"],
            texts["stderr"],
            reply.get("cpu", limit),
            reply.get("memory", 0),
            end or reply.get("escaped") or "",
            before,
            snapshot(self.folder),
            self._left(),
        )

    def stop(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._process = None

    def _start(self) -> None:
        self.stop()
        self._kept.mkdir(parents=True, exist_ok=True)
        environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith("POLYFIELD")},
            "HOME": str(self.place / "home"),
            "TMPDIR": str(self.place / "tmp"),
            "MPLCONFIGDIR": str(self._kept),
            "NUMBA_CACHE_DIR": str(self._kept / "kernels"),
            "POLYFIELD_AHEAD": "0",
            "OMP_NUM_THREADS": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        self._process = subprocess.Popen(
            [sys.executable, "-P", str(Path(__file__).with_name("worker.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            start_new_session=True,
        )
        self._lives = LIVES
        line = self._process.stdout.readline()  # type: ignore[union-attr]
        assert line == b"{}\n", "a worker that starts"

    def _ask(self, request: dict[str, object], limit: float) -> tuple[dict[str, object], str]:
        """The worker's answer, or why there is none."""
        process = self._process
        assert process is not None and process.stdin is not None and process.stdout is not None
        process.stdin.write(json.dumps(request).encode() + b"\n")
        process.stdin.flush()
        began = moved = time.monotonic()
        first = used = _cpu(process.pid)
        while True:
            if select.select([process.stdout], [], [], 0.25)[0]:
                line = process.stdout.readline()
                if line:
                    return json.loads(line), ""
                code = process.wait()
                self._process = None
                return {}, f"died: {signal.Signals(-code).name if code < 0 else code}"
            now, cpu = time.monotonic(), _cpu(process.pid)
            if cpu - used > 0.05:
                used, moved = cpu, now
            why = ""
            if cpu - first > limit:
                why = "hang: it computes"
            elif now - moved > BLOCKED and _waits(process.pid):
                why = "hang: it waits"
            elif now - began > max(LONGEST, 2 * limit):
                why = "hang: too long"
            if why:
                self.stop()
                return {}, why

    def _left(self) -> tuple[str, ...]:
        """What was written where nothing may be; it is removed."""
        import shutil

        allowed = {"c", "home", "tmp", "stdout", "stderr"}
        found = [path for path in self.place.iterdir() if path.name not in allowed]
        for name in ("home", "tmp"):
            found += list((self.place / name).iterdir())
        for path in found:
            with contextlib.suppress(OSError):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        return tuple(str(path.relative_to(self.place)) for path in found)


def _cpu(pid: int) -> float:
    """Seconds of CPU of a process so far."""
    with contextlib.suppress(OSError):
        words = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")
    return 0.0


def _waits(pid: int) -> bool:
    """Whether a process sleeps, not only waits for its turn."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "SD"
    return False
