"""A picture of a capture: cameras by split, the box, matched points; from above and from a side."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

from polyfield.files import write_whole
from polyfield.scenes.base import Capture
from polyfield.scenes.doctor.shots import Shot

COLORS = ("tab:blue", "tab:orange", "tab:green", "tab:red")
"""Of the splits."""
MOST_POINTS = 4000
ROOM = 3.0
"""Points further out than so many times the cameras' reach are left out."""
_VIEWS = ((0, 1, "from above"), (0, 2, "from the side"))
"""Axes across and up, and what to call it."""


def draw(
    path: Path,
    title: str,
    shots: Sequence[Shot],
    capture: Capture | None,
    points: Float[np.ndarray, "n 3"],
) -> None:
    """Write a picture.

    Args:
        path: ends with .png.
        title: above it.
        shots: views whose poses can be drawn, at least one.
        capture: for the box; None draws none.
        points: of the scene, where they are known.

    Raises:
        WriteError: the system doesn't let it.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    poses = np.stack([shot.pose for shot in shots])
    middle = np.median(poses[:, :3, 3], axis=0)
    reach = max(float(np.abs(poses[:, :3, 3] - middle).max()), 1e-9)
    kept = points[(np.abs(points - middle) < ROOM * reach).all(1)]
    kept = kept[:: max(len(kept) // MOST_POINTS, 1)]
    figure, plots = pyplot.subplots(1, 2, figsize=(13, 6.5), layout="constrained")
    try:
        for plot, (across, up, name) in zip(plots, _VIEWS, strict=True):
            _draw_view(plot, shots, kept, reach, (across, up))
            if capture is not None:
                _draw_box(plot, capture, (across, up))
            plot.set_title(name)
            plot.set_xlabel("xyz"[across])
            plot.set_ylabel("xyz"[up])
            plot.set_aspect("equal", adjustable="datalim")
        plots[0].legend(loc="upper right", fontsize=8)
        figure.suptitle(title)
        write_whole(path, lambda temporary: figure.savefig(temporary, dpi=100))
    finally:
        pyplot.close(figure)


def _draw_view(
    plot: Any,
    shots: Sequence[Shot],
    points: Float[np.ndarray, "n 3"],
    reach: float,
    axes: tuple[int, int],
) -> None:
    """Cameras as small pyramids, points behind them."""
    across, up = axes
    if len(points):
        plot.scatter(
            points[:, across], points[:, up], s=1, c="0.6", label="matched points", zorder=1
        )
    splits = list(dict.fromkeys(shot.split for shot in shots))
    for number, split in enumerate(splits):
        color = COLORS[number % len(COLORS)]
        lines = [
            line[:, axes] for shot in shots if shot.split == split for line in _pyramid(shot, reach)
        ]
        broken = np.concatenate([np.vstack([line, [[np.nan, np.nan]]]) for line in lines])
        count = sum(shot.split == split for shot in shots)
        plot.plot(
            broken[:, 0], broken[:, 1], color=color, lw=0.7, label=f"{split}: {count} cameras"
        )


def _pyramid(shot: Shot, reach: float) -> list[Float[np.ndarray, "k 3"]]:
    """The lines of a camera's field of view."""
    size = 0.12 * reach
    x, y = (n / 2 / f * size for n, f in zip(shot.size, shot.focal, strict=True))
    corners = np.array([[x, y, -size], [x, -y, -size], [-x, -y, -size], [-x, y, -size]])
    world = corners @ shot.pose[:3, :3].T + shot.pose[:3, 3]
    tip = shot.pose[:3, 3]
    return [np.vstack([world, world[:1]]), *(np.stack([tip, corner]) for corner in world)]


def _draw_box(plot: Any, capture: Capture, axes: tuple[int, int]) -> None:
    low, high = capture.frame.users(capture.bounds).numpy()[:, axes]
    corners = np.array(list(itertools.product((0, 1), repeat=2)))[[0, 1, 3, 2, 0]]
    box = low + corners * (high - low)
    name = "bounds" + (" (things go on outside)" if capture.unbounded else "")
    plot.plot(box[:, 0], box[:, 1], color="0.2", ls="--", lw=1, label=name)
