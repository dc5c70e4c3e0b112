"""Rows of files: images that are missing, damaged, listed twice or turned by EXIF."""

from __future__ import annotations

import os
from collections.abc import Sequence

from polyfield.scenes.doctor.mends import drop, turn
from polyfield.scenes.doctor.raw import Raw, RawFrame, number
from polyfield.scenes.doctor.rows import Place, Row
from polyfield.wording import listed


def file_rows(raw: Raw) -> list[Row]:
    """What the files of a capture in JSON give away, before any is decoded."""
    return [_missing(raw), _outside(raw), _damaged(raw), _twice(raw), _turned(raw)]


def skipped_row(skipped: Sequence[str]) -> Row:
    """The same of missing images, for a format of which only its capture is known."""
    if not skipped:
        return Row("missing images", "ok", "none")
    found = f"{len(skipped)} that the data names are not there: {listed(skipped)}"
    return Row("missing images", "note", found, "add them, or leave them out of the data")


def _missing(raw: Raw) -> Row:
    gone = [f for f in raw.frames if f.image is None and not f.outside]
    if not gone:
        return Row("missing images", "ok", f"none of {len(raw.frames)}")
    most = 2 * len(gone) > len(raw.frames)
    return Row(
        "missing images",
        "fault" if most else "note",
        f"{len(gone)} of {len(raw.frames)} are not there: {_names(gone)}",
        "add them, or --fix OUT drops their frames",
        drop([f.place for f in gone], "without an image"),
    )


def _outside(raw: Raw) -> Row:
    away = [f for f in raw.frames if f.outside]
    if not away:
        return Row("images outside", "ok", "none")
    return Row(
        "images outside",
        "fault",
        f"{len(away)} of {len(raw.frames)}: {away[0].outside}",
        "copy them into the folder, or --fix OUT drops their frames",
        drop([f.place for f in away], "whose image is outside"),
    )


def _damaged(raw: Raw) -> Row:
    bad = [f for f in raw.frames if f.damage]
    if not bad:
        return Row("damaged images", "ok", "none")
    return Row(
        "damaged images",
        "fault",
        f"{len(bad)} of {len(raw.frames)}: {bad[0].damage}",
        "copy them again, or --fix OUT drops their frames",
        drop([f.place for f in bad], "whose image is damaged"),
    )


def _twice(raw: Raw) -> Row:
    seen: dict[tuple[str, int, int], RawFrame] = {}
    again = []
    for frame in raw.frames:
        if frame.image is None:
            continue
        stat = os.stat(frame.image)
        key = (frame.place.file, stat.st_dev, stat.st_ino)
        if key in seen:
            again.append(frame)
        seen.setdefault(key, frame)
    if not again:
        return Row("images listed twice", "ok", "none")
    return Row(
        "images listed twice",
        "fault",
        f"{len(again)}: {_names(again)}",
        "remove one of the frames, or --fix OUT",
        drop([f.place for f in again], "whose image is listed before"),
    )


def _turned(raw: Raw) -> Row:
    turned = [f for f in raw.frames if f.header is not None and f.header.orientation != 1]
    if not turned:
        return Row("EXIF orientation", "ok", "no image is turned")
    return Row(
        "EXIF orientation",
        "warning",
        f"{len(turned)} of {len(raw.frames)} images are turned by EXIF, which programs heed or not:"
        f" {_names(turned)}",
        "store them upright, or --fix OUT",
        turn(wanted_turns(raw, turned)),
    )


def wanted_turns(raw: Raw, turned: Sequence[RawFrame]) -> dict[Place, int]:
    """How images are to be stored so that they have the size that their frame says.

    Where it says none, or that of the stored pixels, the poses are taken to be for those: 1.
    """
    found = {}
    for frame in turned:
        assert frame.header is not None
        info, values = frame.header.info, raw.values(frame)
        said = (number(values, "w"), number(values, "h"))
        sideways = said == (info.height, info.width) != (info.width, info.height)
        found[frame.place] = frame.header.orientation if sideways else 1
    return found


def _names(frames: Sequence[RawFrame]) -> str:
    return listed(frame.name or f"frame {frame.place.index}" for frame in frames)
