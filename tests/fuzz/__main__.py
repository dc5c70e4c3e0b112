"""Look for what hostile inputs do: a command line, and what it may not do, again and again.

    python tests/fuzz --seconds 1800 --seed 0 --out fuzz-findings

Every example is one call of the program in a process kept alive, with a budget of a step. A fault
is kept in a folder of its own with its arguments and files, one of a kind, the smallest that came.
The exit code is 1 where there is one.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import corpus
import seeds as planting
from case import Case
from driver import LEAST_LIMIT, SLOWER, Result, Worker
from examples import GENERATORS
from hypothesis import HealthCheck, Phase, given, seed, settings
from judge import Fault, faults

BATCH = 10
"""Examples of a generator before the next one's turn."""


@dataclass
class Found:
    """A fault of a kind."""

    fault: Fault
    case: Case
    result: Result
    times: int = 1
    confirmed: bool | None = None


@dataclass
class Hunt:
    """What was run so far, and what came."""

    worker: Worker
    out: Path
    found: dict[str, Found] = field(default_factory=dict)
    codes: dict[str, Counter[int | None]] = field(default_factory=dict)
    lines: dict[str, set[str]] = field(default_factory=dict)
    cpu: float = 0.0
    began: float = field(default_factory=time.monotonic)

    def examine(self, case: Case) -> None:
        """Run a case and keep what is wrong."""
        result = self.worker.run(case)
        self.cpu += result.seconds
        self.codes.setdefault(case.kind, Counter())[result.code] += 1
        text = result.stderr.decode("utf-8", "replace").strip().rpartition("\n")[2]
        self.lines.setdefault(case.kind, set()).add(Fault("", text).key)
        for fault in faults(case, result, self.worker.folder):
            known = self.found.get(fault.key)
            if known is None:
                self.found[fault.key] = Found(fault, case, result)
                print(f"  {fault.name}: {fault.detail[:200]}", flush=True)
                self.write(time.monotonic() - self.began)  # whatever ends the search
            else:
                known.times += 1
                if case.size < known.case.size:
                    known.fault, known.case, known.result = fault, case, result

    def confirm(self) -> None:
        """Run every fault's case once more, each in a process of its own."""
        for key, found in self.found.items():
            self.worker.stop()
            result = self.worker.run(found.case)
            found.confirmed = key in {
                fault.key for fault in faults(found.case, result, self.worker.folder)
            }
        self.worker.stop()

    def write(self, seconds: float) -> None:
        """A folder a fault, and a summary."""
        shutil.rmtree(self.out, ignore_errors=True)
        self.out.mkdir(parents=True)
        rows = []
        order = sorted(self.found.values(), key=lambda f: (f.fault.name, -f.times))
        for number, found in enumerate(order):
            place = self.out / f"{number:03d}-{found.fault.name.replace(' ', '-')}"
            found.case.save(place)
            (place / "stdout").write_bytes(found.result.stdout[:100_000])
            (place / "stderr").write_bytes(found.result.stderr[:100_000])
            about = {
                "fault": found.fault.name,
                "detail": found.fault.detail[:1000],
                "kind": found.case.kind,
                "code": found.result.code,
                "times": found.times,
                "in a process of its own": found.confirmed,
            }
            (place / "fault.json").write_text(json.dumps(about, indent=1) + "\n")
            rows.append({"folder": place.name, **about})
        total = sum(sum(codes.values()) for codes in self.codes.values())
        summary = {
            "examples": total,
            "seconds": round(seconds, 1),
            "seconds of CPU": round(self.cpu, 1),
            "exit codes": {k: {str(c): n for c, n in v.items()} for k, v in self.codes.items()},
            "different last lines": {k: len(v) for k, v in self.lines.items()},
            "faults": rows,
        }
        (self.out / "summary.json").write_text(json.dumps(summary, indent=1) + "\n")


def hunt(search: Hunt, found: planting.Seeds, seconds: float, first: int, names: list[str]) -> None:
    """Draw cases until the time is up, each generator in its turn."""
    end = time.monotonic() + seconds
    turn = 0
    while time.monotonic() < end:
        for name in names:

            @seed(first * 1_000_003 + turn)
            @settings(
                max_examples=BATCH,
                deadline=None,
                database=None,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            )
            @given(GENERATORS[name](found))
            def batch(case: Case) -> None:
                if time.monotonic() < end:
                    search.examine(case)

            batch()
        turn += 1


def main() -> int:
    """The command line."""
    ask = argparse.ArgumentParser(prog="tests/fuzz", description=(__doc__ or "").split("\n")[0])
    ask.add_argument("--seconds", type=float, default=300, help="time to look for faults")
    ask.add_argument("--seed", type=int, default=0, help="another one draws other examples")
    ask.add_argument("--out", type=Path, default=Path("fuzz-findings"), help="folder of the faults")
    ask.add_argument("--only", help="generators, with commas between: " + ", ".join(GENERATORS))
    ask.add_argument("--replay", type=Path, help="run the case of one folder of --out again")
    given_ = ask.parse_args()
    fast = Path("/dev/shm")
    place = Path(tempfile.mkdtemp(prefix="fz", dir=fast if fast.is_dir() else None))
    worker = Worker(place, Path(tempfile.gettempdir()) / "polyfield-fuzz")
    try:
        if given_.replay:
            return _replay(worker, given_.replay)
        search = Hunt(worker, given_.out)
        planted = planting.plant(worker)
        for name in GENERATORS:
            kind = {"images": "image", "sounds": "sound", "camera paths": "scene"}.get(name)
            slowest = planted.seconds[kind] if kind else max(planted.seconds.values())
            worker.limits[name] = max(LEAST_LIMIT, SLOWER * slowest)
        began = time.monotonic()
        for case in corpus.cases(planted):
            search.examine(case)
        names = given_.only.split(",") if given_.only else list(GENERATORS)
        hunt(search, planted, given_.seconds, given_.seed, names)
        seconds = time.monotonic() - began
        search.confirm()
        search.write(seconds)
    finally:
        worker.stop()
        shutil.rmtree(place, ignore_errors=True)
    total = sum(sum(codes.values()) for codes in search.codes.values())
    print(
        f"{total} examples in {seconds:.0f} s, {len(search.found)} kinds of faults in {given_.out}"
    )
    return 1 if search.found else 0


def _replay(worker: Worker, folder: Path) -> int:
    """What a saved case does now."""
    arguments = tuple(json.loads((folder / "arguments.json").read_text()))
    case = Case("replay", arguments, corpus.read_back(folder / "files"))
    result = worker.run(case)
    sys.stdout.write(result.stdout.decode("utf-8", "replace"))
    sys.stdout.write(result.stderr.decode("utf-8", "replace"))
    wrong = list(faults(case, result, worker.folder))
    for fault in wrong:
        print(f"fault: {fault.name}: {fault.detail[:300]}")
    print(f"exit {result.code}, {result.seconds:.1f} s of CPU, {result.memory / 1e6:.0f} MB")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
