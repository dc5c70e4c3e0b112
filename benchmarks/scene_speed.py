"""Rows of speed: training and drawing by ours and by the version before, in turns."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import kept_rows
from two_versions import Versions, compared

PAIRS = 3
THREADS = 2
WARM, TIMED = 300, 300
"""Steps before the clock runs, and while it does."""
STEPS, SIDE = 1000, 800
"""Of the runs whose views are timed, and of a view's edge, pixels."""


def rows(versions: Versions) -> Iterator[kept_rows.Row]:
    """Names of the rows, and what measures them."""
    for kind in ("scene", "image"):
        yield f"speed {kind}", partial(training, versions, kind)
    yield "speed view", partial(view, versions)


def training(versions: Versions, kind: str) -> dict[str, Any]:
    """Samples, rays and steps of training on the built-in data, preset hash."""
    words = {version: [kind, WARM, TIMED] for version in versions.commands}
    found = versions.in_turns("timed_fit.py", words, PAIRS, THREADS)
    keys = ["samples_per_second", "seconds_a_step"]
    if kind == "scene":
        keys[1:1] = ["rays_per_second"]
    after = {version: [turn["seconds_after"] for turn in turns] for version, turns in found.items()}
    return {**{key: compared(found, key) for key in keys}, "seconds_after": after}


def view(versions: Versions) -> dict[str, Any]:
    """Seconds and memory of a view of the built-in scene, each version's from its own run."""
    words = ["scene", "demo", "--steps", STEPS]
    versions.fit("speed-view", dict.fromkeys(versions.commands, words), threads=1)
    runs = {version: [versions.run("speed-view", version), SIDE] for version in versions.commands}
    found = versions.in_turns("timed_view.py", runs, PAIRS, THREADS)
    return {key: compared(found, key) for key in ("seconds", "peak_megabytes")}
