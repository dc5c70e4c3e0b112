"""The whole examination of a capture, and the part of it that is cheap enough for every fit."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float

from polyfield.errors import InputError
from polyfield.scenes.base import Capture, ReadOptions
from polyfield.scenes.captures import Format, open_capture
from polyfield.scenes.demo.capture import DEMO
from polyfield.scenes.doctor.conventions import are_rigid
from polyfield.scenes.doctor.evidence import judge
from polyfield.scenes.doctor.file_rows import file_rows, skipped_row
from polyfield.scenes.doctor.lens_rows import lens_rows, view_rows
from polyfield.scenes.doctor.mends import drop
from polyfield.scenes.doctor.pixel_rows import Look, equal_names, look, pixel_rows
from polyfield.scenes.doctor.pose_rows import capture_rows, matrix_rows, points_row
from polyfield.scenes.doctor.raw import Raw, raw_shots, read_raw
from polyfield.scenes.doctor.rows import Diagnosis, Row, line
from polyfield.scenes.doctor.shots import Shot, shots_of
from polyfield.scenes.doctor.split_rows import split_rows

GLANCED = 6
"""Views, evenly spread, whose pairs are matched before each fit."""
PIXELS = 1 << 26
"""Of a capture; those of a larger one aren't all looked at before each fit."""

Points = Float[np.ndarray, "_n 3"]


@runtime_checkable
class Listener(Protocol):
    """Who is told how far it is."""

    def count(self, what: str, done: int, total: int) -> None:
        """How much of something is done; often."""


@dataclass(frozen=True)
class Examination:
    """What was found, and what a picture of it is drawn from."""

    diagnosis: Diagnosis
    capture: Capture | None
    """None where it can't be opened."""
    raw: Raw | None
    """Its JSON; None for formats without."""
    shots: Sequence[Shot]
    points: Points
    """Matched features in space, where the poses are right."""


def suspicions(capture: Capture) -> list[str]:
    """What is wrong with a capture as far as its cameras tell, in one line each."""
    rows = [*view_rows(shots_of(capture)), *capture_rows(capture)]
    return [line(row) for row in Diagnosis(capture.path, rows).troubles]


def glance(capture: Capture) -> list[str]:
    """What is wrong with a capture as far as a few pairs of images tell, in one line each.

    Poses and lenses by the features of some `2 * GLANCED` pairs, where there is pycolmap; exposure
    and equal images where there are few enough pixels. Seconds at most.
    """
    if capture.path == DEMO:
        return []
    shots = shots_of(capture)
    rows = judge(shots, lambda done, total: None, GLANCED).rows
    if sum(shot.size[0] * shot.size[1] for shot in shots) <= PIXELS:
        rows += pixel_rows(*look(shots, lambda done, total: None))
    return [line(row) for row in Diagnosis(capture.path, rows).troubles]


def examine(
    path: str | os.PathLike[str],
    options: ReadOptions,
    format: Format | None,  # noqa: A002  # as the flag
    listener: Listener,
) -> Examination:
    """Look a capture over.

    Args:
        path: a folder, a file, or "demo".
        options: how to read it.
        format: its format; found by itself where None.
        listener: told of progress.

    Raises:
        InputError: there is nothing at that path that could be looked at.
    """
    capture, refusal = _opened(path, options, format)
    raw = _raw(path, options)
    if capture is None and raw is None:
        assert refusal is not None
        raise refusal
    rows = [_opening(capture, refusal)]
    if raw is None:
        assert capture is not None
        rows.append(skipped_row(capture.frames_skipped))
    else:
        rows += [*file_rows(raw), *lens_rows(raw), *matrix_rows(raw)]
    shots = _shots(capture, raw, rows)
    if capture is not None:
        rows += [*split_rows(capture), *view_rows(shots), *capture_rows(capture)]
    judged = judge(shots, lambda done, total: listener.count("features: image", done, total))
    rows += judged.rows
    if capture is not None:
        rows.append(points_row(capture, judged.points))
    looks, unread = look(shots, lambda done, total: listener.count("pixels: image", done, total))
    for row in pixel_rows(looks, unread):
        rows.append(_with_drop(row, raw, looks) if row.name == "equal images" else row)
    if capture is not None:
        rows += _remarks(capture, rows)
    return Examination(Diagnosis(os.fspath(path), rows), capture, raw, shots, judged.points)


def _opened(
    path: str | os.PathLike[str],
    options: ReadOptions,
    format: Format | None,  # noqa: A002
) -> tuple[Capture | None, InputError | None]:
    try:
        return open_capture(path, options, format), None
    except InputError as error:
        return None, error


def _raw(path: str | os.PathLike[str], options: ReadOptions) -> Raw | None:
    """The JSON of a capture; None where there is none that can be looked at."""
    try:
        found = read_raw(Path(path), options.allow_outside)
    except InputError:  # the reader says the same
        return None
    return found if found is not None and found.frames else None


def _opening(capture: Capture | None, refusal: InputError | None) -> Row:
    if capture is None:
        return Row("reading", "fault", str(refusal))
    views = sum(len(capture.names(split)) for split in capture.splits)
    return Row("reading", "ok", f"{views} views")


def _shots(capture: Capture | None, raw: Raw | None, rows: Sequence[Row]) -> list[Shot]:
    """The views: as read, else as the JSON has them once what is wrong so far is mended."""
    if capture is not None:
        return shots_of(capture)
    assert raw is not None
    mended = raw.mended([row.mend for row in rows if row.mend is not None])
    return raw_shots(mended)


def _with_drop(row: Row, raw: Raw | None, looks: Sequence[Look]) -> Row:
    """The row of equal images, with what drops the later ones."""
    if raw is None or row.verdict == "ok":
        return row
    again = {name for _, name in equal_names(looks)}
    files = {name for name in again if sum(frame.name == name for frame in raw.frames) == 1}
    places = [frame.place for frame in raw.frames if frame.name in files]
    if not places:
        return row
    return replace(row, mend=drop(places, "whose pixels an earlier one has"))


def _remarks(capture: Capture, rows: Sequence[Row]) -> list[Row]:
    """What the reader says, but for what a row says already."""
    missing = capture.frames_skipped[0] if capture.frames_skipped else None
    told = {row.name for row in rows if row.verdict not in ("ok", "not checked")}
    found = []
    for warning in capture.warnings:
        if missing is not None and missing in warning and "missing images" in told:
            continue
        if "EXIF orientation" in warning and "EXIF orientation" in told:
            continue
        found.append(Row("reader", "note", warning))
    return found


def rigid_shots(shots: Sequence[Shot]) -> list[Shot]:
    """Those that can be drawn."""
    if not shots:
        return []
    good = are_rigid(np.stack([shot.pose for shot in shots]))
    return [shot for shot, is_good in zip(shots, good.tolist(), strict=True) if is_good]
