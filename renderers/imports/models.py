"""THE list of programs whose models are read."""

from __future__ import annotations

from pathlib import Path

from polyfield.errors import InputError, shown
from polyfield.files import read_start
from polyfield.renderers.imports.imported import Imported, Importer
from polyfield.renderers.imports.instant_ngp import InstantNgp
from polyfield.renderers.imports.nerfstudio import Nerfstudio

IMPORTERS: tuple[Importer, ...] = (InstantNgp(), Nerfstudio())

START = 16
"""Bytes by which a file is told."""


def read_model(
    path: Path, size: tuple[int, int] | None = None, data: Path | None = None
) -> Imported:
    """Read another program's model.

    Args:
        path: its file or folder.
        size: width and height of an image whose file doesn't say.
        data: the capture it was trained on, where the file has no cameras.

    Raises:
        InputError: no such file, no program of ours wrote it, or it is damaged.
    """
    start = b"" if path.is_dir() else read_start(path, START, "a trained model")
    for importer in IMPORTERS:
        if importer.found_at(path, start):
            return importer.open(path, size, data)
    names = ", ".join(importer.name for importer in IMPORTERS)
    raise InputError(f"a model of {names}", f"{shown(path)}, which is none", "check the path")
