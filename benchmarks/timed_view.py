"""How long a run takes to draw its first view, and how much memory that needs.

python timed_view.py RUN SIDE THREADS    prints one line of JSON

Versions of polyfield since d1863d0 can run it.
"""

from __future__ import annotations

import json
import resource
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import polyfield
from polyfield.machine import use_threads
from polyfield.scenes.camera_files import read_cameras

SMALL = 64
"""Side of a view that is drawn before: kernels are compiled then."""
TIMES = 3
"""Times it is drawn."""


def main(run: str, side: str, threads: str) -> None:
    """Draw, and print."""
    use_threads(int(threads))
    model: Any = polyfield.load(run)
    views = read_cameras(Path(run) / "cameras.json")
    camera = (views.get("test") or views["train"])[0]
    model.render(camera.resized(SMALL, SMALL))
    large, seconds = camera.resized(int(side), int(side)), []
    for _ in range(TIMES):
        began = time.perf_counter()
        model.render(large)
        seconds.append(time.perf_counter() - began)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
    print(json.dumps({"seconds": statistics.median(seconds), "peak_megabytes": peak}))


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    main(*sys.argv[1:])
