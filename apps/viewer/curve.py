"""The curve of a run in the panel: its headline score, else its loss."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from polyfield.training.loop import Progress
from polyfield.training.scores import Metric

POINTS = 300
"""Above this every second point is dropped."""


class Curve:
    """Points of a curve over steps or seconds, thinned as they grow.

    Args:
        metric: The score; where it is NaN the loss stands for it.
        x: What it is over.
        rows: Those there are already: x, loss, score.
    """

    def __init__(self, metric: Metric, x: str, rows: list[list[float]] | None = None) -> None:
        self.metric, self.x = metric, x
        self.rows = [list(row) for row in rows or []]
        self.next = 0
        """The step of the next point."""
        self._every = 1

    def add(self, progress: Progress) -> None:
        """Take a point in, where the step is that of the next one."""
        if progress.step < self.next:
            return
        score = progress.numbers.get(self.metric.name, math.nan)
        self.rows.append([float(progress.step), progress.loss, score])
        if len(self.rows) > POINTS:
            self.rows = self.rows[1::2]
            self._every *= 2
        self.next = progress.step + self._every

    @property
    def label(self) -> str:
        """What is plotted."""
        return self.metric.axis if self._has_score else "loss"

    @property
    def data(self) -> tuple[np.ndarray, np.ndarray]:
        """X and y, float64, without what isn't finite."""
        column = 2 if self._has_score else 1
        rows = np.array(self.rows or [[0.0, 0.0, math.nan]], dtype=np.float64)
        rows = rows[np.isfinite(rows[:, column])] if len(rows) > 1 else rows
        return rows[:, 0].copy(), np.nan_to_num(rows[:, column])

    @property
    def _has_score(self) -> bool:
        return any(math.isfinite(row[2]) for row in self.rows)


def plot(gui: Any, curve: Curve) -> Any:
    """The plot, in the panel that is open."""
    series = ({"label": curve.x}, {"label": curve.label, "stroke": "#3366cc", "width": 2})
    return gui.add_uplot(
        curve.data, series, title=f"{curve.label} over {curve.x}", height=180,
        scales={"x": {"time": False}},
    )  # fmt: skip
