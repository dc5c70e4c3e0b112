"""A mended copy of a capture in JSON: its files as they are, but for what the rows mend."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from polyfield.files import write_json
from polyfield.scenes.doctor.raw import Raw, RawFrame, relative
from polyfield.scenes.doctor.rows import Mend, Place, Values
from polyfield.scenes.images import read_image, upright, write_image

STAMP = "mended.json"
"""Says what was done; by it a folder is known as ours."""


def write_mended(raw: Raw, mends: Sequence[Mend], folder: Path) -> None:
    """Write a mended copy.

    Args:
        raw: the capture.
        mends: changes, in the order in which they are made.
        folder: an empty one.

    Raises:
        InputError: an image can't be read.
        WriteError: the system doesn't let it.
    """
    mended = raw.mended(mends)
    turns: dict[Place, int] = {}
    for mend in mends:
        turns |= mend.turn
    for name, content in mended.contents.items():
        frames = [
            _copied(raw, frame, turns, folder)
            for frame in mended.frames
            if frame.place.file == name
        ]
        gone = _names(raw, name) - _names(mended, name)
        kept = {key: _without(value, gone) for key, value in content.items() if key != "frames"}
        for companion in _companions(raw, kept):
            _copy(raw, companion, folder)
        write_json(folder / name, {**kept, "frames": frames})
    write_json(folder / STAMP, {"source": str(raw.folder), "mends": [mend.what for mend in mends]})


def _copied(raw: Raw, frame: RawFrame, turns: dict[Place, int], folder: Path) -> Values:
    """A frame, its image and what else it names copied."""
    values = dict(frame.values)
    if frame.image is None:
        return values
    name = relative(raw, frame.image)
    target = folder / name
    target.parent.mkdir(parents=True, exist_ok=True)
    if frame.place in turns:
        write_image(_writable(target), upright(read_image(frame.image), turns[frame.place]))
        name = relative_to(folder, _writable(target))
    else:
        shutil.copyfile(frame.image, target)
    for companion in _companions(raw, {k: v for k, v in values.items() if k != "file_path"}):
        _copy(raw, companion, folder)
    return {**values, "file_path": name}


def _writable(target: Path) -> Path:
    """The same place with an ending that we write."""
    kept = target.suffix.lower() in (".png", ".jpg", ".jpeg")
    return target if kept else target.with_suffix(".png")


def relative_to(folder: Path, path: Path) -> str:
    """A path below a folder, with forward slashes."""
    return path.relative_to(folder).as_posix()


def _companions(raw: Raw, values: Values) -> Iterator[Path]:
    """Files below the capture that a JSON object names: masks, depth, points."""
    root = os.path.realpath(raw.folder)
    for value in values.values():
        if not isinstance(value, str) or not value or len(value) > 1000 or "\0" in value:
            continue
        path = Path(os.path.realpath(raw.folder / value))
        if path.is_file() and str(path).startswith(root + os.sep):
            yield path


def _copy(raw: Raw, path: Path, folder: Path) -> None:
    target = folder / relative(raw, path)
    if not target.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)


def _names(raw: Raw, file: str) -> set[str]:
    return {os.path.normpath(frame.name) for frame in raw.frames if frame.place.file == file}


def _without(value: Any, gone: set[str]) -> Any:
    """A list of image names without those that are dropped."""
    if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
        return value
    return [entry for entry in value if os.path.normpath(entry) not in gone]
