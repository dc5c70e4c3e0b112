"""The built-in sound: plucked notes over a slow sweep, made by code."""

from __future__ import annotations

import numpy as np

RATE = 16000
"""Samples a second."""
SECONDS = 3.0
NOTES = ((0.1, 220.0, -0.6), (0.5, 277.18, 0.4), (0.9, 329.63, -0.2), (1.3, 440.0, 0.6),
         (1.7, 554.37, -0.4), (2.1, 659.26, 0.2), (2.5, 880.0, 0.0))  # fmt: skip
"""When, at which frequency, and where from left (-1) to right (1)."""


def demo_sound() -> np.ndarray:
    """Two channels of float32 in [-1, 1], [SECONDS * RATE, 2]."""
    t = np.arange(int(SECONDS * RATE)) / RATE
    # The phase is the integral of the frequency: 80 Hz that rise to 240 Hz.
    sweep = 0.15 * np.sin(2 * np.pi * (80 * t + (160 / (2 * SECONDS)) * t**2))
    left, right = sweep.copy(), sweep.copy()
    for start, frequency, side in NOTES:
        after = np.clip(t - start, 0, None)
        note = np.zeros_like(t)
        for harmonic, loudness in ((1, 1.0), (2, 0.5), (3, 0.25), (4, 0.12)):
            decay = np.exp(-after * (3 + 2 * harmonic))
            note += loudness * decay * np.sin(2 * np.pi * frequency * harmonic * after)
        note *= np.where(t >= start, 1 - np.exp(-after * 400), 0.0)
        left += 0.4 * np.sqrt((1 - side) / 2) * note
        right += 0.4 * np.sqrt((1 + side) / 2) * note
    both = np.stack([left, right], -1)
    return (both / max(1.0, np.abs(both).max()) * 0.95).astype(np.float32)
