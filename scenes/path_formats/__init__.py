"""Camera paths in files: `PathFormat` is the list of forms, told apart by their content."""

from __future__ import annotations

from polyfield.errors import InputError
from polyfield.files import read_json
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
    "read_camera_path",
]

PathFormat = TransformsPath | NerfstudioPath | NerfstudioCameras | InstantNgpPath
"""Every form of a camera path in a file."""

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
