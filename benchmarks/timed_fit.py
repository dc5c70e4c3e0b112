"""The speed of training on built-in data: steps that are timed after others that are not.

python timed_fit.py KIND WARM TIMED THREADS    prints one line of JSON

Versions of polyfield since d1863d0 can run it.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import polyfield
from polyfield.training.loop import Progress
from polyfield.training.scores import Metric
from polyfield.training.watchers.console import Reporter


class Meter(Reporter):
    """Prints nothing, and counts what steps did after the first ones.

    Args:
        warm: Steps that don't count.
    """

    def __init__(self, warm: int) -> None:
        super().__init__(quiet=True)
        self.warm = warm
        self.began, self.ended = (0.0, 0), (0.0, 0)
        self.steps, self.rays = 0, 0.0
        self.progress = Progress()

    def step(self, progress: Progress, metric: Metric) -> None:
        """After each step."""
        self.progress, now = progress, (progress.seconds, progress.samples)
        if progress.step == self.warm:
            self.began = now
        elif progress.step > self.warm:
            self.steps, self.ended = self.steps + 1, now
            self.rays += progress.numbers.get("rays", 0.0)

    def found(self) -> dict[str, Any]:
        """Rates, and what training took after its last step."""
        seconds, samples = self.ended[0] - self.began[0], self.ended[1] - self.began[1]
        return {
            "samples_per_second": samples / seconds,
            "rays_per_second": self.rays / seconds,
            "seconds_a_step": seconds / self.steps,
            "seconds_after": self.progress.seconds - self.ended[0],
        }


def main(kind: str, warm: str, timed: str, threads: str) -> None:
    """Fit, and print."""
    meter, steps = Meter(int(warm)), int(warm) + int(timed)
    polyfield.fit(
        kind, "demo", preset="hash", steps=steps, threads=int(threads), device="cpu", reporter=meter
    )
    print(json.dumps(meter.found()))


if __name__ == "__main__":
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    main(*sys.argv[1:])
