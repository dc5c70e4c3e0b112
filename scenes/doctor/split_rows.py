"""Rows of splits: what is held out, and whether it is trained on all the same."""

from __future__ import annotations

from polyfield.scenes.base import Capture
from polyfield.scenes.doctor.rows import Row
from polyfield.wording import listed


def split_rows(capture: Capture) -> list[Row]:
    """What the splits of a capture give away."""
    counts = ", ".join(f"{split} {len(capture.names(split))}" for split in capture.splits)
    train = set(capture.names("train")) if "train" in capture.splits else set()
    both = [
        name
        for split in capture.splits
        if split != "train"
        for name in capture.names(split)
        if name in train
    ]
    if both:
        found = f"{counts}; {len(both)} are trained on and tested on: {listed(both)}"
        hint = "keep test images apart: scores on them say nothing of unseen views"
        return [Row("splits", "warning", found, hint)]
    if len(capture.splits) == 1:
        return [
            Row("splits", "note", f"{counts}; nothing is held out", "scores are on training views")
        ]
    return [Row("splits", "ok", counts)]
