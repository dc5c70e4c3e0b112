"""How much longer fits take that share the cores: N at once against one alone.

python benchmarks/side_by_side.py --steps 400 --threads 2 --fits 2 4 --repeats 3

Prints JSON: seconds of the whole command and of training alone (the slowest of those at once, the
median of the repeats), and their ratios to one fit alone. Run it on a machine with nothing else to
do. Variables of the environment reach the fits, so that settings can be compared.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

COMMAND = [sys.executable, "-m", "polyfield", "fit", "scene", "demo", "--quiet"]


def at_once(count: int, flags: list[str], folder: Path) -> dict[str, float]:
    """Run fits at once; the slowest one's seconds, of the command and of training."""
    began = time.perf_counter()
    outs = [folder / str(index) for index in range(count)]
    running = [subprocess.Popen([*COMMAND, *flags, "--out", str(out)]) for out in outs]
    if any([process.wait() for process in running]):
        raise SystemExit("a fit failed")
    whole = time.perf_counter() - began
    training = [json.loads((out / "metrics.json").read_text())["seconds_training"] for out in outs]
    return {"command": whole, "training": max(training)}


def median(count: int, flags: list[str], repeats: int) -> dict[str, float]:
    """The median of several measurements."""
    found = []
    for _ in range(repeats):
        with tempfile.TemporaryDirectory() as folder:
            found.append(at_once(count, flags, Path(folder)))
    return {name: statistics.median(one[name] for one in found) for name in found[0]}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Time fits side by side against one alone.")
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--fits", type=int, nargs="+", default=[2, 4])
    parser.add_argument("--repeats", type=int, default=3)
    given = parser.parse_args()
    flags = ["--threads", str(given.threads)]
    with tempfile.TemporaryDirectory() as folder:
        at_once(1, [*flags, "--steps", "10"], Path(folder))  # Compiles the kernels.
    flags += ["--steps", str(given.steps)]
    alone = median(1, flags, given.repeats)
    rows = {}
    for count in given.fits:
        seconds = median(count, flags, given.repeats)
        rows[str(count)] = {
            name: {"seconds": round(value, 2), "ratio": round(value / alone[name], 3)}
            for name, value in seconds.items()
        }
    settings = {"steps": given.steps, "threads": given.threads, "repeats": given.repeats}
    found = {name: round(value, 2) for name, value in alone.items()}
    print(json.dumps({**settings, "alone": found, "at_once": rows}, indent=1))


if __name__ == "__main__":
    main()
