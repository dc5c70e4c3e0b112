"""What an importer hands over."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from polyfield.renderers.model import Model
from polyfield.scenes.base import Capture
from polyfield.scenes.cameras import Camera


@dataclass(frozen=True)
class Imported:
    """A model of another program, and what its file knows beside it."""

    model: Model
    program: str
    """Whose, for the record."""
    steps: int
    """Training steps it had; 0 where the file doesn't say."""
    cameras: Sequence[Camera] = ()
    """Training cameras, the user's frame; none of a kind that has none."""
    names: Sequence[str] = ()
    """Of their images."""
    warnings: Sequence[str] = ()
    """What of the file is passed over."""
    capture: Capture | None = None
    """The data it was trained on, in the training's splits, where that is at hand."""
    data: Path | None = None
    """Where that lies."""


class Importer(Protocol):
    """Reads the files of one program."""

    @property
    def name(self) -> str:
        """The program."""

    def found_at(self, path: Path, start: bytes) -> bool:
        """Whether a file that begins with these bytes, or a folder (none), is one of its."""

    def open(self, path: Path, size: tuple[int, int] | None, data: Path | None) -> Imported:
        """Read a file.

        Args:
            path: the file, or the folder of a training.
            size: width and height of an image whose file doesn't say.
            data: the capture it was trained on, where the file has no cameras.

        Raises:
            InputError: damaged, or what we can't express; the message says what.
        """
