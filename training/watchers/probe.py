"""A curve on fixed data while training, off the clock: the headline score against seconds."""

from __future__ import annotations

from collections.abc import Callable

from polyfield.files import read_json, write_json
from polyfield.training.loop import Progress
from polyfield.training.run import Run
from polyfield.training.run_files import checked_rows
from polyfield.training.scores import Metric

LOOKS = 40
"""How often, at equal distances in progress."""

Rows = list[dict[str, float]]


class ProbeCurve:
    """Rows of seconds and score, kept in the run's curve.json so that resuming goes on with them.

    Args:
        run: Where to.
        metric: The score.
        probe: Measures it.
        looks: How often.
    """

    def __init__(
        self, run: Run, metric: Metric, probe: Callable[[], float], looks: int = LOOKS
    ) -> None:
        self._run, self._metric, self._probe = run, metric, probe
        self._every, self._next = 1 / looks, 0.0
        # Read with the first step: only then is it known whether the run is a new one.
        self._rows: Rows | None = None

    def watch(self, progress: Progress) -> None:
        """Measure when it is time."""
        if self._rows is None:
            self._rows = [r for r in curve_of(self._run) if r["progress"] <= progress.fraction]
            self._next = self._rows[-1]["progress"] + self._every if self._rows else 0.0
        if progress.fraction < self._next and progress.fraction < 1:
            return
        self._next = progress.fraction + self._every
        self._rows.append(
            {
                "seconds": round(progress.seconds, 3),
                "progress": round(progress.fraction, 5),
                self._metric.name: round(self._probe(), 3),
            }
        )
        write_json(self._run.file("curve.json"), {"rows": self._rows})


def curve_of(run: Run) -> Rows:
    """The curve a run has so far.

    Raises:
        InputError: curve.json is of another shape.
    """
    path = run.file("curve.json")
    return checked_rows(path, read_json(path)) if path.is_file() else []


def seconds_to(rows: Rows, name: str, wanted: float) -> float | None:
    """When a curve first reaches a score; None if it never does."""
    for before, row in zip([None, *rows], rows, strict=False):
        if row[name] >= wanted:
            if before is None or row[name] == before[name]:
                return row["seconds"]
            share = (wanted - before[name]) / (row[name] - before[name])
            return before["seconds"] + share * (row["seconds"] - before["seconds"])
    return None
