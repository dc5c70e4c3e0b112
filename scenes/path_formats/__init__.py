"""Camera paths in files: `PathFormat` is the list of forms, told apart by their content."""

from __future__ import annotations

from pathlib import Path

from polyfield.errors import InputError
from polyfield.files import read_json, write_json
from polyfield.scenes.path_formats.instant_ngp import InstantNgpPath
from polyfield.scenes.path_formats.nerfstudio import NerfstudioCameras, NerfstudioPath
from polyfield.scenes.path_formats.source import CameraPath, Source
from polyfield.scenes.path_formats.transforms import TransformsPath

__all__ = [
    "CameraPath",
    "InstantNgpPath",
    "NerfstudioCameras",
    "NerfstudioPath",
    "PathFormat",
    "Source",
    "TransformsPath",
    "WrittenPath",
    "read_camera_path",
    "save_target",
    "write_camera_path",
]

PathFormat = TransformsPath | NerfstudioPath | NerfstudioCameras | InstantNgpPath
"""Every form of a camera path in a file."""

WrittenPath = TransformsPath | NerfstudioPath | InstantNgpPath
"""Every form in which one can be written."""
WRITTEN: dict[str, WrittenPath] = {
    form.name: form for form in (TransformsPath(), NerfstudioPath(), InstantNgpPath())
}
"""By the names that `--save-path` knows them by."""

_FORMATS: tuple[PathFormat, ...] = (
    TransformsPath(),
    NerfstudioPath(),
    NerfstudioCameras(),
    InstantNgpPath(),
)


def read_camera_path(source: Source, form: PathFormat | None = None) -> CameraPath:
    """Read a camera path of any form.

    Args:
        source: The file, and what the run knows that a path may leave open.
        form: Its form; found by the content where None.

    Raises:
        InputError: no such file, no known form, or a pose or lens that is impossible or of a kind
            we don't have.
    """
    content = read_json(source.path)
    for candidate in (form,) if form else _FORMATS:
        if candidate.found_in(content):
            return candidate.read(content, source)
    looked = ", ".join(candidate.looks_for for candidate in ((form,) if form else _FORMATS))
    raise InputError(f"a camera path in {source.path} ({looked})", "none of them", "check the file")


def save_target(text: str) -> tuple[WrittenPath, Path]:
    """Where and in which form a path is to be saved: FILE.json, or NAME:FILE.json.

    Raises:
        InputError: another form, or another ending.
    """
    name, colon, file = text.partition(":")
    form = WRITTEN.get(name if colon else TransformsPath.name)
    path = Path(file if colon else text).expanduser()
    if form is None or path.suffix.lower() != ".json":
        raise InputError(
            f"--save-path FILE.json, or {', '.join(f'{name}:FILE.json' for name in WRITTEN)}",
            repr(text[:60]),
            "pick one of them",
        )
    return form, path


def write_camera_path(form: WrittenPath, found: CameraPath, source: Source) -> tuple[str, ...]:
    """Write a camera path to `source.path`; warns of what the form can't say.

    Raises:
        InputError: the run's data lies where the form can't follow.
        WriteError: the system doesn't let it.
    """
    content, warnings = form.written(found, source)
    write_json(source.path, content)
    return warnings
