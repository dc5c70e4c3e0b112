"""Frames of one moment: what a static scene is trained from where the data has times."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from polyfield.errors import InputError
from polyfield.scenes.base import ReadOptions
from polyfield.scenes.json_values import number

SAME = 1e-6
"""Times that differ by less are one."""


def at_time(
    frames: Sequence[Mapping[str, object]], options: ReadOptions, path: Path, optional: bool
) -> list[Mapping[str, object]]:
    """The frames of the time that is asked for; all of them where there is but one.

    Args:
        frames: of a file.
        options: `time` picks.
        path: the file, for messages.
        optional: whether there may be none.

    Raises:
        InputError: frames of several times and none is asked for, or none of that time.
    """
    times = [_time(frame, i, path) for i, frame in enumerate(frames)]
    known = sorted({time for time in times if time is not None})
    if options.time is None:
        if len(known) > 1:
            raise InputError(
                f"frames of one time in {path}, for a static scene is trained",
                f"{len(known)} times from {known[0]:g} to {known[-1]:g}",
                f"give --time {known[0]:g}, or another, to pick the frames of that time",
            )
        return list(frames)
    chosen = [
        frame
        for frame, time in zip(frames, times, strict=True)
        if time is not None and abs(time - options.time) < SAME
    ]
    if chosen or optional:
        return chosen
    raise InputError(
        f"frames of time {options.time:g} in {path}",
        f"{len(known)} times from {known[0]:g} to {known[-1]:g}" if known else "no times",
        f"give --time {min(known, key=lambda time: abs(time - (options.time or 0))):.9g}"
        if known
        else "leave out --time",
    )


def times_of(times: Sequence[float | None]) -> tuple[float, ...] | None:
    """The times of a split's views; None where the data has none."""
    known = [time for time in times if time is not None]
    return tuple(known) if len(known) == len(times) and known else None


def _time(frame: Mapping[str, object], index: int, path: Path) -> float | None:
    return number(frame, "time", f"frame {index} of {path}")
