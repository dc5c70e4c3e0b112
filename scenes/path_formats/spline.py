"""Uniform B-splines through key frames of a rotation, a position and an angle."""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class KeyFrameSpline:
    """A uniform B-spline over key frames."""

    order: int
    """0 (steps), 1 (lines), 2 or 3."""
    ends: Sequence[float]
    """Where the segment of each key frame ends."""
    loop: bool
    """Whether the last key frame is followed by the first."""

    def at(self, frames: np.ndarray, time: float) -> tuple[np.ndarray, np.ndarray, float]:
        """Quaternion x y z w, position and angle at a time.

        Args:
            frames: [n 8], these three of each key frame.
            time: In [0, 1), the share of the whole path.
        """
        last = len(frames) - 1
        if last == 0:
            return frames[0, :4], frames[0, 4:7], float(frames[0, 7])
        played = time * (self.ends[-1] if self.loop else self.ends[-2])
        segment = min(bisect.bisect_right(self.ends, played), last if self.loop else last - 1)
        begin = self.ends[segment - 1] if segment else 0.0
        first, weights = _weights(self.order, (played - begin) / (self.ends[segment] - begin))
        total = np.zeros(8)
        for step, weight in enumerate(weights):
            index = segment + first + step
            index = index % (last + 1) if self.loop else min(max(index, 0), last)
            frame = frames[index].copy()
            # A quaternion and its negative are one rotation: take the one on this side.
            frame[:4] *= -1 if frame[:4] @ total[:4] < 0 else 1
            total += weight * frame
        return total[:4] / max(float(np.linalg.norm(total[:4])), 1e-9), total[4:7], float(total[7])


def _weights(order: int, t: float) -> tuple[int, tuple[float, ...]]:
    """A uniform B-spline's weights on [0, 1], and the first key frame they are for."""
    if order == 0:
        return int(t >= 0.5), (1.0,)
    if order == 1:
        return 0, (1 - t, t)
    if order == 2:
        return -1, ((1 - t) ** 2 / 2, 0.5 + t - t * t, t * t / 2)
    inner = (4 - 6 * t**2 + 3 * t**3, 1 + 3 * t + 3 * t**2 - 3 * t**3)
    return -1, ((1 - t) ** 3 / 6, inner[0] / 6, inner[1] / 6, t**3 / 6)
