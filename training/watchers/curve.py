"""The curve of a run: loss and headline score against training time, thinned as it grows."""

from __future__ import annotations

import math

from polyfield.training.loop import Progress
from polyfield.training.scores import Metric

HISTORY_SECONDS = 0.25
"""Training time between two points of the curve, at first."""
HISTORY_POINTS = 400
"""Above this every second point is dropped."""


class History:
    """Rows of (training seconds, mean loss, mean score of the batches).

    Args:
        metric: The score.
        rows: Those of the checkpoint this goes on from.
    """

    def __init__(self, metric: Metric, rows: list[list[float]] | None = None) -> None:
        self.metric = metric
        self.rows = list(rows or [])
        self._every = HISTORY_SECONDS
        self._sum = [0.0, 0.0]
        self._count = 0
        while len(self.rows) >= 2 and self.rows[-1][0] - self.rows[-2][0] > 1.5 * self._every:
            self._every *= 2

    def add(self, progress: Progress) -> bool:
        """Take a step in; True if it completes a row."""
        score = progress.numbers.get(self.metric.name, math.nan)
        for index, value in enumerate((progress.loss, score)):
            self._sum[index] += value
        self._count += 1
        if progress.seconds - (self.rows[-1][0] if self.rows else 0.0) < self._every:
            return False
        self.rows.append([progress.seconds, *(value / self._count for value in self._sum)])
        self._sum, self._count = [0.0, 0.0], 0
        if len(self.rows) > HISTORY_POINTS:
            self.rows = self.rows[1::2]
            self._every *= 2
        return True
